"""Draws are answered with the spec's numbers, whichever function asks for them; arrays are matched by what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.conformance import ConformanceError
from ganspec.spec import load_system
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.streams import Position
from ganspec.tools.conformance.conventions import read_conventions
from ganspec.tools.conformance.draws import Request, Tape
from ganspec.tools.conformance.mapping import Held, match_arrays
from ganspec.tools.conformance.numpy_random import ReplayedGenerator, ReplayedState, replaying
from ganspec.tools.conformance.reachable import Reachable

SYSTEM = load_system("wgan_gp_mlp_mnist", ["schedule.critic_steps=2", "run.batch=4"], reduced=True)
AT = Position(0, 0, 0)


def tape(conventions=None):
    return Tape(SYSTEM, 7, 0, [(0, 0), (0, 1), (1, 0)], read_conventions(SYSTEM, conventions))


def drawn(name, at=AT):
    return StreamDraws(SYSTEM, 7).symbol(name, SYSTEM.symbols[name], at, 4)


def asked(family, shape, a=0.0, b=1.0):
    return Request(family, shape, a, b, "call", "line")


def test_tape_has_every_draw_of_an_iteration_in_the_order_of_the_plan():
    names = [d.name for d in tape().draws if d.family != "mask"]
    assert names == ["z", "eps", "z", "eps", "z"]
    assert sum(d.family == "mask" for d in tape().draws) == 2 * 9 + 3


@given(low=st.floats(-10, 10), width=st.floats(0.1, 10))
def test_uniform_numbers_of_any_bounds_are_the_specs_scaled(low, width):
    numbers = tape().noise(asked("uniform", (4, 5), low, low + width), 0, False)
    assert numbers.min() >= low
    assert np.allclose((numbers - low) / width * 2 - 1, drawn("z"), atol=1e-12)


def test_unit_numbers_give_the_specs_bit_for_bit():
    assert np.array_equal(tape().noise(asked("uniform", (4, 5)), 0, False) * 2 - 1, drawn("z"))
    assert np.array_equal(tape().noise(asked("uniform", (4, 5), -1.0, 1.0), 0, False), drawn("z"))


def test_shape_may_differ_where_the_count_does_not():
    assert np.array_equal(tape().noise(asked("uniform", (4, 1, 1)), 0, False), drawn("eps").reshape(4, 1, 1))


@pytest.mark.parametrize(
    ("conventions", "expected"),
    [({"eps": "complement"}, lambda v: 1 - v), ({"eps": (3.0, 2.0)}, lambda v: 3 * v + 2)],
)
def test_declared_convention_changes_what_the_code_gets(conventions, expected):
    assert np.allclose(tape(conventions).noise(asked("uniform", (4,)), 0, False), expected(drawn("eps")), atol=1e-15)


def test_exchanged_symbols_are_given_in_the_other_order():
    names = [d.name for d in tape({"z": "eps"}).draws if d.family != "mask"]
    assert names[:2] == ["eps", "z"]


def test_mask_is_given_as_kept_as_dropped_and_as_uniform_numbers():
    node = next(d.node for d in tape().draws if d.family == "mask")
    kept = tape().mask(asked("bernoulli", (4, 7), 0.5), 0, [node])
    uniform = tape().mask(asked("uniform", (4, 7)), 0, [node])
    below = tape({"masks": "below"}).mask(asked("uniform", (4, 7)), 0, [node])
    assert np.array_equal(uniform >= 0.5, kept == 1)
    assert np.array_equal(below < 0.5, kept == 1)
    assert 0 < kept.mean() < 1


def test_two_batches_at_once_get_two_masks():
    nodes = list(dict.fromkeys(d.node for d in tape().draws if d.family == "mask" and d.place == 0))[:2]
    together = tape().mask(asked("bernoulli", (8, 7), 0.5), 0, nodes)
    one = [tape().mask(asked("bernoulli", (4, 7), 0.5), 0, [node]) for node in nodes]
    assert np.array_equal(together, np.concatenate(one))


def test_draws_of_a_later_step_are_given_only_before_any_evaluation():
    first = tape()
    first.noise(asked("uniform", (4, 5)), 0, False)
    with pytest.raises(ConformanceError, match="no draw of the spec fits"):
        first.noise(asked("uniform", (4, 5)), 0, False)
    assert first.noise(asked("uniform", (4, 5)), 0, True).shape == (4, 5)


TORCH_CALLS = {
    "rand": lambda t: t.rand(4, 5) * 2 - 1,
    "rand_like": lambda t: t.rand_like(t.empty(4, 5)) * 2 - 1,
    "uniform_": lambda t: t.empty(4, 5).uniform_(-1, 1),
    "Uniform": lambda t: t.distributions.Uniform(-1.0, 1.0).sample((4, 5)),
    "numpy": lambda t: t.from_numpy(np.random.uniform(-1, 1, (4, 5))),
    "out": lambda t: t.rand(4, 5, out=t.empty(4, 5)) * 2 - 1,
    "generator": lambda t: t.rand(4, 5, generator=t.Generator()) * 2 - 1,
}


@pytest.mark.parametrize("name", TORCH_CALLS)
def test_torch_functions_are_answered(name):
    torch = pytest.importorskip("torch")
    from ganspec.tools.conformance.torch_random import Replay

    fresh = tape()
    torch.set_default_dtype(torch.float64)
    try:
        with (
            replaying(lambda r: fresh.noise(r, 0, False)),
            Replay(lambda r: fresh.noise(r, 0, False), torch.device("cpu"), ConformanceError),
        ):
            numbers = TORCH_CALLS[name](torch)
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.allclose(numbers.numpy(), drawn("z"), rtol=0, atol=1e-15)


NORMAL_CALLS = {
    "randn": (lambda t: t.randn(2, 3), (0.0, 1.0)),
    "randn_like": (lambda t: t.randn_like(t.empty(2, 3)), (0.0, 1.0)),
    "normal_": (lambda t: t.empty(2, 3).normal_(1, 2), (1.0, 2.0)),
    "normal": (lambda t: t.normal(1.0, 2.0, (2, 3)), (1.0, 2.0)),
}


@pytest.mark.parametrize("name", NORMAL_CALLS)
def test_torch_asks_for_the_normal_distribution_that_it_names(name):
    torch = pytest.importorskip("torch")
    from ganspec.tools.conformance.torch_random import Replay

    seen = []

    def answer(request):
        seen.append((request.family, request.shape, request.a, request.b))
        return np.arange(6.0).reshape(2, 3)

    with Replay(answer, torch.device("cpu"), ConformanceError):
        numbers = NORMAL_CALLS[name][0](torch)
    mean, deviation = NORMAL_CALLS[name][1]
    assert seen == [("normal", (2, 3), mean, deviation)]
    assert numbers.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("train", [True, False])
def test_dropout_of_torch_keeps_what_the_mask_keeps(train):
    torch = pytest.importorskip("torch")
    from ganspec.tools.conformance.torch_random import Replay

    kept = np.array([[1.0, 0.0, 1.0]])
    with Replay(lambda request: kept, torch.device("cpu"), ConformanceError):
        plain = torch.nn.functional.dropout(torch.ones(1, 3), 0.25, train)
        native, _ = torch.native_dropout(torch.ones(1, 3), 0.25, train)
    wanted = kept / 0.75 if train else np.ones((1, 3))
    assert np.allclose(plain, wanted)
    assert np.allclose(native, wanted)


def test_every_random_operator_of_torch_is_answered_or_named():
    torch = pytest.importorskip("torch")
    from ganspec.tools.conformance.torch_random import Replay

    def never(request):
        raise AssertionError(request)

    with Replay(never, torch.device("cpu"), ConformanceError):
        for draw in (
            lambda t: t.cauchy_(),
            lambda t: t.geometric_(0.5),
            lambda t: torch.multinomial(t, 1),
            torch.poisson,
        ):
            with pytest.raises(ConformanceError, match=r"draws numbers that cannot be replayed"):
                draw(torch.ones(3))


NUMPY_CALLS = {
    "uniform": lambda r: r.uniform(-1, 1, (4, 5)),
    "size": lambda r: r.uniform(low=-1, high=1, size=(4, 5)),
    "random": lambda r: r.random((4, 5)) * 2 - 1,
}


@pytest.mark.parametrize("name", NUMPY_CALLS)
def test_numpy_functions_and_generators_are_answered(name):
    for kind in (ReplayedGenerator, ReplayedState):
        fresh = tape()
        assert np.allclose(NUMPY_CALLS[name](kind(lambda r, f=fresh: f.noise(r, 0, False))), drawn("z"), atol=1e-15)
    fresh = tape()
    with replaying(lambda r: fresh.noise(r, 0, False)):
        assert np.allclose(NUMPY_CALLS[name](np.random), drawn("z"), atol=1e-15)
        made = np.random.default_rng(0)
        assert isinstance(made, np.random.Generator)
        assert isinstance(made, ReplayedGenerator)
    assert np.random.rand(2).shape == (2,)


def test_what_a_step_keeps_is_found_and_put_back():
    from support.conformance.gan_numpy import Lsgan, networks

    step = Lsgan(*networks())
    found = Reachable(step, [step.g, step.d])
    restore = found.snapshot()
    step.t, step.rate = 5, 3.0
    step.m["x"] = np.ones(2)
    restore()
    assert (step.t, step.rate, step.m) == (0, 0.01, {})
    undo = found.exchange(lambda v: "other" if isinstance(v, np.random.Generator) else None)
    assert step.rng == "other"
    undo()
    assert isinstance(step.rng, np.random.Generator)


SHAPES = {path: p.shape for path, p in SYSTEM.networks["D"].parameter_paths().items()}


@given(names=st.permutations(range(4)), turned=st.booleans())
def test_arrays_are_matched_by_order_whatever_their_layers_are_called(names, turned):
    held = []
    for path, shape in SHAPES.items():
        layer, role = path.split("/")
        theirs = shape[::-1] if turned else shape
        held.append(Held(f"part{names[int(layer[1]) - 1]}.{'weight' if role == 'W' else 'bias'}", theirs, True))
    matches = match_arrays(SYSTEM.networks["D"], held)
    for (path, shape), h in zip(SHAPES.items(), held, strict=True):
        ours = np.arange(float(np.prod(shape))).reshape(shape)
        assert matches[path].name == h.name
        assert matches[path].theirs(ours).shape == h.shape
        assert np.array_equal(matches[path].ours(matches[path].theirs(ours)), ours)
        if turned and len(shape) == 2:
            assert np.array_equal(matches[path].theirs(ours), ours.T)


def test_arrays_are_matched_by_name_in_any_order():
    held = [Held(path.replace("/W", ".weight").replace("/b", ".bias"), s, True) for path, s in SHAPES.items()]
    matches = match_arrays(SYSTEM.networks["D"], held[::-1])
    assert matches["l2/W"].name == "l2.weight"
    assert matches["l3/b"].name == "l3.bias"


def test_a_dictionary_matches_whole_layers_and_single_arrays():
    held = [Held(f"{n}.{r}", s, True) for n, ss in zip("abcd", _layers(), strict=True) for r, s in ss.items()]
    mapping = {"l2": "c", "l3/W": "b.weight", "l3/b": "b.bias"}
    matches = match_arrays(SYSTEM.networks["D"], held, mapping)
    assert [matches[f"l{i}/W"].name for i in range(1, 5)] == ["a.weight", "c.weight", "b.weight", "d.weight"]


def _layers():
    return [{"weight": SHAPES[f"l{i}/W"], "bias": SHAPES[f"l{i}/b"]} for i in range(1, 5)]
