"""Several processes compute the numbers of one: what each draws, what they exchange, and what comes out, in both backends."""

import importlib
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.layers import KINDS
from ganspec.spec.plan.exchange import exchange_of
from ganspec.spec.training.draws import RecordedDraws
from ganspec.spec.training.ranks import RanksError, Share
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from ganspec.tools.run.scaling import Counts, Machine, count
from ganspec.tools.vectors import layers
from support.loss_systems import LOSSES
from support.ranks_run import BATCH, apart, start, starter, trained
from support.threads import in_threads
from support.tiny_systems import ADAM, NORMAL, write_system

TOLERANCE = 1e-12
# Of the state after 100 iterations: Adam's moments are as small as a gradient that has nearly vanished.
OF_STATE = 1e-10
# A learning rate as papers have it, and an epsilon with which Adam does not magnify the rounding of a gradient that is nearly 0.
EVEN = ADAM.replace("learning_rate = 0.01", "learning_rate = 0.001").replace("epsilon = 1e-8", "epsilon = 0.01")
G = (
    f'z = [2] | {{ kind = "linear", name = "l1", units = 6, {NORMAL} }}, {{ kind = "batch_norm", name = "bn", '
    'epsilon = 1e-3, momentum = 0.1, gamma = "normal(1, 0.1)", beta = "normal(0, 0.1)" }, { kind = "tanh" }, '
    f'{{ kind = "linear", name = "l2", units = 4, {NORMAL} }}, {{ kind = "reshape", shape = [1, 2, 2] }}'
)
D = (
    f'x = [1, 2, 2] | {{ kind = "flatten" }}, {{ kind = "linear", name = "l1", units = 8, {NORMAL}, '
    'spectral_norm = { iterations = 1, epsilon = 1e-12, advance = "training" } }, { kind = "tanh" }, '
    '{ kind = "dropout", name = "drop", rate = 0.25 }, { kind = "reshape", shape = [2, 2, 2] }, '
    '{ kind = "minibatch_std", epsilon = 1e-8 }, { kind = "flatten" }, '
    f'{{ kind = "linear", name = "l2", units = 4, {NORMAL} }}, '
    '{ kind = "minibatch_discrimination", kernels = 2, dimensions = 2 }, '
    f'{{ kind = "linear", name = "l3", units = 1, {NORMAL} }}'
)
GATED = """
[[steps]]
update = ["D"]
repeat = 3
until = { report = "distance", above = -0.3 }
[[steps]]
update = ["G"]
"""
# The mean of a network's output in a gradient, a gradient with respect to a mean, and a sum over the batch.
MEANS = """
title = "means"
source = "none"
[outputs]
D = [1]
[draws]
eps = { sample = "uniform(0, 1)", shape = [] }
[define]
x_hat = "detach(eps * x + (1 - eps) * G(z))"
m = "batch_mean(D(x_hat))"
inner = "mean(norm(grad(mean(D(x_hat)) ^ 3 + sum(D(x_hat)) ^ 2, x_hat)) ^ 2)"
outer = "sum(grad(sum(m ^ 2 * D(x)), m) ^ 2)"
[losses]
D = "mean(D(G(z))) - mean(D(x)) ^ 2 + (inner + outer) / 100 + sum(D(x) * D(G(z))) / 50"
G = "-mean(D(G(z))) * mean(D(x))"
"""
OWN = {
    "every_layer": (
        "wgan_gp",
        {"G": G, "D": D},
        {"steps": GATED, "redraw": "repeat", "extra": "[averages]\nG = 0.9\n"},
    ),
    "means": ("means.toml", {"G": G, "D": LOSSES["wgan_gp"][1]["D"]}, {}),
}
FAST = ["every_layer", "means", "began", "cramer", "dragan_official", "acgan", "denoising_feature_matching"]
PACKAGED = ["wgan_gp_mlp_mnist", "progressive_cifar10"]
CASES = {case.id: case for case in layers.cases()}
COUPLED = [case.id for case in CASES.values() if KINDS[case.facts["layer"]["kind"]].couples and case.facts["training"]]


