"""Draws are recorded where your model makes them, and given to the port; what does not fit is said with both lines."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from ganspec.tools.conformance.torch_random import Replay
from ganspec.tools.porting.draws import DrawError, Recorder, Tape, same_events
from ganspec.tools.porting.watching import watching

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4))
# Each way to draw in NumPy, and the ways to draw the same in PyTorch.
SAME = {
    "normal": (lambda s: np.random.normal(1.0, 2.0, s), lambda s: 1 + 2 * torch.randn(s), lambda s: torch.empty(s).normal_(1, 2)),
    "normal of arrays": (
        lambda s: np.random.normal(np.full(s, 3.0), 0.5), lambda s: torch.normal(torch.full(s, 3.0), torch.full(s, 0.5)),
    ),
    "randn": (lambda s: np.random.randn(*s), lambda s: torch.randn(*s), lambda s: torch.randn_like(torch.empty(s))),
    "uniform": (
        lambda s: np.random.uniform(-1, 3, s), lambda s: torch.empty(s).uniform_(-1, 3), lambda s: 4 * torch.rand(s) - 1,
    ),
    "rand": (lambda s: 2 * np.random.rand(*s) - 1, lambda s: torch.empty(s).uniform_(-1, 1)),
    "random": (lambda s: np.random.random(size=s), torch.rand),
    "randint": (lambda s: np.random.randint(2, 9, s), lambda s: torch.randint(2, 9, s)),
    "choice": (lambda s: np.random.choice(5, s), lambda s: torch.randint(5, s)),
    "binomial": (lambda s: np.random.binomial(1, 0.3, s), lambda s: torch.bernoulli(torch.full(s, 0.3))),
    "permutation": (lambda s: np.random.permutation(s[0]), lambda s: torch.randperm(s[0])),
    "exponential": (lambda s: np.random.exponential(0.5, s), lambda s: torch.empty(s).exponential_(2.0)),
    "gumbel": (
        lambda s: np.random.gumbel(size=s), lambda s: -torch.log(torch.empty(s).exponential_()),
        lambda s: -torch.log(-torch.log(torch.rand(s))),
    ),
    "RandomState": (lambda s: np.random.RandomState(0).randn(*s), torch.randn),
    "default_rng": (lambda s: np.random.default_rng(0).standard_normal(s), torch.randn),
}  # fmt: skip


@pytest.fixture(autouse=True)
def wide():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def record(*draws, seed=0):
    recorder = Recorder(seed)
    with watching(), recorder.recording():
        values = [draw() for draw in draws]
    return recorder, values


def replay(events, *draws):
    tape = Tape(events)
    with Replay(tape.answer, torch.device("cpu"), DrawError):
        values = [draw().numpy() for draw in draws]
    tape.finish()
    return values


@pytest.mark.parametrize("name", SAME)
def test_port_gets_the_numbers_of_each_distribution(name):
    his, *ports = SAME[name]
    for port in ports:
        recorder, values = record(lambda: his((2, 3)))
        (answered,) = replay(recorder.events, lambda port=port: port((2, 3)))
        np.testing.assert_allclose(answered, values[0], rtol=1e-12, atol=1e-12)
        assert recorder.events[0].request.line.endswith(
            "test_draws.py:" + recorder.events[0].request.line.split(":")[-1]
        )


@given(st.lists(st.tuples(st.sampled_from(sorted(SAME)), SHAPES), max_size=6), st.integers(0, 2**32))
def test_a_seed_settles_all_draws_and_their_order_is_kept(drawn, seed):
    calls = [lambda name=name, shape=shape: SAME[name][0](shape) for name, shape in drawn]
    (one, values), (two, again) = record(*calls, seed=seed), record(*calls, seed=seed)
    assert same_events(one.events, two.events)
    for a, b in zip(values, again, strict=True):
        np.testing.assert_array_equal(a, b)
    answered = replay(one.events, *(lambda name=name, shape=shape: SAME[name][1](shape) for name, shape in drawn))
    for a, b in zip(values, answered, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_without_a_recorder_numpy_draws_as_ever():
    np.random.seed(5)
    plain = [np.random.normal(size=3), np.random.rand(2), np.random.RandomState(1).randn(2)]
    before = np.random.normal
    with watching():
        np.random.seed(5)
        watched = [np.random.normal(size=3), np.random.rand(2), np.random.RandomState(1).randn(2)]
        assert isinstance(np.random.mtrand._rand, np.random.RandomState)
        assert isinstance(np.random.RandomState(1), np.random.RandomState)
        assert np.random.normal.__name__ == "normal"
    for a, b in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.random.normal == before


def test_dropout_of_chainer_becomes_pytorchs_mask(both_backends):
    import ganspec.impl_chainer.compat  # noqa: F401, I001
    import chainer
    import chainer.functions as F

    x = np.random.randn(4, 50)
    with chainer.using_config("train", True):
        recorder, (y,) = record(lambda: F.dropout(x, 0.3).array)
    assert recorder.events[0].dropped == 0.3
    (answered,) = replay(recorder.events, lambda: torch.nn.functional.dropout(torch.from_numpy(x), 0.3))
    np.testing.assert_allclose(answered, y, rtol=1e-15)
    assert 0 < (y == 0).mean() < 0.6
    with pytest.raises(DrawError, match="the distributions differ"):
        replay(recorder.events, lambda: torch.nn.functional.dropout(torch.from_numpy(x), 0.5))


@pytest.mark.parametrize(
    ("his", "port", "said"),
    [
        (lambda: np.random.rand(2, 3), lambda: torch.rand(3, 2), "the shapes are [3, 2] and [2, 3]"),
        (lambda: np.random.rand(2), lambda: torch.randn(2), "the distributions differ"),
        (lambda: np.random.uniform(-1, 1, 2), lambda: torch.empty(2).uniform_(0, 2), "the distributions differ"),
        (lambda: np.random.randint(0, 5, 2), lambda: torch.randint(0, 6, (2,)), "the distributions differ"),
    ],
)  # fmt: skip
def test_another_draw_is_named_with_both_lines(his, port, said):
    recorder, _ = record(his)
    with pytest.raises(DrawError) as raised:
        replay(recorder.events, port)
    text = str(raised.value)
    assert text.endswith(said)
    assert text.count("test_draws.py:") == 2
    assert "draw 1, for which your model has" in text


def test_too_many_draws_and_too_few_are_named():
    recorder, _ = record(lambda: np.random.rand(2))
    with pytest.raises(DrawError, match="draw 2, but your model draws 1 times"):
        replay(recorder.events, lambda: torch.rand(2), lambda: torch.rand(2))
    recorder, _ = record(lambda: np.random.rand(2), lambda: np.random.randn(3))
    with pytest.raises(
        DrawError, match=r"draws 2 times, the port 1 times; left:\n.*test_draws.py:\d+: np.random.randn\(\[3\]\)"
    ):
        replay(recorder.events, lambda: torch.rand(2))


def test_what_cannot_be_given_to_a_port_is_refused_with_its_line():
    with pytest.raises(
        DrawError, match=r"test_draws.py:\d+: np.random.beta draws numbers that cannot be given to the port"
    ):
        record(lambda: np.random.beta(1, 2))


def test_draws_of_python_are_noted():
    recorder, _ = record(lambda: random.random() + random.choice([1, 2]))
    assert [line.partition(": ")[2] for line in recorder.foreign] == ["random.random", "random.choice"]
    assert not recorder.events


def test_initial_values_are_no_events(both_backends):
    import ganspec.impl_chainer.compat  # noqa: F401, I001
    import chainer.links as L

    recorder, _ = record(lambda: L.Linear(3, 2))
    assert not recorder.events
