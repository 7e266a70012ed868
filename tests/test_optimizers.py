"""What every kind of optimiser must offer, and that a kind of one's own goes through all programs."""

import importlib
import json
import sys

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.parts.optimizers import KINDS
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.spec.training.state import array_shapes
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system, random_feed
from support import amsgrad
from support.agreement import assert_witnesses_agree
from support.optimizer_rules import DEFINITIONS
from support.programs import here
from support.tiny_systems import GENERATOR, critic, move_along, write_system

NETWORKS = {"G": GENERATOR, "D": critic()}
TOML = {name: definition.toml for name, definition in DEFINITIONS.items()} | {"amsgrad": amsgrad.TOML}


@pytest.fixture
def own_kind(monkeypatch):
    """The kind `amsgrad`, which ganspec does not have."""
    amsgrad.add(monkeypatch)


def test_every_kind_is_in_this_backend(backend):
    found = importlib.import_module(f"{backends.load(backend).__name__}.optimizers").KINDS
    assert set(found) == set(KINDS)


def test_every_kind_trains_a_packaged_system():
    trained = {o.kind for name in system_names() for o in load_system(name, reduced=True).optimizers.values()}
    assert trained == set(KINDS)


def trained(backend, system, gradient, updates):
    """Returns: the definition of D's optimiser, and D's state after each of several updates along one gradient."""
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    found = []
    for _ in range(updates):
        move_along(trainer, gradient)
        found.append(trainer.state())
    return system.optimizers["D"], found


@pytest.mark.parametrize("name", TOML)
@pytest.mark.usefixtures("own_kind")
def test_a_moment_is_of_the_degree_that_it_says(name, backend, tmp_path):
    system = write_system(tmp_path, "wgan", NETWORKS, optimizers=TOML[name])
    optimizer, _ = trained(backend, system, 0.0, 0)
    one, two, none = (trained(backend, system, g, 3)[1][-1] for g in (0.3, 0.6, 0.0))
    for moment, described in optimizer.moments().items():
        a, b, rest = (state.arrays[f"moments/D/{moment}/l1/W"] for state in (one, two, none))
        np.testing.assert_allclose(b - rest, 2**described.degree * (a - rest), rtol=1e-10)
        assert (a != rest).all()


@pytest.mark.usefixtures("both_backends", "own_kind")
def test_moments_of_any_names_are_compared(tmp_path, monkeypatch):
    system = write_system(tmp_path, "wgan_gp", NETWORKS, optimizers=amsgrad.TOML)
    right = assert_witnesses_agree(system, seed=1, iterations=3)
    moments = [row for row in right.rows if row.kind == "moment"]
    arrays = sum(name.startswith("moments/") for name in array_shapes(system))
    repeats = sum(step.step.repeat for step in system.plan.steps)
    assert {row.compared for row in moments} == {3 * repeats * arrays}
    update = amsgrad.Implementation.update

    def forgets(self, parameters, gradient):
        update(self, parameters, gradient)
        self.moments["largest"] *= 0.999

    monkeypatch.setattr(amsgrad.Implementation, "update", forgets)
    first = crosscheck_system(system, seed=1, iterations=1).first
    assert first.odd == "reference"
    assert first.difference.name.startswith(("moment G/largest/", "moment D/largest/"))


