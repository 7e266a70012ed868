"""Probes for ``fixes_double_backprop``; test_double_backprop compares with differences."""

import numpy as np

from .register import probe


def _penalty(f, *shape, dtype="f"):
    """The gradient of a gradient penalty; upstream raises, or leaves out the way through the first gradient."""
    import chainer
    from chainer import functions as F

    x = chainer.Variable(np.random.RandomState(0).uniform(0.5, 2, shape).astype(dtype))
    (gx,) = chainer.grad([F.sum(f(x))], [x], enable_double_backprop=True)
    F.sum(gx * gx).backward()
    assert x.grad is not None
    assert np.abs(x.grad).max() > 0


@probe("function-double_backprop")
def _():
    import chainer.functions as F

    _penalty(lambda x: F.hinge(x, np.array([0, 1]), norm="L2"), 2, 3)


@probe("local_convolution-double_backprop")
def _():
    import chainer.functions as F

    weight = np.ones((2, 2, 2, 1, 2, 2), "f")
    _penalty(lambda x: F.local_convolution_2d(x, weight) ** 2, 1, 1, 3, 3)


@probe("local_response_normalization-double_backprop")
def _():
    import chainer.functions as F

    _penalty(F.local_response_normalization, 2, 3)


@probe("group_normalization-double_backprop")
def _():
    import chainer.functions as F

    _penalty(lambda x: F.group_normalization(x, 1, np.ones(4, "f"), np.zeros(4, "f")) ** 3, 2, 4)


@probe("softmax_cross_entropy-double_backprop")
def _():
    import chainer.functions as F

    _penalty(lambda x: F.softmax_cross_entropy(x, np.array([0, 1])), 2, 3)


@probe("resize_images-float64")
def _():
    import chainer.functions as F

    _penalty(lambda x: F.resize_images(x, (3, 3)) ** 2, 1, 1, 2, 2, dtype="d")