def written(folder, name):
    """Returns: the path of the file of a tiny system, which this writes into a folder of its own."""
    (folder / name).mkdir()
    (folder / name / "means.toml").write_text(MEANS)
    loss, networks, keys = OWN[name] if name in OWN else (name, *LOSSES[name][1:])
    write_system(folder / name, loss, networks, batch=BATCH, optimizers=EVEN, **keys)
    return str(folder / name / "system.toml")


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("name", FAST)
def test_processes_compute_the_numbers_of_one(backend, name, size, tmp_path):
    system = written(tmp_path, name)
    one = trained(backend, system, 3)
    several = in_threads(size, lambda group: trained(backend, system, 3, group))
    found = apart(one, several[0])
    assert max(found.values()) < TOLERANCE, max(found, key=found.get)
    for other in several[1:]:
        assert all(np.array_equal(other[key], a, equal_nan=True) for key, a in several[0].items()), "not the same bits"


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_processes_compute_the_numbers_of_one_for_100_iterations(backend, size, tmp_path):
    systems = [*(written(tmp_path, name) for name in (*OWN, *LOSSES)), *PACKAGED]
    if starter(backend, size) is None:
        pytest.skip("needs mpiexec and mpi4py")
    several = start(backend, size, tmp_path / "several.npz", 100, systems)
    for system in systems:
        one = trained(backend, system, 100)
        found = apart(one, {key: several[f"{system}:{key}"] for key in one})
        assert max(value for name, value in found.items() if "/" not in name) < TOLERANCE, system
        assert max(found.values()) < OF_STATE, (system, max(found, key=found.get))


def test_processes_that_exchange_no_statistics_compute_other_numbers(backend, tmp_path, monkeypatch):
    backends.load(backend)
    system = written(tmp_path, "every_layer")
    one = trained(backend, system, 1)
    ranks = importlib.import_module(f"ganspec.impl_{backend}.ranks").Ranks
    monkeypatch.setattr(ranks, "pooled", lambda self, mean, variance: (mean, variance))
    assert max(apart(one, in_threads(2, lambda group: trained(backend, system, 1, group))[0]).values()) > 1e-3


def test_draws_of_a_device_are_those_of_one_process(backend, tmp_path):
    system = written(tmp_path, "every_layer")
    one = trained(backend, system, 1, draws="device")
    two = in_threads(2, lambda group: trained(backend, system, 1, group, draws="device"))[0]
    assert max(apart(one, two).values()) < TOLERANCE


def test_each_repeat_of_a_step_without_batch_norm_exchanges_one_vector_of_numbers_and_one_of_gradients(
    backend, tmp_path
):
    file = written(tmp_path, "wgan_gp")

    def shapes(group):
        trained(backend, file, 1, group)
        return group.shapes

    parameters = {name: a.parameter_count for name, a in load_system(file).networks.items()}
    # One step updates both: three means, of which losses and reports are made, and one vector of both gradients.
    assert in_threads(2, shapes)[0] == [(3,), (parameters["G"] + parameters["D"],)]


def rows(case, share):
    """Returns: a case of a layer as one of several processes is given it."""
    return {
        name: a[share.rows(len(a))] if name.startswith(("inputs/", "weights")) else a for name, a in case.given.items()
    }


@pytest.mark.parametrize("case", COUPLED)
def test_a_layer_that_couples_samples_gives_what_it_gives_in_one_process(backend, case, monkeypatch):
    whole = layers.compute(backend, CASES[case], CASES[case].given)
    size = len(CASES[case].given["inputs/0"])  # one sample each
    modules = importlib.import_module(f"ganspec.impl_{backend}.layers")
    ranks = importlib.import_module(f"ganspec.impl_{backend}.ranks").Ranks
    mode = modules.Mode
    local = threading.local()
    monkeypatch.setattr(modules, "Mode", lambda *known: mode(*known, ranks(local.group)))

    def part(group):
        local.group = group
        return layers.compute(backend, CASES[case], rows(CASES[case], Share(group.rank, size)))

    parts = in_threads(size, part)
    for name, wanted in whole.items():
        if name == "output" or name.startswith(("gradients/inputs", "penalty_gradients/inputs")):
            found = np.concatenate([p[name] for p in parts])
        elif name.startswith("statistics"):
            found = parts[-1][name]
        else:
            found = sum(p[name] for p in parts)  # the penalty, and what parameters get from each process
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_says_whether_it_couples_samples(backend, kind):
    coupled = set()
    for case in (c for c in CASES.values() if c.facts["layer"]["kind"] == kind):
        first, others = case.given, {}
        for name, a in first.items():
            if name.startswith("inputs/") and len(a) > 1:
                others[name] = np.concatenate([a[:1], a[:0:-1] * (1 if a.dtype.kind == "i" else 3)])
        outputs = [layers.compute(backend, case, given)["output"][0] for given in (first, first | others)]
        coupled.add(bool(others) and not np.allclose(*outputs, rtol=1e-9, atol=1e-12))
    assert any(coupled) == KINDS[kind].couples


def test_every_kind_that_couples_samples_is_exchanged(backend):
    backends.load(backend)
    exchanged = importlib.import_module(f"ganspec.impl_{backend}.ranks").EXCHANGED
    assert set(exchanged) == {name for name, kind in KINDS.items() if kind.couples}


SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(1, 4), max_size=2))


