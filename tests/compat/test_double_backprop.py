"""Functions that a gradient penalty may meet can be differentiated twice, in float64, against differences.

Where upstream could not, the first gradient is compared too: without ``enable_double_backprop`` it is upstream's
own, with it the composed one.
"""

import functools
from importlib.util import find_spec

import numpy as np
import pytest

import ganspec.impl_chainer.compat  # noqa: F401

if find_spec("chainer") is None:
    pytest.skip("needs chainer", allow_module_level=True)

import chainer
from chainer import functions as F
from chainer import gradient_check, link_hooks
from chainer import links as L

LABELS = np.array([1, 0, 2, -1])
LABELS_2D = np.array([[0, 1], [2, -1]])
WEIGHTS = np.array([1.0, 2.0, 3.0])


def _draw(*shape, seed=0):
    # Away from 0, where many functions have a kink.
    random = np.random.RandomState(seed)
    return np.asarray(random.uniform(0.3, 2, shape) * random.choice([-1, 1], shape))


def _renormalize(x, gamma, beta):
    # With these bounds r is 1 and d is 0, whatever x is: differences see no constant move.
    running = {"running_mean": np.zeros(gamma.shape, gamma.dtype), "running_var": np.ones(gamma.shape, gamma.dtype)}
    return F.batch_renormalization(x, gamma, beta, 1.0, 0.0, **running)


_MATRIX, _IMAGES, _CHANNELS = (4, 3), (2, 4, 5, 5), (4,)
# What upstream cannot differentiate twice: the function and the shapes of its inputs.
CLOSED = {
    "softmax_cross_entropy": (lambda x: F.softmax_cross_entropy(x, LABELS), _MATRIX),
    "softmax_cross_entropy, weights": (lambda x: F.softmax_cross_entropy(x, LABELS, class_weight=WEIGHTS), _MATRIX),
    "softmax_cross_entropy, places": (lambda x: F.softmax_cross_entropy(x, LABELS_2D, normalize=False), (2, 3, 2)),
    "softmax_cross_entropy, weighted places": (
        lambda x: F.softmax_cross_entropy(x, LABELS_2D, class_weight=WEIGHTS, reduce="no"),
        (2, 3, 2),
    ),
    "softmax_cross_entropy, soft": (lambda x: F.softmax_cross_entropy(x, np.full(_MATRIX, 1 / 3, x.dtype)), _MATRIX),
    "hinge L1": (lambda x: F.hinge(x * x, LABELS % 3), _MATRIX),
    "hinge L2": (lambda x: F.hinge(x, LABELS % 3, norm="L2", reduce="no"), _MATRIX),
    "decov": (F.decov, _MATRIX),
    "decov, matrix": (lambda x: F.decov(x, reduce="no"), _MATRIX),
    "batch_renormalization": (_renormalize, (6, 4), _CHANNELS, _CHANNELS),
    "batch_renormalization, images": (_renormalize, _IMAGES, _CHANNELS, _CHANNELS),
    "local_response_normalization": (lambda x: F.local_response_normalization(x, 3, 1.0, 0.5, 0.6), _IMAGES),
    "local_convolution_2d": (
        functools.partial(F.local_convolution_2d, stride=2), (2, 2, 5, 4), (3, 2, 2, 2, 3, 2), (3, 2, 2),
    ),
    "group_normalization, constant gamma": (
        lambda x: F.group_normalization(x, 2, np.ones(4), np.zeros(4)), _IMAGES,
    ),
    "resize_images": (lambda x: F.resize_images(x, (7, 3)), _IMAGES),
    "resize_images, nearest": (lambda x: F.resize_images(x, (9, 4), mode="nearest", align_corners=False), _IMAGES),
    "spatial_transformer_grid": (lambda theta: F.spatial_transformer_grid(theta, (3, 2)), (2, 2, 3)),
    # Some of the points lie outside of the image.
    "spatial_transformer_sampler": (F.spatial_transformer_sampler, (2, 3, 5, 4), (2, 2, 3, 3)),
    "tree_lstm": (lambda *inputs: F.concat(F.tree_lstm(*inputs)), (2, 3), (2, 3), (2, 15)),
}  # fmt: skip
# What upstream can: so it stays.
OPEN = {
    "sigmoid_cross_entropy": (lambda x: F.sigmoid_cross_entropy(x, LABELS[:, None] * [1, 1, 0]), _MATRIX),
    "max_pooling_2d": (lambda x: F.max_pooling_2d(x, 3, 2, 1), _IMAGES),
    "average_pooling_2d": (lambda x: F.average_pooling_2d(x, 3, 2, 1), _IMAGES),
    "unpooling_2d": (lambda x: F.unpooling_2d(x, 2, 2, cover_all=False), _IMAGES),
    "batch_normalization": (F.batch_normalization, _IMAGES, _CHANNELS, _CHANNELS),
    "fixed_batch_normalization": (
        lambda x, gamma, beta, mean: F.fixed_batch_normalization(x, gamma, beta, mean, np.ones(4)),
        _IMAGES, _CHANNELS, _CHANNELS, _CHANNELS,
    ),
    "layer_normalization": (F.layer_normalization, _MATRIX, (3,), (3,)),
    "group_normalization": (lambda x, *scale: F.group_normalization(x, 2, *scale), _IMAGES, _CHANNELS, _CHANNELS),
    "instance normalization": (lambda x, *scale: F.group_normalization(x, 4, *scale), _IMAGES, _CHANNELS, _CHANNELS),
    "dropout": (lambda x: F.dropout(x, mask=(np.arange(12).reshape(4, 3) % 3 > 0) * 1.5), _MATRIX),
    "embed_id": (lambda weight: F.embed_id(LABELS, weight, ignore_label=-1), (5, 3)),
    "normalize": (F.normalize, _MATRIX),
    "prelu": (F.prelu, _IMAGES, _CHANNELS),
    "minimum": (F.minimum, _MATRIX, _MATRIX),
    "maximum": (F.maximum, _MATRIX, _MATRIX),
    "prod": (lambda x: F.prod(x, axis=1), _MATRIX),
    "cumsum": (lambda x: F.cumsum(x, axis=1), _MATRIX),
    "convolution_2d": (lambda x, weight: F.convolution_2d(x, weight, stride=2, pad=1), _IMAGES, (3, 4, 3, 3)),
    "deconvolution_2d": (lambda x, weight: F.deconvolution_2d(x, weight, stride=2, pad=1), _IMAGES, (4, 3, 4, 4)),
    "depthwise_convolution_2d": (F.depthwise_convolution_2d, _IMAGES, (2, 4, 3, 3)),
}  # fmt: skip


