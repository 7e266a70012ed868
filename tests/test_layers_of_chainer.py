"""Chainer's functions, and the kinds of layer that compute the same: so a model of Chainer's can become an architecture."""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

from ganspec.tools import backends
from support.one_network import evaluator

IMAGE, VECTOR = (2, 4, 5, 6), (3, 4)


class Case(NamedTuple):
    """A function of Chainer's.

    Args:
        layer: the layer that computes the same.
        function: function of (chainer.functions, x, *arrays) that calls Chainer's.
        arrays: shapes of the layer's parameters by name, in the order of the function's arguments.
        shape: shape of x.
        positive: whether x is above 0.
    """

    layer: str
    function: object
    arrays: dict = MappingProxyType({})
    shape: tuple = IMAGE
    positive: bool = False


CONV = 'kind = "conv", name = "m", weight = 0, bias = 0'
NORM = 'name = "m", gamma = 0, beta = 0, epsilon'
CASES = {
    "softmax": Case('kind = "softmax"', lambda F, x: F.softmax(x)),
    "softplus": Case('kind = "softplus"', lambda F, x: F.softplus(x)),
    "hard_sigmoid": Case('kind = "hard_sigmoid", slope = 0.2', lambda F, x: F.hard_sigmoid(x)),
    "clipped_relu": Case('kind = "clip", low = 0, high = 20', lambda F, x: F.clipped_relu(x)),
    "relu6": Case('kind = "clip", low = 0, high = 6', lambda F, x: F.relu6(x)),
    "clip": Case('kind = "clip", low = -0.5, high = 1', lambda F, x: F.clip(x, -0.5, 1.0)),
    "absolute": Case('kind = "abs"', lambda F, x: F.absolute(x)),
    "exp": Case('kind = "exp"', lambda F, x: F.exp(x)),
    "log": Case('kind = "log"', lambda F, x: F.log(x), positive=True),
    "sqrt": Case('kind = "sqrt"', lambda F, x: F.sqrt(x), positive=True),
    "prelu": Case('kind = "prelu", name = "m", per = "layer", slope = 0', lambda F, x, w: F.prelu(x, w), {"W": ()}),
    "prelu, channels": Case(
        'kind = "prelu", name = "m", per = "channel", slope = 0', lambda F, x, w: F.prelu(x, w), {"W": (4,)}
    ),
    "swish": Case('kind = "swish", name = "m", per = "number", beta = 0', lambda F, x, w: F.swish(x, w), {"beta": IMAGE[1:]}),
    "bias": Case('kind = "bias", name = "m", per = "channel", bias = 0', lambda F, x, b: F.bias(x, b), {"b": (4,)}),
    "scale": Case('kind = "trained_scale", name = "m", per = "channel", factor = 0', lambda F, x, w: F.scale(x, w), {"W": (4,)}),
    "layer_normalization": Case(
        f'kind = "layer_norm", {NORM} = 1e-5', lambda F, x, g, b: F.layer_normalization(x, g, b),
        {"gamma": (4,), "beta": (4,)}, VECTOR,
    ),
    "group_normalization": Case(
        f'kind = "group_norm", groups = 2, {NORM} = 1e-5', lambda F, x, g, b: F.group_normalization(x, 2, g, b),
        {"gamma": (4,), "beta": (4,)},
    ),
    "group_normalization, one channel each": Case(
        f'kind = "instance_norm", {NORM} = 1e-5', lambda F, x, g, b: F.group_normalization(x, 4, g, b),
        {"gamma": (4,), "beta": (4,)},
    ),
    "normalize": Case('kind = "normalize", epsilon = 1e-5', lambda F, x: F.normalize(x)),
    "local_response_normalization": Case(
        'kind = "local_response_norm", n = 5, k = 2, alpha = 1e-4, beta = 0.75', lambda F, x: F.local_response_normalization(x)
    ),
    "local_response_normalization, even": Case(
        'kind = "local_response_norm", n = 3, k = 1, alpha = 0.5, beta = 0.5',
        lambda F, x: F.local_response_normalization(x, n=2, k=1, alpha=0.5, beta=0.5),
    ),
    "transpose": Case('kind = "transpose", axes = [2, 0, 1]', lambda F, x: F.transpose(x, (0, 3, 1, 2))),
    "get_item": Case('kind = "slice", axis = 1, start = 1, stop = 4', lambda F, x: x[:, :, 1:-1]),
    "split_axis": Case('kind = "slice", axis = 0, start = 2, stop = 4', lambda F, x: F.split_axis(x, 2, axis=1)[1]),
    "mean": Case('kind = "mean", axes = [1, 2]', lambda F, x: F.mean(x, axis=(2, 3))),
    "sum": Case('kind = "sum", axes = [0]', lambda F, x: F.sum(x, axis=1)),
    "max": Case('kind = "max", axes = [0, 2]', lambda F, x: F.max(x, axis=(1, 3))),
    "broadcast_to": Case(
        'kind = "broadcast", shape = [4, 3, 6]', lambda F, x: F.broadcast_to(x, (2, 4, 3, 6)), shape=(2, 4, 1, 6)
    ),
    "pad": Case(
        'kind = "pad", padding = [1, 0, 2, 1], value = 0.5',
        lambda F, x: F.pad(x, ((0, 0), (0, 0), (1, 0), (2, 1)), "constant", constant_values=0.5),
    ),
    "max_pooling_2d": Case('kind = "max_pool", kernel = 3, stride = 2, cover_all = true', lambda F, x: F.max_pooling_2d(x, 3, 2)),
    "max_pooling_2d, pad": Case(
        'kind = "max_pool", kernel = 3, stride = [2, 1], padding = [1, 2]',
        lambda F, x: F.max_pooling_2d(x, 3, (2, 1), (1, 2), cover_all=False),
    ),
    "average_pooling_2d": Case(
        'kind = "avg_pool", kernel = [3, 2], stride = 2, padding = 1', lambda F, x: F.average_pooling_2d(x, (3, 2), 2, 1)
    ),
    "convolution_2d, groups": Case(
        f'{CONV}, channels = 6, kernel = [2, 3], stride = [1, 2], padding = 0, groups = 2',
        lambda F, x, w, b: F.convolution_2d(x, w, b, stride=(1, 2), groups=2), {"W": (6, 2, 2, 3), "b": (6,)},
    ),
    "dilated_convolution_2d": Case(
        f'{CONV}, channels = 2, kernel = 2, stride = 1, padding = 2, dilation = 3',
        lambda F, x, w, b: F.dilated_convolution_2d(x, w, b, pad=2, dilate=3), {"W": (2, 4, 2, 2), "b": (2,)},
    ),
    "depthwise_convolution_2d": Case(
        f'{CONV}, channels = 4, kernel = 3, stride = 1, padding = 1, groups = 4',
        lambda F, x, w, b: F.depthwise_convolution_2d(x, F.transpose(w, (1, 0, 2, 3)), b, pad=1), {"W": (4, 1, 3, 3), "b": (4,)},
    ),
    "deconvolution_2d": Case(
        'kind = "deconv", name = "m", weight = 0, bias = 0, channels = 2, kernel = [3, 2], stride = [1, 2], padding = [1, 0]',
        lambda F, x, w, b: F.deconvolution_2d(x, w, b, stride=(1, 2), pad=(1, 0)), {"W": (4, 2, 3, 2), "b": (2,)},
    ),
}  # fmt: skip


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_what_chainers_function_does(name, backend, tmp_path):
    backends.load("chainer")  # which mends Chainer before anything imports it
    import chainer
    import chainer.functions as F

    case, random = CASES[name], np.random.default_rng(4)
    x = 3.0 * random.standard_normal(case.shape)
    x = np.exp(x) if case.positive else x
    arrays = {array: random.standard_normal(shape) for array, shape in case.arrays.items()}
    found, _ = evaluator(backend, tmp_path)(f"{{ {case.layer} }}", x, {f"m/{array}": a for array, a in arrays.items()})
    expected = case.function(F, chainer.Variable(x), *map(np.asarray, arrays.values())).array
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
