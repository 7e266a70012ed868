"""Importing Chainer through the mends changes nothing else in the process."""

import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")

LOOK = """
import builtins, importlib.metadata, os, sys, warnings
import numpy as np

# Libraries that Chainer imports where they are installed, some of which add warning filters of their own. An old
# setuptools still has pkg_resources, whose place is then not taken.
libraries = ["scipy.special", "scipy.sparse", "scipy.stats", "h5py", "PIL.Image", "google.protobuf.message", "six"]
setuptools = next(iter(importlib.metadata.distributions(name="setuptools")), None)
if setuptools and int(setuptools.version.partition(".")[0]) < 67:
    libraries.append("pkg_resources")
for name in libraries:
    try:
        importlib.import_module(name)
    except ImportError:
        pass

def stand_ins():
    # The real ones are loaded from files.
    names = [n for n in ("pkg_resources", "numpy.distutils", "distutils") if n in sys.modules]
    return [n for n in names if getattr(sys.modules[n], "__file__", None) is None]

def look():
    return (
        sorted(dir(np)), list(warnings.filters), sorted(os.environ), sorted(vars(builtins)), list(sys.path),
        np.fix, np.maximum, np.meshgrid, np.get_printoptions(), np.geterr(), sys.excepthook,
    )

before = look()
"""


def test_process_is_as_before(passes):
    passes(
        LOOK
        + """
import ganspec.impl_chainer.compat
assert look() == before
import chainer, chainer.testing, chainer.testing.doctest_helper
after = look()
# chainer/__init__.py adds filters of its own, in front; the others stay.
added = len(after[1]) - len(before[1])
assert after[1][added:] == before[1]
assert all("chainer" in str(f) for f in after[1] if f not in before[1]), after[1]
assert after[:1] + after[2:] == before[:1] + before[2:]
assert not stand_ins()
"""
    )


def test_nothing_shows_while_chainer_is_imported(passes):
    # Each line of every module of Chainer is a moment at which another thread could look.
    passes(
        LOOK
        + """
import ganspec.impl_chainer.compat
names = set(dir(np)) | set(vars(np))
seen = [0]

def trace(frame, event, argument):
    if frame.f_globals.get("__name__", "").startswith("chainer."):
        seen[0] += 1
        assert vars(np).keys() <= names
        assert not stand_ins()
        return None

sys.settrace(trace)
import chainer
sys.settrace(None)
assert seen[0] > 1000, seen
assert set(dir(np)) <= names
"""
    )


def test_compat_alone_imports_the_standard_library_only(passes):
    passes(
        """
import sys
import ganspec.impl_chainer
before = set(sys.modules)
import ganspec.impl_chainer.compat
others = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
assert others <= {"ganspec"}, others
"""
    )


def test_every_folder_of_compat_is_in_the_package():
    root = Path(__file__).resolve().parents[2]
    packages = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(root) for path in (root / "impl_chainer" / "compat").rglob("*.py")}
    assert {f"ganspec.{'.'.join(folder.parts)}" for folder in folders} <= set(packages)
    assert len(folders) > 1


def test_upstream_files_and_caches_stay(passes):
    passes(
        """
import importlib.util, os
import ganspec.impl_chainer.compat
import chainer
for name in ganspec.impl_chainer.compat.hook.FINDER.applied:
    if name in __import__("sys").modules:
        module = __import__("sys").modules[name]
        cache = importlib.util.cache_from_source(module.__file__)
        if os.path.exists(cache):
            assert b"impl_chainer" not in open(cache, "rb").read(), cache
        assert b"impl_chainer" not in open(module.__file__, "rb").read()
"""
    )


def test_warnings_of_upstream_are_issued(python):
    code = "import ganspec.impl_chainer.compat, chainer; chainer.utils.experimental('x')"
    assert "FutureWarning: x is experimental" in python("-c", code).stderr


def test_networks_of_one_dtype_keep_it(passes):
    passes(
        """
import numpy as np
import ganspec.impl_chainer.compat
import chainer
from chainer import functions as F, links as L

for dtype in (np.float32, np.float64):
    with chainer.using_config("dtype", dtype):
        g = chainer.Sequential(
            L.Linear(5, 12), F.leaky_relu, lambda h: F.reshape(h, (-1, 3, 2, 2)), L.Deconvolution2D(3, 4, 4, 2, 1),
            L.BatchNormalization(4), F.elu, lambda h: F.unpooling_2d(F.dropout(h, 0.2), 2, 2, cover_all=False),
            lambda h: F.pad(F.concat([h, h], 1), [(0, 0), (0, 0), (1, 1), (1, 1)], "constant"),
            L.Convolution2D(8, 3, 3),
        )
        d = chainer.Sequential(L.Convolution2D(3, 4, 4, 2, 1), F.leaky_relu, L.Linear(None, 3))
        x = chainer.Variable(g(np.ones((4, 5), dtype)).array)
        y = d(x)
        (gx,) = chainer.grad([F.sum(y)], [x], enable_double_backprop=True)
        loss = F.mean((F.sqrt(F.batch_l2_norm_squared(gx)) - 1) ** 2)
        loss += F.softmax_cross_entropy(y, np.zeros(4, "i"))
        loss += F.mean(g(np.ones((4, 5), dtype)))
        for model in (g, d):
            model.cleargrads()
        loss.backward()
        for model in (g, d):
            chainer.optimizers.Adam(np.float64(1e-3)).setup(model).update()
            for parameter in model.params():
                assert parameter.dtype == parameter.grad.dtype == dtype
                state = parameter.update_rule.state or {}
                assert all(v.dtype == dtype for v in state.values()), state
        assert loss.dtype == gx.dtype == dtype
        assert np.isfinite(loss.array)
"""
    )


def test_isolated_python_can_use_it(python):
    done = python("-I", "-c", "import sys; sys.path.insert(0, '.'); import ganspec.impl_chainer.compat, chainer")
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