@given(shape=SHAPES, seed=st.integers(0, 99), rate=st.sampled_from([0.0, 0.25, 0.3, 0.5]))
def test_rows_of_a_draw_are_those_of_the_whole_draw(shape, seed, rate):
    own, size, rest = shape
    whole, streams, at = (own * size, *rest), Streams(seed), Position(2, 1, 3)
    for draw in (streams.uniform, streams.normal, lambda *a: streams.mask(rate, *a)):
        parts = [draw("z", at, whole, Share(rank, size).rows(own * size)) for rank in range(size)]
        assert np.array_equal(np.concatenate(parts), draw("z", at, whole))


def test_rows_of_a_source_of_ones_own_are_cut_out_of_it():
    system = load_system("wgan_gp_mlp_mnist", ["run.batch=4"], reduced=True)
    z = np.arange(4 * system.symbols["z"].shape[0], dtype=float).reshape(4, -1)
    recorded = RecordedDraws({("z", Position()): z}, {("D", "d1", Position()): z > 3})
    own = Share(1, 2).draws(recorded)
    assert np.array_equal(own.symbol("z", system.symbols["z"], Position(), 4), z[2:])
    layer = next(layer for layer in system.networks["D"].layers if layer.kind == "dropout")
    masks = RecordedDraws({}, {("D", layer.name, Position()): z > 3})
    assert np.array_equal(Share(0, 2).draws(masks).mask("D", layer, Position(), z.shape), (z > 3)[:2])


def test_what_nothing_split_reads_is_exchanged_together():
    plan = load_system("dragan_cifar10/official", reduced=True).plan.steps[0]
    exchange, ops = exchange_of(plan), [node.op for node in plan.nodes]
    assert sorted((*exchange.early, *exchange.totals, *exchange.late)) == list(range(len(plan.nodes)))
    assert {ops[i] for i in exchange.means} == {"mean"}, "the two of the deviation, which images are moved by"
    assert len(exchange.means) == 2
    assert len(exchange.totals) == 4, "two terms of D's loss, the penalty, and G's loss"
    place = {i: n for n, i in enumerate((*exchange.early, *exchange.totals, *exchange.late))}
    assert all(place[j] < place[i] for i, node in enumerate(plan.nodes) for j in node.inputs)


@pytest.mark.parametrize("batch", [3, 5])
def test_a_batch_that_cannot_be_split_is_refused_with_a_remedy(backend, batch):
    system = load_system("gan_mlp_mnist", [f"run.batch={batch}"], reduced=True)

    class Group:
        rank, size = 0, 2

    with pytest.raises(RanksError) as caught:
        backends.make_trainer(backend, system, 0, ranks=Group())
    assert str(caught.value) == (
        f"gan_mlp_mnist: a batch of {batch} cannot be split among 2 processes into equal parts; give a multiple of 2 "
        f"(--set run.batch={batch - 1} or --set run.batch={batch + 1}), or start another number of processes"
    )


def test_layers_are_kept_in_one_process_only(backend):
    system = load_system("gan_mlp_mnist", ["run.batch=4"], reduced=True)

    class Group:
        rank, size = 0, 2

    trainer = backends.make_trainer(backend, system, 0, ranks=Group())
    with pytest.raises(ValueError, match="keep_layers is for one process"):
        trainer.compute(0, 0, dict, keep_layers=True)


def test_model_of_many_devices_adds_compute_latency_and_the_bytes_of_a_ring():
    machine = Machine(flops=1e12, launch=1e-6, bandwidth=1e9, latency=1e-5)
    counts = Counts(64, 1e9, 1000, 10, 8_000_000, 1000, 10)
    assert counts.seconds(1, 64, machine) == (pytest.approx(0.064), 0.0)
    assert counts.seconds(1, 0.5, machine)[0] == pytest.approx(0.001), "so few rows that launching takes longer"
    _, exchange = counts.seconds(8, 64, machine)
    assert exchange == pytest.approx(10 * 2 * 3 * 1e-5 + 2 * 7 / 8 * (8_000_000 + 8 * (1000 + 640)) / 1e9)


def test_counted_exchanges_are_numbers_and_gradients_and_what_batch_norm_takes():
    pytest.importorskip("torch")
    system, counts = load_system("gan_mlp_mnist"), count("gan_mlp_mnist")
    parameters = sum(a.parameter_count for a in system.networks.values())
    assert counts.batch == system.run.batch
    assert counts.for_each_row == 0, "no layer gathers rows"
    assert 4 * parameters < counts.fixed < 4 * parameters + 100
    channels = sum(layer.shape[0] for layer in system.networks["G"].layers if layer.kind == "batch_norm")
    assert counts.for_each == 4 * 2 * channels * 2, (
        "forwards once, for both steps see the same fakes, and backwards once"
    )
    forward = 6 * parameters / len(system.networks)  # two operations for each weight, forwards and twice backwards
    assert counts.flops > forward
