"""An iteration as a function of arrays that stay where they are: done again from a record, it gives the bits of a fresh one."""

import importlib
import types
from importlib.util import find_spec

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.capturing import Capture, Staging
from ganspec.spec.training.inputs import Inputs, Slot, repeats_of, values_of, why_host_decides
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.tiny_systems import GENERATOR, critic, write_system

SEED = 3
RATE = "optimizers.learning_rate_schedule={ kind = 'linear', over = 9, to = 0.1 }"
# A penalty, dropout and Adam's counts; a carried number; labels; spectral norm and batch norm; a stage of growth that fades in;
# weight clipping and RMSProp.
SYSTEMS = {
    "wgan_gp_mlp_mnist": ("torch", "chainer"),
    "began_mlp_mnist": ("torch", "chainer"),
    "acgan_mnist": ("torch",),
    "sndcgan_cifar10": ("torch",),
    "progressive_cifar10": ("torch", "chainer"),
    "wgan_cifar10": ("torch",),
}
SETTINGS = {"progressive_cifar10": ["growth.images=48", "growth.start={ stage = 1 }"]}
SLOW = {("wgan_gp_mlp_mnist", "chainer"), ("acgan_mnist", "torch"), ("wgan_cifar10", "torch")}
ONLY_ON_THE_CPU = {"acgan_mnist": {"_local_scalar_dense"}}  # F.one_hot looks at labels on the CPU alone
SMALL = "gan_mlp_mnist"


@pytest.fixture(autouse=True)
def updates_of_a_device(monkeypatch):
    """A device's updates are several operations, which take numbers in arrays; the CPU's are one, which rounds otherwise."""
    if find_spec("torch"):
        monkeypatch.setattr("ganspec.impl_torch.optimizers.FUSED", False)


def captured(backend, system, **options):
    """Returns: a trainer whose iterations are done again from a record, on the CPU."""
    trainer = backends.make_trainer(backend, system, SEED, **options)
    replaying = importlib.import_module("support.replaying")
    graph = replaying.Operators if backend == "torch" else lambda: replaying.Again(trainer)
    trainer.capture = Capture(trainer, graph, copier(backend, trainer))
    return trainer


def copier(backend, trainer):
    return importlib.import_module(f"ganspec.impl_{backend}.capture").Copier(trainer.context)


def numbers(backend, recorded):
    return backends.load(backend).to_numbers([recorded])[0]


def assert_same_state(a, b):
    assert (a.iteration, a.updates, a.learning_rates) == (b.iteration, b.updates, b.learning_rates)
    assert [name for name in a.arrays if a.arrays[name].tobytes() != b.arrays[name].tobytes()] == []


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(name, backend, marks=pytest.mark.slow if (name, backend) in SLOW else ())
        for name, those in SYSTEMS.items()
        for backend in those
    ],
)
def test_an_iteration_that_is_done_again_gives_the_same_bits(name, backend):
    system = load_system(name, [RATE, *SETTINGS.get(name, ())], reduced=True)
    trainer, plain = captured(backend, system), backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    again = 0
    while again < 2:
        assert numbers(backend, trainer.iterate(feed)) == numbers(backend, plain.iterate(same))
        again += any(kind.graph and kind.done > 4 for kind in trainer.capture._kinds.values())
        assert trainer.iteration < 14, "nothing was done again"
    assert trainer.capture.reason == ""
    assert_same_state(trainer.state(), plain.state())
    if backend == "torch":
        from support.replaying import FROM_GENERATORS, WAITING

        used = {name for kind in trainer.capture._kinds.values() if kind.graph for name in kind.graph.names}
        assert used & (WAITING | FROM_GENERATORS) == ONLY_ON_THE_CPU.get(name, set())


def test_numbers_that_are_drawn_on_the_device_are_drawn_anew(backend):
    system = load_system("began_mlp_mnist", reduced=True)
    trainer = captured(backend, system, draws="device")
    plain = backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    for number in range(7):
        observe = [].append if number == 5 else None
        assert numbers(backend, trainer.iterate(feed, observe)) == numbers(backend, plain.iterate(same))
    assert [len(kind.slots) for kind in trainer.capture._kinds.values()] == [3], (
        "a batch, and the numbers of two updates"
    )
    assert trainer.draws.counters.iteration is None


def test_what_happens_between_iterations_reaches_those_that_are_done_again(backend):
    system = load_system("began_mlp_mnist", reduced=True)
    trainer, plain = captured(backend, system), backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    seen = []
    for number in range(10):
        if number in (6, 8):
            trainer.iterate(feed, seen.append)  # somebody looks: the iteration is done one operation after the other
            plain.iterate(same)
        else:
            assert numbers(backend, trainer.iterate(feed)) == numbers(backend, plain.iterate(same))
        if number == 7:  # a state is loaded, and the rates are halved
            state = plain.state()
            state.arrays["carried/k"] = np.array(0.25, np.float32)
            state.learning_rates = {name: rate / 2 for name, rate in state.learning_rates.items()}
            trainer.load(state)
            plain.load(state)
    assert len(seen) == 4
    assert_same_state(trainer.state(), plain.state())


def test_numbers_that_only_name_an_older_one_are_not_overwritten_with_it(backend, tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "old"\nsource = "none"\n[losses]\nD = "mean(D(G(z))) - mean(D(x))"\nG = "-mean(D(G(z)))"\n'
        '[carried.k]\nstart = 0\nnext = "k + mean(x)"\nwith = "D"\n[carried.last]\nstart = 9\nnext = "k"\nwith = "D"\n'
        '[report]\nbefore = { value = "k", with = "D" }\nslope = { value = "k - last", with = "D" }\n'
    )
    system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()})
    trainer, plain = captured(backend, system), backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    recorded = []  # looked at in the end: by then, nothing has changed them
    for number in range(8):
        observe = [].append if number == 6 else None
        recorded.append((trainer.iterate(feed, observe), plain.iterate(same)))
    for ours, right in recorded:
        assert numbers(backend, ours) == numbers(backend, right)
    assert_same_state(trainer.state(), plain.state())


