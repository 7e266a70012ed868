"""One probe a mend: a function that succeeds with the mend and fails without it.

Run alone, ``python probes.py NAME`` applies every mend but NAME and then the probe of that name;
``python probes.py --all`` applies every mend and then all probes. Deprecations are errors in both.
"""

import contextlib
import os
import sys
import tempfile
import traceback
import warnings
from importlib import util
from types import MappingProxyType

import numpy as np

PROBES = {}
# A mend whose effect needs what no CPU shows; that it fits the upstream source is tested for every mend.
UNSEEN = {
    "parallel_updater-half": "the kernel runs on a GPU only",
    "chainermn_memory-half": "the kernel runs on a GPU only",
    "roi_average_align_2d-half": "the kernel runs on a GPU only",
    "roi_max_align_2d-half": "the kernel runs on a GPU only",
    "hierarchical_softmax-half": "the kernel runs on a GPU only",
    "multiprocess_iterator-child": "shown with a real child in test_children",
    "parallel_updater-child": "shown by its pickle in test_children",
}
NEEDS = {
    "hdf5-string": "h5py",
    "sparse_matmul-half": "scipy",
    "chainermn_memory-copy": "mpi4py",
    "multi_node_iterator-item": "mpi4py",
}


def probe(name):
    def register(function):
        assert name not in PROBES
        PROBES[name] = function
        return function

    return register


@probe("as_strided-sctypes")
def _():
    import chainer.functions as F
    from chainer import Variable, grad

    x = Variable(np.arange(4, dtype="f"))
    (gx,) = grad([F.sum(F.as_strided(x, (3, 2), (1, 1)))], [x])
    assert gx.array.tolist() == [1, 2, 2, 1]


@probe("resize_images-float")
def _():
    import chainer.functions as F

    y = F.resize_images(np.arange(4, dtype="f").reshape(1, 1, 2, 2), (3, 3))
    assert y.dtype == np.float32
    assert y.array[0, 0, 1, 1] == 1.5


@probe("categorical-meshgrid")
def _():
    from chainer import distributions

    p = np.array([[0.25, 0.75], [0.5, 0.5]], "f")
    assert np.allclose(distributions.Categorical(p).log_prob(np.array([1, 0])).array, np.log([0.75, 0.5]))


@probe("summary-promotion")
def _():
    import chainer

    summary = chainer.reporter.Summary()
    for value in np.linspace(0.9999, 1.0001, 20000, dtype="f"):
        summary.add(value)
    mean, std = summary.make_statistics()
    assert mean.dtype == np.float64
    assert abs(std - 5.7738e-5) < 1e-8

    weighted = chainer.reporter.Summary()
    weighted.add(np.float32(1), np.float32(0.1))
    assert weighted.compute_mean().dtype == np.float64
    arrays = chainer.reporter.Summary()
    arrays.add(np.ones(1, "f"))
    assert arrays.compute_mean().dtype == np.float32


@probe("hyperparameter-promotion")
def _():
    import chainer

    for rule in (chainer.optimizers.SMORMS3, chainer.optimizers.Adam):
        model = chainer.links.Linear(2, 2)
        model.W.grad = np.ones((2, 2), "f")
        optimizer = rule(np.float64(1e-3)).setup(model)
        optimizer.update()
        state = model.W.update_rule.state
        assert {v.dtype for v in state.values() if isinstance(v, np.ndarray)} == {np.dtype("f")}, rule
    optimizer.alpha = np.float32(0.5)
    assert type(optimizer.alpha) is float
    assert optimizer.hyperparam.__doc__


@probe("gradient_clipping-promotion")
def _():
    import chainer

    # 2^24 + 1 is no float32; a sum of squares in float32 loses the second parameter.
    model = chainer.Chain(a=chainer.links.Bias(shape=100), b=chainer.links.Bias(shape=1))
    model.a.b.grad, model.b.b.grad = np.zeros(100, "f"), np.ones(1, "f")
    model.a.b.grad[0] = 4096
    hooks = sys.modules["chainer.optimizer_hooks.gradient_clipping"]
    square, _ = hooks._sum_sqnorm_grads(list(model.params()))
    assert float(square) == 2**24 + 1
    # The gradient is scaled in its own precision, by the rate rounded to it.
    optimizer = chainer.optimizers.SGD().setup(model)
    gradients = np.random.RandomState(0).uniform(1, 2, 100).astype("f")
    model.a.b.grad, model.b.b.grad = gradients.copy(), np.zeros(1, "f")
    hooks.GradientClipping(0.7)(optimizer)
    rate = 0.7 / np.sqrt(np.float64(gradients.dot(gradients)))
    assert (model.a.b.grad == gradients * np.float32(rate)).all()


