"""Laws: arguments are literals, and nothing else; a lifted formula has the value that Chainer computed."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

if find_spec("chainer") is None:
    pytest.skip("Chainer is not installed", allow_module_level=True)

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F

from ganspec.spec import load_system
from ganspec.spec.text.formula import Binary, Call, Name, Negative, Number, parse, render
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.calls import MAX_LENGTH, parse_arguments
from ganspec.tools.updaters.leaves import Drawn, Sources
from ganspec.tools.updaters.recording import Recording
from support.updaters.command import FOLDER

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(values=st.lists(LITERALS, max_size=3), named=st.dictionaries(st.sampled_from("abc"), LITERALS, max_size=3))
def test_arguments_are_read_as_python_writes_them(values, named):
    text = ", ".join([*map(repr, values), *(f"{name}={value!r}" for name, value in named.items())])
    if len(text) <= MAX_LENGTH:
        found = parse_arguments(text, {}, "--args")
        assert (list(found.positional), dict(found.named)) == (values, named)


@pytest.mark.parametrize(
    "text",
    ["open('x')", "a", "1 + 1", "[i for i in (1,)]", "lambda: 0", "*G", "**G", "G.x", "G[0]", "f'{G}'", "b'x'", "x := 1",
     "(" * 400, "1)(2", "", "G" * 2000, "\0", "__import__('os')", "1; 2", "1j"],
)  # fmt: skip
def test_arguments_that_are_more_than_literals_are_refused(text):
    if text:
        with pytest.raises(UserError, match="--args"):
            parse_arguments(text, {"G": object()}, "--args")
    else:
        assert not parse_arguments(text, {}, "--args").named


# Formulas of a variable v, (4, 3), as Chainer code writes them; each is read as the formula beside it.
FORMULAS = {
    "mean(v)": F.mean,
    "mean(v) ": lambda v: F.sum(v) / v.size,
    "3 * mean(v)": lambda v: F.sum(v) / len(v),
    "sum(v)": F.sum,
    "-mean(v)": lambda v: -F.average(v),
    "sample_mean(v)": lambda v: F.mean(v, axis=1),
    "3 * sample_mean(v)": lambda v: F.sum(v, axis=1),
    "norm(v)": lambda v: F.sqrt(F.sum(v**2, axis=1)),
    "norm(v, 1e-10)": lambda v: F.sqrt(F.sum(F.square(v), axis=(1,)) + 1e-10),
    "norm(v) ": lambda v: F.sqrt(F.batch_l2_norm_squared(v)),
    "mean((norm(v) - 1) ^ 2)": lambda v: F.mean_squared_error(F.sqrt(F.sum(v * v, axis=1)), np.ones(4)),
    "mean(abs(v - 2))": lambda v: F.mean_absolute_error(v, np.full((4, 3), 2.0)),
    "mean(softplus(-v))": lambda v: F.sigmoid_cross_entropy(v, np.ones((4, 3), np.int32)),
    "3 * mean(softplus(v))": lambda v: F.sigmoid_cross_entropy(v, np.zeros((4, 3), np.int32), normalize=False),
    "mean(relu(1 - v))": lambda v: F.mean(F.relu(1.0 - v)),
    "mean(relu(v))": lambda v: F.mean(F.maximum(v, np.zeros((4, 3)))),
    "batch_mean(v)": lambda v: F.mean(v, axis=0),
    "mean(log(sigmoid(v) + 1e-08))": lambda v: F.mean(F.log(F.sigmoid(v) + 1e-8)),
    "mean(clip(v, -1, 1))": lambda v: F.mean(F.clip(v, -1.0, 1.0)),
    "2 / mean(exp(v))": lambda v: 2 / F.mean(F.exp(v)),
    "mean(tanh(v) ^ 3)": lambda v: F.mean(F.reshape(F.tanh(v), (4, 3, 1)) ** 3),
    "0.5 * mean(v ^ 2) + 1": lambda v: F.sum(v**2) / (2 * v.size) + 1,
}


def lifted(function):
    """Returns: the formula of what a function computes of the batch x, and the value."""
    recording = Recording(load_system(f"{FOLDER}/small.toml"), {})
    values = np.random.default_rng(3).normal(size=(4, 3))
    recording.batch(values, None)
    with recording.recorded():
        result = function(chainer.Variable(values))
        return recording._known(result), values, result.array


@pytest.mark.parametrize("text", FORMULAS)
def test_function_is_read_as_its_formula(text):
    found, values, result = lifted(FORMULAS[text])
    assert found.tree is not None, found.why
    own = render(found.formula())
    assert own == text.strip().replace("v", "x")
    assert np.allclose(value_of(found.formula(), values), result, rtol=1e-12, atol=1e-14)


def test_function_without_a_formula_says_its_line():
    found, _, _ = lifted(lambda v: F.sin(F.arctan(v)) + 1)
    assert found.tree is None
    assert "test_updaters_laws.py" in found.why
    assert "Arctan has no formula" in found.why


def test_sum_over_the_batch_has_no_formula():
    assert lifted(lambda v: F.sum(v, axis=0))[0].tree is None


def value_of(tree, x):
    """Returns: the value of a formula of x, by the language's own words (docs/language.md)."""
    match tree:
        case Number(value):
            return value
        case Name():
            return x
        case Negative(operand):
            return -value_of(operand, x)
        case Binary(operator, left, right):
            a, b = value_of(left, x), value_of(right, x)
            return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b, "^": lambda: a**b}[
                operator
            ]()
        case Call(name, (first, *rest)):
            v, more = value_of(first, x), [value_of(r, x) for r in rest]
    functions = {
        "mean": np.mean, "sum": np.sum, "abs": np.abs, "exp": np.exp, "log": np.log, "tanh": np.tanh,
        "softplus": lambda v: np.logaddexp(0, v), "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "relu": lambda v: np.maximum(v, 0),
        "sample_mean": lambda v: v.mean(axis=1), "batch_mean": lambda v: v.mean(axis=0), "clip": np.clip,
        "norm": lambda v, s=0.0: np.sqrt((v**2).sum(axis=1) + s),
    }  # fmt: skip
    return functions[name](v, *more)