@pytest.mark.usefixtures("both_backends", "own_kind", "no_pictures")
def test_every_program_takes_an_optimizer_of_ones_own(backend, tmp_path, capsys):
    other = {"torch": "chainer", "chainer": "torch"}[backend]
    system, data = tmp_path / "system.toml", tmp_path / "images.npz"
    write_system(tmp_path, "wgan_gp", NETWORKS, optimizers=amsgrad.TOML)
    np.savez(data, images=np.random.default_rng(0).integers(0, 256, (12, 2, 2), dtype=np.uint8))
    assert here("show", system) == 0
    assert "amsgrad" in capsys.readouterr().out
    assert here("crosscheck", system, "--iterations", 2, "--json", tmp_path / "found.json") == 0
    assert json.loads((tmp_path / "found.json").read_text())["agrees"]
    options = ["--data", data, "--dtype", "float64", "--backend", backend]
    assert here("train", system, *options, "--out", tmp_path / "whole", "--iterations", 6) == 0
    assert here("train", system, *options, "--out", tmp_path / "parts", "--iterations", 3) == 0
    assert here("train", "--resume", tmp_path / "parts", "--backend", other, "--iterations", 6) == 0
    shapes = array_shapes(load_system(str(system)))
    whole, parts = (
        read_checkpoint(tmp_path / run / "checkpoints" / "00000006.safetensors", shapes)[0].arrays
        for run in ("whole", "parts")
    )
    assert "moments/D/largest/l1/W" in whole
    for name, array in whole.items():
        np.testing.assert_allclose(parts[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["dcgan_cifar10", "wgan_gp_mlp_mnist", "wgan_cifar10"])
def test_one_operation_updates_as_many_do(name, monkeypatch):
    pytest.importorskip("torch")
    from ganspec.impl_torch import optimizers
    from ganspec.impl_torch.arrays import ArrayContext

    definition, rng = load_system(name, reduced=True).optimizers["D"], np.random.default_rng(0)
    context, start, gradients = ArrayContext("cpu", "float64"), rng.normal(size=23), rng.normal(size=(3, 23))
    found = []
    for fused in (True, False):
        monkeypatch.setattr(optimizers, "FUSED", fused)
        optimizer, moved = optimizers.KINDS[definition.kind](definition, 23, context), context.array(start)
        for gradient in gradients:
            g = context.array(gradient)
            optimizer.update(moved, [(0, g[:9]), (11, g[11:])])
            np.testing.assert_array_equal(g, gradient)
        found.append([moved, *optimizer.moments.values()])
    for one, many in zip(*found, strict=True):
        np.testing.assert_allclose(one, many, rtol=1e-14, atol=0)
        assert (one[9:11] == many[9:11]).all()
    assert ((found[0][0].numpy() == start) == [9 <= i < 11 for i in range(23)]).all()


@pytest.mark.parametrize("name", ["progressive_cifar10", "wgan_cifar10"])  # some parameters take no part; clipping
def test_gradients_by_themselves_update_as_joined_ones_do(name, backend, monkeypatch):
    system = load_system(name, [] if name.startswith("pro") else ["schedule.warmup_critic_steps=2"], reduced=True)
    found = []
    for own in (1, 200, sys.maxsize):  # each array by itself, the larger ones, none
        monkeypatch.setattr(f"ganspec.impl_{backend}.trained.OWN", own)
        trainer, feed = backends.make_trainer(backend, system, 0, dtype="float64"), random_feed(system, 0)
        for _ in range(2):
            trainer.iterate(feed)
        found.append(trainer.state().arrays)
    for each in found[:2]:
        for path, array in found[2].items():
            np.testing.assert_allclose(each[path], array, rtol=1e-12, atol=1e-14, err_msg=path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_leaves_a_gradient_as_it_is(backend, kind):
    context = importlib.import_module(f"ganspec.impl_{backend}.arrays").ArrayContext("cpu", "float64")
    make = importlib.import_module(f"ganspec.impl_{backend}.optimizers").KINDS[kind]
    system = load_system({"adam": "dcgan_cifar10", "rmsprop": "wgan_cifar10"}[kind], reduced=True)
    optimizer, values = make(system.optimizers["D"], 40, context), np.random.default_rng(0).normal(size=40)
    values[3], to_numpy = 0.0, backends.load(backend).to_numpy
    parameters, gradient = context.filled(40, 1.0), context.array(values)
    for _ in range(3):
        optimizer.update(parameters, [(0, gradient)])
    assert np.array_equal(to_numpy(gradient), values)
    assert (to_numpy(parameters) != 1.0).sum() == 39
