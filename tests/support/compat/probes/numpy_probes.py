"""Probes for ``fixes_numpy``: names, promotion, strictness."""

import sys

import numpy as np

from .register import probe


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
