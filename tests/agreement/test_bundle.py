"""A bundle replays a divergence from nothing but itself, and a damaged one is refused with a message."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ganspec.spec import load_system
from ganspec.tools.agreement import Altered, crosscheck_system, replay
from ganspec.tools.agreement.bundle import Asked, read_bundle, write_bundle
from ganspec.tools.errors import FAILED, UserError
from support.drawn import write_variant
from support.programs import here

pytestmark = pytest.mark.usefixtures("both_backends")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle of a user's own system, with dropout and labels, whose files are gone; and what was found."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "own").mkdir()
    file = write_variant(folder / "own", "cwgan_gp_mlp_mnist", {"networks.D.dropout": 0.25})
    system = load_system(str(file), reduced=True)
    other = load_system(str(file), ["networks.D.slope=0.21"], reduced=True)
    asked = Asked(str(file), (), True, 3, "float64", "cpu", ("torch", "chainer", "reference"))

    def write(divergence, evidence):
        write_bundle(folder / "bundle", asked, system, divergence, evidence)
        return "bundle"

    altered = {"chainer": Altered(system=other)}
    found = crosscheck_system(system, seed=3, iterations=1, altered=altered, on_divergence=write)
    assert found.bundle == "bundle"
    file.unlink()
    return folder / "bundle", found.first, altered


def test_a_bundle_holds_what_was_found(made):
    folder, first, _ = made
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.evidence.place) == (first.difference.name, first.difference.place)
    right, wrong = (bundle.evidence.found[name] for name in ("torch", "chainer"))
    np.testing.assert_allclose(np.linalg.norm(right - wrong), first.difference.error, rtol=1e-12)
    assert bundle.loaded.networks["D"].constants["dropout"] == 0.25


def test_a_bundle_is_replayed_and_agrees_once_all_is_right(made):
    bundle = read_bundle(made[0])
    asked = bundle.asked
    options = {"seed": asked.seed, "dtype": asked.dtype, "device": asked.device, "witnesses": asked.witnesses}
    assert replay(bundle.loaded, bundle.evidence, **options).agrees
    # The draws are those of the bundle, not of the seed.
    again = replay(bundle.loaded, bundle.evidence, **options | {"seed": 99})
    assert again.agrees
    layers = [row for row in again.rows if row.kind == "layer"]
    assert layers[0].compared > 0


DAMAGE = {
    "format": ({"format": "ganspec bundle 9"}, "expected 'ganspec bundle 1'"),
    "seed": ({"seed": -1}, "seed is -1, expected a whole number from 0 to 2"),
    "dtype": ({"dtype": "float16"}, "expected float32 or float64"),
    "settings": ({"settings": "a=1"}, "expected a list of texts"),
    "place": ({"place": [0, "a", 0]}, "expected iteration, step and repeat"),
    "a path out of the bundle": ({"system": "system/../../etc.toml"}, "expected a file in this bundle"),
    "an absolute path": ({"system": "/etc/hosts.toml"}, "expected a file in this bundle"),
    "witnesses": ({"witnesses": ["torch"]}, "expected a list of at least two names"),
    "a witness twice": ({"witnesses": ["torch", "torch"]}, "expected a list of at least two names"),
    "a first witness that does not train": ({"witnesses": ["reference", "torch"]}, "the first of which trains"),
    "a step that is none": ({"place": [0, 7, 0]}, r"bundle\.json: place: step is 7, expected a number from 0 to 1"),
    "a name that is none": ({"name": "%1 y"}, r"name is '%1 y', which .* does not compute at iteration 0, step 0"),
    "a pair that is none": (
        {"pair": ["torch", "jax"]},
        "pair: 'jax' is not compared: expected one of chainer, reference, torch",
    ),
    "a pair of one": ({"pair": ["torch", "torch"]}, "pair is .*, expected the names of two witnesses"),
    "a witness that is none": ({"witnesses": ["torch", "os"]}, "backend 'os', which is not installed"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_refused(name, made, tmp_path):
    change, message = DAMAGE[name]
    copy = copied(made[0], tmp_path)
    content = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=message):
        read_bundle(copy)


@pytest.mark.parametrize("file", ["bundle.json", "arrays.safetensors", "state.safetensors"])
@pytest.mark.parametrize("how", ["absent", "truncated", "other"])
def test_a_damaged_file_is_refused(file, how, made, tmp_path):
    copy = copied(made[0], tmp_path)
    content = (copy / file).read_bytes()
    (copy / file).unlink()
    if how == "truncated":
        (copy / file).write_bytes(content[: len(content) // 2])
    elif how == "other":
        (copy / file).write_bytes(b"\0" * 100)
    with pytest.raises(UserError, match=file):
        read_bundle(copy)


EXTRA = {
    "batch/0/q": r"holds 'batch/0/q', which no bundle of .* holds; write it anew",
    "batch/7/x": r"holds batches \[0, 7\], expected all from 0",
    "found/jax": "holds 'found/jax', which",
    "symbol/zz/0/0/0/0": "holds 'symbol/zz/0/0/0/0', which",
    "mask/Q/drop/0/0/0/0": "holds 'mask/Q/drop/0/0/0/0', which",
    "other/D/drop/0/0/0/0": "holds 'other/D/drop/0/0/0/0', which",
}


@pytest.mark.parametrize("name", EXTRA)
def test_an_array_that_no_bundle_holds_is_refused_by_name(name, made, tmp_path):
    copy = copied(made[0], tmp_path)
    with_array(copy, name)
    with pytest.raises(UserError, match=EXTRA[name]):
        read_bundle(copy)


def test_a_batch_that_is_not_drawn_is_refused(made, tmp_path):
    copy = copied(made[0], tmp_path)
    for name in ("x", "y"):
        with_array(copy, f"batch/1/{name}", like=f"batch/0/{name}")
    assert here("crosscheck", "--replay", copy) == FAILED
    bundle = read_bundle(copy)
    options = {"seed": 3, "dtype": "float64", "device": "cpu", "witnesses": ("torch", "chainer")}
    with pytest.raises(ValueError, match="it has 2 batches, but only 1 are drawn up to that place"):
        replay(bundle.loaded, bundle.evidence, **options)


def with_array(folder, name, like=None):
    """Add an array to those of a bundle."""
    arrays = load_file(folder / "arrays.safetensors")
    save_file(arrays | {name: arrays[like] if like else np.zeros(3)}, folder / "arrays.safetensors")


def test_a_folder_that_is_no_bundle_is_not_replaced(made, tmp_path):
    folder, first, _ = made
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("years of it")
    bundle = read_bundle(folder)
    with pytest.raises(UserError, match="is there already and is no bundle"):
        write_bundle(tmp_path / "mine", bundle.asked, bundle.loaded, first, bundle.evidence)
    assert (tmp_path / "mine" / "work.txt").read_text() == "years of it"


def copied(folder, to):
    return shutil.copytree(folder, to / "copy")
