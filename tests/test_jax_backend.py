"""The example of a fourth backend, in JAX: in lockstep with the reference. Skipped where JAX is not installed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.layers import KINDS
from ganspec.spec.plan.graph import ELEMENTWISE
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.errors import UserError
from support.layer_systems import CODES, MIDDLES, write_conditional_system
from support.layer_systems import write_system as write_layer_system
from support.lockstep import assert_lockstep

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "jax_backend"
SEED = 3
# Tiny networks: a penalty by double backprop, a gradient through an earlier step's evaluation, statistics, dropout, labels.
QUICK = ("wgan_gp_mlp_mnist", "cgan_mlp_mnist", "gan_mlp_mnist")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs the example as pip would: its package, and the folder that names its entry point."""
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiling takes the time, not computing
    pytest.importorskip("jax")
    shutil.copytree(EXAMPLE / "ganspec_jax", tmp_path / "ganspec_jax")
    info = tmp_path / "ganspec_jax-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ganspec-jax\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganspec.backends]\njax = ganspec_jax\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "jax" in backends.names()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in system_names()]
)
def test_jax_in_lockstep_with_the_reference(name, installed):
    assert_lockstep(load_system(name, reduced=True), ["jax"], SEED, 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIDDLES)
def test_jax_in_lockstep_with_the_reference_on_a_critic_with(kind, installed, tmp_path):
    assert_lockstep(load_system(write_layer_system(tmp_path, kind)), ["jax"], SEED, 2)


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
def test_jax_in_lockstep_with_the_reference_on_a_conditional_system_with(code, installed, tmp_path):
    assert_lockstep(write_conditional_system(tmp_path, code), ["jax"], SEED, 2)


def test_it_has_every_kind_of_layer_and_function(installed):
    from ganspec_jax.layers import LAYERS
    from ganspec_jax.operations import ELEMENTWISE as FUNCTIONS

    assert set(LAYERS) == set(KINDS)
    assert set(FUNCTIONS) == set(ELEMENTWISE)


def test_it_trains_generates_and_keeps_its_state(installed):
    system = load_system("gan_mlp_mnist", reduced=True)
    trainer, feed = backends.make_trainer("jax", system, SEED), random_feed(system, SEED)
    recorded = trainer.iterate(feed)
    other = backends.make_trainer("jax", system, SEED, trainer.state())
    assert (other.iteration, other.state().updates) == (1, {"G": 1, "D": 1})
    z = np.zeros((2, *system.networks["G"].inputs["z"].shape))
    assert np.array_equal(trainer.generate(z), other.generate(z))
    assert {np.asarray(value).dtype for value in recorded.values()} == {np.dtype("float32")}


def test_what_it_lacks_is_said(installed):
    system = load_system("gan_mlp_mnist", reduced=True)
    with pytest.raises(UserError, match="JAX finds no cuda device; use --device cpu"):
        backends.make_trainer("jax", system, SEED, device="cuda")
    with pytest.raises(ValueError, match="draws is 'device', which the backend jax does not have; use 'host'"):
        backends.make_trainer("jax", system, SEED, draws="device")
