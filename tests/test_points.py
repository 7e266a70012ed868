"""Points that random numbers never hit: kinks at exactly 0, ties, ends of ranges, far out; values and two derivatives.

Every expected number is worked out by hand, from the definitions and the rules for kinks in docs/language.md.
"""

import importlib
import math
from importlib.util import find_spec
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from ganspec.spec.plan.graph import Node
from ganspec.spec.reference import functions
from ganspec.spec.reference import layers as reference_layers
from ganspec.spec.reference.jets import Jet, jet
from ganspec.tools import backends

INF = math.inf


class Case(NamedTuple):
    """What a function or layer is at a point.

    Args:
        what: the name of an operation of formulas, or "layer KIND".
        x: the point: a batch.
        value: what it gives.
        gradient: gradient of the sum of what it gives.
        second: gradient of the sum of that gradient; None where it is 0.
        settings: what the operation's node holds besides, or the layer's settings.
        labels: labels, for operations with two operands.
    """

    what: str
    x: list
    value: list
    gradient: list
    second: list | None = None
    settings: object = None
    labels: list | None = None


def s(x):
    """Returns: 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def t(x):
    return 1 - math.tanh(x) ** 2


AROUND = [-1.0, -0.0, 0.0, 1.0]
FAR = [-800.0, -100.0, -40.0, -20.0, -1.0, 0.0, 1.0, 20.0, 40.0, 100.0, 800.0]
SIGMOID = ([s(x) for x in FAR], [s(x) * s(-x) for x in FAR], [s(x) * s(-x) * (s(-x) - s(x)) for x in FAR])
RELU = (AROUND, [0, 0, 0, 1], [0, 0, 0, 1])
TANH = ([math.tanh(x) for x in FAR], [t(x) for x in FAR], [-2 * math.tanh(x) * t(x) for x in FAR])
POOL = {"kernel": 2, "stride": 2}
CASES = {
    "relu": Case("relu", *RELU),
    "relu, layer": Case("layer relu", *RELU),
    "leaky relu": Case("layer leaky_relu", AROUND, [-0.3, 0, 0, 1], [0.3, 0.3, 0.3, 1], None, {"slope": 0.3}),
    "leaky relu, falling": Case("layer leaky_relu", AROUND, [2, 0, 0, 1], [-2, -2, -2, 1], None, {"slope": -2.0}),
    "elu": Case(
        "layer elu", [*AROUND, -800.0], [0.3 * math.expm1(-1), 0, 0, 1, -0.3], [0.3 / math.e, 0.3, 0.3, 1, 0],
        [0.3 / math.e, 0, 0, 0, 0], {"alpha": 0.3},
    ),
    "elu, falling": Case(
        "layer elu", AROUND, [-2 * math.expm1(-1), 0, 0, 1], [-2 / math.e, -2, -2, 1], [-2 / math.e, 0, 0, 0], {"alpha": -2.0},
    ),
    "elu, close to 0": Case("layer elu", [-1e-20], [-3e-21], [0.3], [0.3], {"alpha": 0.3}),
    "abs": Case("abs", AROUND, [1, 0, 0, 1], [-1, 0, 0, 1]),
    "sqrt": Case("sqrt", [0.0, 4.0], [0, 2], [INF, 0.25], [-INF, -1 / 32]),
    "log": Case("log", [0.0, 2.0], [-INF, math.log(2)], [INF, 0.5], [-INF, -0.25]),
    "exp": Case("exp", [-800.0, 0.0, 1.0], [0, 1, math.e], [0, 1, math.e], [0, 1, math.e]),
    "clip": Case("clip", [-2.0, -1.0, 0.0, 0.5, 1.0], [-1, -1, 0, 0.5, 0.5], [0, 1, 1, 1, 0], None, (-1.0, 0.5)),
    "power 0": Case("power", [-2.0, 0.0, 2.0], [1, 1, 1], [0, 0, 0], None, 0.0),
    "power 1": Case("power", [-2.0, 0.0, 2.0], [-2, 0, 2], [1, 1, 1], None, 1.0),
    "power 2": Case("power", [-2.0, 0.0, 2.0], [4, 0, 4], [-4, 0, 4], [2, 2, 2], 2.0),
    "power 3": Case("power", [-2.0, 0.0, 2.0], [-8, 0, 8], [12, 0, 12], [-12, 0, 12], 3.0),
    "power 4": Case("power", [-2.0, 0.0, 2.0], [16, 0, 16], [-32, 0, 32], [48, 0, 48], 4.0),
    "power 1/2": Case("power", [0.0, 4.0], [0, 2], [INF, 0.25], [-INF, -1 / 32], 0.5),
    "power 3/2": Case("power", [0.0, 4.0], [0, 8], [0, 3], [INF, 3 / 8], 1.5),
    "power -1": Case("power", [-2.0, 2.0], [-0.5, 0.5], [-0.25, -0.25], [-0.25, 0.25], -1.0),
    "softplus": Case(
        "softplus", FAR, [softplus(x) for x in FAR], SIGMOID[0], SIGMOID[1],
    ),
    "sigmoid": Case("sigmoid", FAR, *SIGMOID),
    "sigmoid, layer": Case("layer sigmoid", FAR, *SIGMOID),
    "tanh": Case("tanh", FAR, *TANH),
    "tanh, layer": Case("layer tanh", FAR, *TANH),
    # At (3, 4) the second derivatives are (1 - u u^T) / 5 with u = (0.6, 0.8), and their rows' sums (1 - 1.4 u) / 5.
    "norm": Case("norm", [[0.0, 0.0], [3.0, 4.0]], [0, 5], [[0, 0], [0.6, 0.8]], [[0, 0], [0.032, -0.024]], 0.0),
    "norm, stabilised": Case("norm", [[0.0, 0.0]], [0.5], [[0, 0]], [[2, 2]], 0.25),
    "cross entropy": Case(
        "cross_entropy", [[800.0, -800.0, 0.0], [-800.0, 800.0, 0.0], [1.0, 1.0, -800.0]], [0, 1600, math.log(2)],
        [[0, 0, 0], [-1, 1, 0], [0.5, -0.5, 0]], None, None, [0, 0, 1],
    ),
    "cross entropy, one label": Case(
        "cross_entropy", [[800.0, -800.0, 0.0], [-800.0, 800.0, 0.0]], [1600, 0], [[1, -1, 0], [0, 0, 0]], None, 1,
    ),
    "correct": Case(
        "correct", [[2.0, 2.0, 1.0], [1.0, 2.0, 2.0], [0.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [1, 0, 0, 1], [[0] * 3] * 4, None, None,
        [0, 2, 1, 2],
    ),
    "correct, one label": Case("correct", [[2.0, 2.0, 1.0], [1.0, 2.0, 2.0]], [0, 1], [[0] * 3] * 2, None, 1),
    "max pool": Case(
        "layer max_pool", [[[[1.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]]], [[[[2, 0]]]], [[[[0, 1, 1, 0], [0, 0, 0, 0]]]], None,
        POOL,
    ),
    "max pool of what is negative": Case(
        "layer max_pool", [[[[-3.0, -2.0], [-5.0, -2.0]]]], [[[[-2]]]], [[[[0, 1], [0, 0]]]], None, POOL,
    ),
    "softplus, layer": Case("layer softplus", FAR, [softplus(x) for x in FAR], SIGMOID[0], SIGMOID[1]),
    "abs, layer": Case("layer abs", AROUND, [1, 0, 0, 1], [-1, 0, 0, 1]),
    "sqrt, layer": Case("layer sqrt", [0.0, 4.0], [0, 2], [INF, 0.25], [-INF, -1 / 32]),
    "log, layer": Case("layer log", [0.0, 2.0], [-INF, math.log(2)], [INF, 0.5], [-INF, -0.25]),
    "exp, layer": Case("layer exp", [-800.0, 0.0, 1.0], [0, 1, math.e], [0, 1, math.e], [0, 1, math.e]),
    "clip, layer": Case(
        "layer clip", [-2.0, -1.0, 0.0, 0.5, 1.0], [-1, -1, 0, 0.5, 0.5], [0, 1, 1, 1, 0], None, {"low": -1.0, "high": 0.5},
    ),
    "hard sigmoid": Case(
        "layer hard_sigmoid", [-3.0, -2.0, 0.0, 2.0, 3.0], [0, 0, 0.5, 1, 1], [0, 0.25, 0.25, 0.25, 0], None, {"slope": 0.25},
    ),
    # The sum of a softmax is 1 wherever it is.
    "softmax, far out": Case(
        "layer softmax", [[800.0, -800.0], [-3.0, -3.0]], [[1, 0], [0.5, 0.5]], [[0, 0], [0, 0]], [[0, 0], [0, 0]],
    ),
    # At 0 the norm's derivatives are 0, so y = x / epsilon there.
    "normalize": Case("layer normalize", [[0.0, 0.0]], [[0, 0]], [[4, 4]], None, {"epsilon": 0.25}),
    "local response norm at 0": Case(
        "layer local_response_norm", [[0.0, 0.0]], [[0, 0]], [[0.5, 0.5]], None, {"n": 3, "k": 4.0, "alpha": 1.0, "beta": 0.5},
    ),
    "max pool that covers all": Case(
        "layer max_pool", [[[[-1.0, -1.0, -2.0]]]], [[[[-1, -2]]]], [[[[1, 0, 1]]]], None,
        {"kernel": (1, 2), "stride": (1, 2), "cover_all": True},
    ),
    "max over axes": Case(
        "layer max", [[[2.0, 3.0], [3.0, 1.0]]], [3], [[[0, 1], [0, 0]]], None, {"axes": (1, 0)},
    ),
    # Equal samples: exp(-0) = 1 of each other one, and a distance's derivative at 0 is 0.
    "minibatch discrimination": Case(
        "layer minibatch_discrimination", [[3.0, -1.0], [3.0, -1.0], [3.0, -1.0]], [[2], [2], [2]], [[0, 0]] * 3, None,
        {"kernels": 1, "dimensions": 2},
    ),
    # y = x / sqrt(mean of x^2 + 1/4): at 0 its derivative is 2, and its second one 0.
    "pixel norm": Case("layer pixel_norm", [[0.0, 0.0]], [[0, 0]], [[2, 2]], None, {"epsilon": 0.25}),
    "minibatch deviation": Case(
        "layer minibatch_std", [[[[3.0]]], [[[3.0]]]], [[[[3]], [[0.5]]]] * 2, [[[[1]]]] * 2, None, {"epsilon": 0.25},
    ),
}  # fmt: skip
SHAPES = {
    "max pool": (1, 1, 2),
    "max pool of what is negative": (1, 1, 1),
    "minibatch deviation": (2, 1, 1),
    "max pool that covers all": (1, 1, 2),
}


def layer_of(name, case):
    """Returns: a layer, or None for an operation of formulas."""
    kind = case.what.removeprefix("layer ")
    shape = SHAPES.get(name, np.shape(case.value)[1:])
    return SimpleNamespace(kind=kind, settings=case.settings or {}, shape=shape) if kind != case.what else None


def of_a_backend(backend, dtype, name, case):
    """Returns: value, gradient and second gradient."""
    backends.load(backend)  # which mends Chainer before anything imports it
    operations, arrays, layers = (
        importlib.import_module(f"ganspec.impl_{backend}.{module}") for module in ("operations", "arrays", "layers")
    )
    context = arrays.ArrayContext("cpu", dtype)
    x = context.array(np.array(case.x))
    x = x.requires_grad_() if backend == "torch" else arrays.Array(x.array, requires_grad=True)
    if layer := layer_of(name, case):
        y = layers.LAYERS[layer.kind](layer, [x], {}, {}, layers.Mode(True, None, (1.0, 0.0), None))
    else:
        node = Node(case.what, (0,), ("N",), value=case.settings)
        operands = [x] if case.labels is None else [x, context.array(np.array(case.labels))]
        y = operations.evaluate(node, operands, True)
    found = [arrays.to_numpy(y)]
    for _ in range(2):
        y = operations.gradient(y, x, True) if y is not None and y.requires_grad else None
        found.append(np.zeros(np.shape(case.x)) if y is None else arrays.to_numpy(y))
    return found


def of_the_reference(name, case):
    """Returns: value, gradient and second gradient."""
    x = np.array(case.x)[None]
    one = np.ones(x.shape)
    # A direction e1 for each number; where each is a sample of its own, one direction for all: 0 times infinity is not 0.
    start = Jet(x, one, one) if x.ndim == 2 else Jet(x, None, one).tilted(0, x.size)
    if layer := layer_of(name, case):
        y = reference_layers.evaluate(layer, [start], {}, reference_layers.Evaluation(True, 0.0, None, {}, {}))
    elif case.what == "power":
        y = start.power(case.settings)
    else:
        rest = [jet(case.labels)] if case.labels is not None else []
        rest = rest or [jet(v) for v in np.atleast_1d([] if case.settings is None else case.settings)]
        y = functions.call(case.what, start, *rest)
    derivatives = [np.zeros((x.size, *x.shape[1:])) if part is None else part for part in (y.a, y.ab)]
    if x.ndim > 2:
        derivatives = [part.reshape(x.size, -1).sum(axis=1).reshape(x.shape) for part in derivatives]
    return [y.f[0], *(part[0] for part in derivatives)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("witness", ["torch", "chainer", "reference", "torch float32", "chainer float32"])
def test_a_function_at_a_point_is_its_definition(name, witness):
    case = CASES[name]
    backend, _, dtype = witness.partition(" ")
    single = dtype == "float32"
    with np.errstate(all="ignore"):  # infinities are expected
        if witness == "reference":
            found = of_the_reference(name, case)
        else:
            if find_spec(backend) is None:
                pytest.skip(f"needs {backend}")
            found = of_a_backend(backend, dtype or "float64", name, case)
    second = np.zeros(np.shape(case.x)) if case.second is None else case.second
    for what, value, expected in zip(
        ("value", "gradient", "second"), found, (case.value, case.gradient, second), strict=True
    ):
        right = np.array(expected, float)
        assert value.shape == right.shape, what
        # Far out 1 - s(x) has no digits left; all else has all of them.
        rounded = what != "value" and case.what.endswith(("tanh", "sigmoid", "softplus", "softmax", "cross_entropy"))
        least = 0.0 if not rounded else 1e-7 if single else 1e-16
        tiny = 1e-37 if single else 1e-290
        message = f"{what} of {name}"
        np.testing.assert_allclose(value, right, rtol=2e-6 if single else 1e-13, atol=max(least, tiny), err_msg=message)


@pytest.mark.parametrize("name", ["softplus", "sigmoid", "sigmoid, layer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_that_is_nearly_0_has_the_right_gradient(name, dtype, backend):
    # The gradient of softplus(x) is about exp(x) there: not 0, as 1 - 1 / (1 + exp(x)) is by rounding.
    _, gradient, _ = of_a_backend(backend, dtype, name, CASES[name])
    for x, found in zip(FAR, gradient, strict=True):
        if -80 < x < 0:
            assert found == pytest.approx(CASES[name].gradient[FAR.index(x)], rel=1e-5 if dtype == "float32" else 1e-13)