@given(scale=st.integers(100, 500), shift=st.integers(-300, 300), seed=st.integers(0, 2**16))
def test_noise_takes_its_scale_into_its_distribution(scale, shift, seed):
    scale, shift = scale / 100, shift / 100  # as people write them
    values = np.random.default_rng(seed).random((4, 3))
    drawn = Drawn("draw_0", values, "uniform", 0.0, 1.0, "here:1")
    sources = Sources(drawn=[drawn])
    assert sources.explain((scale * values + shift).astype(np.float32)) == Name("draw_0")
    assert math.isclose(drawn.scale, scale, rel_tol=1e-5)
    assert math.isclose(drawn.shift, shift, rel_tol=1e-5, abs_tol=1e-5)
    assert render(sources.explain(1 - (scale * values + shift))) == "1 - draw_0"


@given(seed=st.integers(0, 2**16))
def test_mixture_is_recognised_and_a_stranger_is_not(seed):
    generator = np.random.default_rng(seed)
    x, fake, stranger = generator.normal(size=(3, 4, 1, 2, 3))
    eps = generator.random((4, 1, 1, 1))
    sources = Sources([(x, None)], [Drawn("eps", eps, "uniform", 0.0, 1.0, "here:1")], [(fake, parse("G(z)"))])
    assert render(sources.explain(eps * fake + (1 - eps) * x)) == "eps * detach(G(z)) + (1 - eps) * x"
    assert render(sources.explain((x + 1) / 2)) == "0.5 * x + 0.5"
    assert render(sources.explain(np.full((4, 1), 0.9))) == "0.9"
    assert sources.explain(stranger) is None
