"""The finder: idempotent, whatever was imported before, and able to leave single mends out."""

from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

DECONVOLVE = """
def deconvolve():
    import numpy as np
    layer = chainer.links.Deconvolution2D(3, 2, 4, 2, 1)
    layer.cleargrads()
    chainer.functions.sum(layer(np.ones((1, 3, 2, 2), "f"))).backward()
    return layer.W.grad
"""

# What a user without the mends has to do to NumPy so that chainer imports at all, for the tests of that.
BY_HAND = """
import sys, types, numpy as np
np.sctypes = {"int": [np.int8, np.int16, np.int32, np.int64], "float": [np.float16, np.float32, np.float64]}
for name in ("pkg_resources", "numpy.distutils", "numpy.distutils.system_info"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["pkg_resources"].require = lambda *requirements: None
sys.modules["pkg_resources"].DistributionNotFound = sys.modules["pkg_resources"].VersionConflict = KeyError
np.distutils = sys.modules["numpy.distutils"]
caffe = "chainer.links.caffe.protobuf3.caffe_pb2"
sys.modules[caffe] = types.ModuleType(caffe)
class Anything:
    def __getattr__(self, name):
        return name
sys.modules[caffe].V1LayerParameter = Anything()
"""


def test_applying_again_changes_nothing(passes):
    passes(
        """
import sys, importlib
import ganspec.impl_chainer.compat as compat
paths = list(sys.meta_path)
compat.apply(); compat.apply()
assert sys.meta_path == paths
import chainer
paths = list(sys.meta_path)
add = chainer.Summary.add.__code__
compat.apply(); importlib.reload(compat)
assert sys.meta_path == paths
assert chainer.Summary.add.__code__ is add
"""
    )


def test_imported_before_is_mended_in_place(passes):
    passes(
        BY_HAND
        + "import chainer\n"
        + DECONVOLVE
        + """
summary = chainer.Summary
bound = chainer.Summary().add
concat = chainer.dataset.convert._concat_arrays_with_padding
try:
    deconvolve()
except ValueError:
    pass
else:
    raise AssertionError("this stack does not need the mend")
import ganspec.impl_chainer.compat
assert deconvolve() is not None
assert chainer.Summary is summary
bound(np.float32(1))
assert bound.__self__.compute_mean().dtype == np.float64
if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    assert concat([np.ones(1, "u1"), np.ones(2, "u1")], -1).tolist() == [[1, 255], [1, 1]]
    optimizer = chainer.optimizers.SMORMS3(np.float64(1e-3))
    assert type(optimizer.lr) is float
from chainer.training.updaters import multiprocess_parallel_updater
assert multiprocess_parallel_updater._Worker.__reduce__.__module__ == "ganspec.impl_chainer.compat.child"
assert chainer.reporter.Summary.add.__code__.co_filename == chainer.reporter.__file__
x = chainer.Variable(np.ones((2, 3)))
(gx,) = chainer.grad([chainer.functions.hinge(x, np.array([0, 1]), norm="L2")], [x], enable_double_backprop=True)
chainer.functions.sum(gx * gx).backward()
assert np.abs(x.grad).max() > 0
"""
    )


def test_failed_import_before_does_not_stay_in_the_way(passes):
    passes(
        """
import sys
try:
    import chainer
except Exception:
    assert any(name.startswith("chainer.") for name in sys.modules)
else:
    sys.exit(0)  # this stack imports it unmended
import ganspec.impl_chainer.compat
import chainer
assert chainer.functions.relu and chainer.backends.cuda
"""
    )


def test_one_mend_can_be_left_out(passes):
    passes(
        "import ganspec.impl_chainer.compat\nganspec.impl_chainer.compat.apply(without={'deconvolution_2d-weight-only'})\n"
        "import chainer\n"
        + DECONVOLVE
        + """
try:
    deconvolve()
except ValueError:
    pass
else:
    raise AssertionError("deconvolved without the mend")
ganspec.impl_chainer.compat.apply()
deconvolve()
for name, message in (
    ("deconvolution_2d-weight-only", "already applied to a loaded module: deconvolution_2d-weight-only"),
    ("nothing", "no such mend: nothing"),
):
    try:
        ganspec.impl_chainer.compat.apply(without={name})
    except ValueError as error:
        assert str(error) == message
    else:
        raise AssertionError(name)
"""
    )


def test_without_chainer_nothing_happens(passes, tmp_path):
    passes(
        """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
import ganspec.impl_chainer.compat
try:
    import chainer
except ModuleNotFoundError as error:
    assert error.name == "chainer"
"""
    )


def test_line_numbers_are_those_of_upstream(passes):
    passes(
        """
import inspect, linecache, re
import ganspec.impl_chainer.compat
import chainer
from chainer import reporter, variable
for function in (reporter.Summary.compute_mean, reporter.DictSummary.add, variable.Variable.__pos__):
    line = linecache.getline(inspect.getsourcefile(function), function.__code__.co_firstlineno)
    assert re.match(rf"\\s*def {function.__name__}\\(", line), line
"""
    )