@probe("division-promotion")
def _():
    from chainer import Variable

    assert (Variable(np.array([1.0])) / np.float32(0.3)).array[0] == 1 / float(np.float32(0.3))


@probe("softplus-promotion")
def _():
    import chainer.functions as F

    beta = np.float32(0.3)
    assert abs(F.softplus(np.zeros(1), beta).array[0] - np.log(2) / float(beta)) < 1e-14


class _OneElement:
    """A summary whose mean is an array of one element, as a serialized one can be."""

    def add(self, values):
        pass

    def compute_mean(self):
        return {"loss": np.ones((1, 1), "f")}


class _Trainer:
    """As much of a trainer as the reports look at."""

    observation = MappingProxyType({"loss": 1.0})
    is_before_training = False
    elapsed_time = 0.0
    out = tempfile.mkdtemp()
    updater = type("Updater", (), {"epoch": 1, "iteration": 2})


@probe("log_report-item")
def _():
    from chainer.training import extensions

    report = extensions.LogReport(trigger=lambda trainer: True)
    report._summary = _OneElement()
    report(_Trainer())
    assert report.log[0]["loss"] == 1.0


@probe("plot_report-item")
def _():
    from unittest import mock

    from chainer.training import extensions
    from chainer.training.extensions import plot_report

    report = extensions.PlotReport(["loss"], trigger=lambda trainer: True)
    report._summary = _OneElement()
    pictures = {"matplotlib": mock.MagicMock(), "matplotlib.pyplot": mock.MagicMock()}
    pictures["matplotlib.pyplot"].figure.side_effect = KeyboardInterrupt
    plot_report._available = True
    with mock.patch.dict(sys.modules, pictures):
        pictures["matplotlib"].pyplot = pictures["matplotlib.pyplot"]
        with contextlib.suppress(KeyboardInterrupt):
            report(_Trainer())
    assert report._data["loss"] == [(2, 1.0)]


@probe("minmax_trigger-item")
def _():
    from chainer.training import triggers

    trigger = triggers.MinValueTrigger("loss", trigger=lambda trainer: True)
    trigger._summary = _OneElement()
    assert trigger(_Trainer())
    assert trigger._best_value == 1.0


@probe("multi_node_iterator-item")
def _():
    from chainermn.iterators import multi_node_iterator

    class Communicator:
        def bcast(self, value, root):
            return np.array([3], "f")

    assert multi_node_iterator._MultiNodeIteratorSlave(Communicator(), 0).dataset_size == 3


@probe("pad_sequence-wrap")
def _():
    import chainer.functions as F

    y = F.pad_sequence([np.ones(1, "u1"), np.ones(2, "u1")], padding=-1)
    assert y.array.tolist() == [[1, 255], [1, 1]]


@probe("concat_examples-padding")
def _():
    from chainer.dataset import concat_examples

    assert concat_examples([np.ones(1, "u1"), np.ones(2, "u1")], padding=-1).tolist() == [[1, 255], [1, 1]]


@probe("concat_examples-maximum")
def _():
    from chainer.dataset import concat_examples

    assert concat_examples([np.ones(1, "f"), np.ones(2, "f")], padding=0).tolist() == [[1, 0], [1, 1]]


@probe("variable-device")
def _():
    from chainer import Variable

    assert "- device: CPU\n" in Variable(np.zeros(2, "f")).debug_print()


@probe("fix-trunc")
def _():
    import chainer.functions as F

    assert F.fix(np.array([-1.5, 1.5], "f")).array.tolist() == [-1, 1]


@probe("maxout-shape")
def _():
    from chainer import links as L

    def weights(array):
        assert array.shape == (2, 3, 4)
        array[...] = np.arange(24).reshape(2, 3, 4)

    def bias(array):
        assert array.shape == (2, 3)
        array[...] = np.arange(6).reshape(2, 3)

    maxout = L.Maxout(4, 2, 3, initialW=weights, initial_bias=bias)
    assert maxout.linear.W.array.ravel().tolist() == list(range(24))
    assert maxout.linear.b.array.tolist() == list(range(6))


@probe("environment_check-pkg_resources")
def _():
    import chainer  # noqa: F401

    assert "pkg_resources" not in sys.modules