def _check(f, arrays, params=()):
    y = f(*arrays)
    seeds = iter(range(100, 200))
    double = {"dtype": "d", "atol": 1e-4, "rtol": 1e-3}
    more = {"params": tuple(params), "params_grad_grad": tuple(_draw(*p.shape, seed=next(seeds)) for p in params)}
    # Squared, so that a linear function has a second gradient as well.
    gradient_check.check_double_backward(
        lambda *x: f(*x) ** 2,
        arrays,
        _draw(*y.shape, seed=next(seeds)),
        tuple(_draw(*x.shape, seed=next(seeds)) for x in arrays),
        **more,
        **double,
    )


@pytest.mark.parametrize("name", [*CLOSED, *OPEN])
def test_second_gradient_is_that_of_differences(name):
    f, *shapes = {**CLOSED, **OPEN}[name]
    with chainer.using_config("dtype", np.float64):
        _check(f, tuple(_draw(*shape, seed=i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_gradient_is_upstream_s_up_to_rounding(name, dtype):
    f, *shapes = CLOSED[name]
    arrays = [_draw(*shape, seed=i).astype(dtype) for i, shape in enumerate(shapes)]

    def gradients(**options):
        inputs = [chainer.Variable(a) for a in arrays]
        y = f(*inputs)
        return chainer.grad([y], inputs, [chainer.Variable(_draw(*y.shape, seed=9).astype(y.dtype))], **options)

    for upstream, ours in zip(gradients(), gradients(enable_double_backprop=True), strict=True):
        assert ours.dtype == upstream.dtype == dtype
        assert ours.shape == upstream.shape
        scale = np.abs(upstream.array).max()
        assert np.abs(ours.array - upstream.array).max() <= 100 * np.finfo(dtype).eps * scale


def test_third_gradient_is_there_too():
    x = chainer.Variable(np.array([[0.5, -0.3], [0.1, 0.7]]))
    y = F.softmax_cross_entropy(x, np.array([0, 1])) + F.sum(F.local_response_normalization(x, alpha=1.0))
    for _ in range(3):
        (y,) = chainer.grad([F.sum(y * y)], [x], enable_double_backprop=True)
    assert y.shape == x.shape
    assert np.abs(y.array).min() > 0


def test_an_input_that_depends_on_another_is_counted_once():
    x = chainer.Variable(_draw(1, 1, 2, 2))

    def f(x):
        weight = F.reshape(x, (1, 1, 1, 1, 2, 2)) * 2
        return F.sum(F.local_convolution_2d(x, weight))  # 2 times the sum of the squares

    (gx,) = chainer.grad([f(x)], [x], enable_double_backprop=True)
    assert np.allclose(gx.array, 4 * x.array)
    (ggx,) = chainer.grad([F.sum(gx * gx)], [x])
    assert np.allclose(ggx.array, 32 * x.array)


@pytest.mark.parametrize("link", [lambda: L.Linear(4, 5), lambda: L.Convolution2D(4, 3, 3)])
def test_weight_standardization_trains_under_a_penalty(link):
    with chainer.using_config("dtype", np.float64):
        layer = link()
        layer.add_hook(link_hooks.WeightStandardization())
        _check(lambda x: F.tanh(layer(x)), (_draw(*(_IMAGES if layer.W.ndim == 4 else (3, 4))),), [layer.W, layer.b])


@pytest.mark.parametrize("link", [lambda: L.Linear(4, 5), lambda: L.Convolution2D(4, 3, 3)])
def test_spectral_normalization_trains_under_a_penalty(link, monkeypatch):
    # The vectors are constants to the gradient, so differences must not move them either.
    module = __import__(link_hooks.SpectralNormalization.__module__, fromlist=["update_approximate_vectors"])
    upstream, first = module.update_approximate_vectors, {}

    def fixed(weight, *others):
        return first.setdefault(weight.shape, upstream(weight, *others))

    monkeypatch.setattr(module, "update_approximate_vectors", fixed)
    with chainer.using_config("dtype", np.float64):
        layer = link()
        layer.add_hook(link_hooks.SpectralNormalization())
        _check(lambda x: F.tanh(layer(x)), (_draw(*(_IMAGES if layer.W.ndim == 4 else (3, 4))),), [layer.W, layer.b])