class Refused:
    """A graph that a device refuses, after the iteration has begun."""

    def __init__(self, seen, error):
        self.seen, self.error = seen, error

    def record(self, function):
        self.seen.append(self)
        function()
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("not permitted\nand more"), "the capture failed: RuntimeError: not permitted"),
        (NotImplementedError("no cuBLAS"), "it cannot be captured: no cuBLAS"),
    ],
    ids=["failed", "refused"],
)
def test_an_iteration_that_cannot_be_captured_is_done_as_ever(backend, error, reason):
    system, seen = load_system(SMALL, reduced=True), []
    trainer, plain = captured(backend, system), backends.make_trainer(backend, system, SEED)
    before = []

    class Unmoved(Refused):
        """A device notes what it is to do, and moves nothing: so the state is put back after the function."""

        def record(self, function):
            before.append(trainer.state())
            try:
                super().record(function)
            finally:
                counts = {name: trainer.networks[name].optimizer.updates for name in system.optimizers}
                trainer.load(before[0])
                for name, count in counts.items():
                    trainer.networks[name].optimizer.updates = count

    trainer.capture._make_graph = lambda: Unmoved(seen, error)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    for _ in range(6):
        assert numbers(backend, trainer.iterate(feed)) == numbers(backend, plain.iterate(same))
    assert len(seen) == 1, "it is tried once"
    assert trainer.eager_reason == reason
    assert_same_state(trainer.state(), plain.state())


def test_a_batch_that_fails_counts_no_update(backend):
    system = load_system(SMALL, reduced=True)
    trainer, plain = captured(backend, system), backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    for _ in range(5):
        trainer.iterate(feed)
        plain.iterate(same)

    def broken():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        trainer.iterate(broken)
    with pytest.raises(ValueError, match="the batch has no 'x'"):
        trainer.iterate(dict)
    assert_same_state(trainer.state(), plain.state())
    assert numbers(backend, trainer.iterate(feed)) == numbers(backend, plain.iterate(same))


def test_what_keeps_an_iteration_from_being_captured_is_said(backend):
    gated = load_system("cgan_mnist", reduced=True)
    assert why_host_decides(gated) == "the step D repeats until L_D is below 0.76, which the host reads"
    assert why_host_decides(load_system(SMALL)) == ""
    trainer = backends.make_trainer(backend, gated, SEED)
    assert captured(backend, gated).eager_reason == why_host_decides(gated)
    several = types.SimpleNamespace(ranks=object(), draws=trainer.draws, system=gated)
    assert "several processes" in Capture(several, type, copier(backend, trainer)).reason
    assert trainer.eager_reason == "", "nothing is to be said where nothing was to be captured"


def test_iterations_of_other_steps_are_of_another_kind():
    system = load_system("wgan_cifar10", reduced=True)
    assert repeats_of(system, 0) != repeats_of(system, 499)
    growing = load_system("progressive_cifar10", ["growth.images=24"], reduced=True)
    assert repeats_of(growing, 0)[0] == 0
    assert repeats_of(growing, 10**6)[0] == growing.growth.stages - 1


def test_slots_are_filled_in_the_order_in_which_they_were_asked_for():
    inputs, asked = Inputs(), []

    def give(at):
        asked.append(at)
        return np.full(2, at.iteration + at.step)

    def ask():
        first = inputs.array(Position(0, 1), give, np.copy)
        return first, inputs.numbers(Position(0, 2), lambda at: (at.iteration, 0.5), np.copy, list)

    plain = ask()
    assert plain[1] == (0, 0.5)
    slots = []
    with inputs.listing(slots):
        listed = ask()
    assert asked == [Position(0, 1)] * 2
    with inputs.filled(slots):
        assert ask() == (slots[0].arrays[""], slots[1].parts)
    assert listed[0] is slots[0].arrays[""]
    assert len(asked) == 2, "nobody was asked again"
    assert [next(iter(given.values())).tolist() for given in values_of(slots, 7)] == [[8, 8], [7, 0.5]]
    with pytest.raises(RuntimeError, match="asks the host for less"), inputs.filled(slots):
        pass


def test_a_side_of_the_staging_is_filled_when_the_device_has_copied_from_it():
    log = []

    class Copies:
        def send(self, values, target, pinned):
            log.append((values.tolist(), pinned))
            return values.tolist()

        def event(self):
            number = len(log)
            return types.SimpleNamespace(synchronize=lambda: log.append(number))

    staging, slots = Staging(Copies()), [Slot(Position(), dict, {"a": None})]
    for number in range(4):
        staging.fill(slots, [{"a": np.array(number)}])
    assert log == [(0, None), (1, None), 1, (2, 0), 2, (3, 1)]


def test_rows_of_numbers_are_fetched_together(backend):
    house = backends.load(backend)
    context = house.ArrayContext("cpu", "float64")
    rows = [{"a": context.filled(1, 0.5)[0], "b": context.filled(1, 2.0)[0]}, {}, {"c": context.filled(1, 3.0)[0]}]
    assert house.to_numbers(rows) == [{"a": 0.5, "b": 2.0}, {}, {"c": 3.0}]
    assert house.to_numbers([{}]) == [{}]