@probe("testing_helper-pkg_resources")
def _():
    from chainer import testing

    assert "pkg_resources" not in sys.modules
    test = testing.with_requires("numpy>=1.10")(lambda: None)
    assert not getattr(test, "__unittest_skip__", False)
    test = testing.with_requires("numpy<1.10")(lambda: None)
    assert test.__unittest_skip__


@probe("doctest_helper-pkg_resources")
def _():
    from chainer.testing import doctest_helper

    assert "pkg_resources" not in sys.modules
    assert doctest_helper.skipif_requires_satisfied("numpy>=1.10")
    assert not doctest_helper.skipif_requires_satisfied("numpy<1.10")


@probe("environment_check-distutils")
def _():
    from chainer import _environment_check

    assert "numpy.distutils" not in sys.modules
    _environment_check.check()


@probe("multiprocess_iterator-daemon")
def _():
    from chainer.iterators import multiprocess_iterator

    started = []

    class Thread:
        daemon = False

        def __init__(self, **options):
            pass

        def setDaemon(self, daemon):
            raise DeprecationWarning

        def start(self):
            started.append(self.daemon)

    multiprocess_iterator.multiprocessing = type("M", (), {"Pool": staticmethod(lambda **options: None)})
    multiprocess_iterator.threading = type("T", (), {"Thread": Thread})
    loop = multiprocess_iterator._PrefetchLoop([1], 1, False, 1, 1, 8, None, None, False, None)
    loop.launch_thread()
    assert started == [True]


@probe("caffe-protobuf")
def _():
    from chainer.links.caffe.protobuf3 import caffe_pb2

    net = caffe_pb2.NetParameter.FromString(caffe_pb2.NetParameter(name="n").SerializeToString())
    assert net.name == "n"
    assert caffe_pb2.TEST == 1
    assert caffe_pb2.V1LayerParameter.CONVOLUTION == 4
    assert caffe_pb2.NetParameter.__module__ == caffe_pb2.__name__


@probe("hdf5-string")
def _():
    import h5py
    from chainer import serializers

    with h5py.File(os.path.join(tempfile.mkdtemp(), "a.h5"), "w") as file:
        file.create_dataset("text", data="abc")
        file.create_dataset("number", data=3)
        load = serializers.HDF5Deserializer(file)
        assert load("text", "") == "abc"
        assert str(load("text", None)) == "abc"
        assert load("number", 0) == 3


@probe("sparse_matmul-half")
def _():
    import chainer.functions as F
    from chainer.utils import CooMatrix

    half = np.ones(2, np.float16)
    a = CooMatrix(half, np.array([0, 1], "i"), np.array([1, 0], "i"), (2, 2))
    y = F.sparse_matmul(a, np.array([[1, 2], [3, 4]], np.float16))
    assert y.dtype == np.float16
    assert y.array.tolist() == [[3, 4], [1, 2]]


@probe("chainermn_memory-copy")
def _():
    from chainer import Parameter
    from chainermn.communicators import _memory_utility

    class Buffer:
        def to_device(self, array, size, offset, stream):
            array[...] = 2

    parameter = Parameter(np.ones(3, "f"))
    _memory_utility.unpack_params([parameter], "data", Buffer(), np.float64, False)
    assert parameter.array.tolist() == [2, 2, 2]


@probe("deconvolution_2d-weight-only")
def _():
    from chainer import functions as F
    from chainer import links as L

    layer = L.Deconvolution2D(3, 2, 4, 2, 1)
    layer.cleargrads()
    F.sum(layer(np.ones((1, 3, 2, 2), "f"))).backward()
    assert layer.W.grad.shape == (3, 2, 4, 4)


def skipped(name):
    """Why the probe cannot be run here; None where it can."""
    from impl_chainer.compat import TABLE

    if not all(mend.needed() for mend in TABLE.mends if mend.name == name):
        return "the versions here do not need this mend"
    if name in NEEDS and util.find_spec(NEEDS[name]) is None:
        return f"needs {NEEDS[name]}"
    return None


def main(name):
    import impl_chainer.compat

    if name != "--all":
        impl_chainer.compat.apply(without={name})
    # The errors are those of Chainer; warnings of other libraries' imports are their own business.
    warnings.filterwarnings("error", category=DeprecationWarning, module=r"chainer")
    failed = []
    for each in [name] if name != "--all" else [n for n in PROBES if not skipped(n)]:
        try:
            PROBES[each]()
        except Exception:
            failed.append(each)
            traceback.print_exc()
    print("failed:", " ".join(failed))


if __name__ == "__main__":
    main(sys.argv[1])
