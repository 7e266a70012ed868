"""Checkpoints are read as if a stranger had written them, and what has changed since is said by key."""

import json
import subprocess

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from ganspec.spec import load_system
from ganspec.spec.description import describe, differences
from ganspec.spec.training import checkpoint as format_of_checkpoints
from ganspec.spec.training.checkpoint import CheckpointError, read_checkpoint
from ganspec.tools.run.folder import RunFolder
from support.programs import refused, resumed


def rewritten(path, **changes):
    """Write a checkpoint again with other fields in its record, and a digest that fits them."""
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["ganspec"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header.pop("digest")
    header = {key: value for key, value in {**header, **changes}.items() if value is not ...}
    header["digest"] = format_of_checkpoints._digest(header, arrays)
    save_file(arrays, path, {"ganspec": json.dumps(header)})


WRONG_CHECKPOINT = {
    "iteration": [-1, 1.5, "7", True, None, 2**63, 9],
    "updates": [{}, [], {"G": -1, "D": 1}, {"G": 1.0, "D": 1}, {"G": 1}, {"G": 1, "X": 1}],
    "learning_rates": [{}, {"G": "fast", "D": 1e-4}, {"G": -1.0, "D": 1.0}, {"G": float("inf"), "D": 1.0}, 3],
    "description": [None, [], "system"],
    "seed": [-1, 2**63, True, "0", 1],
    "dtype": ["float16", None, "float64"],
    "draws": ["dice", [], None],
    "batches": [-1, 2.5, None, 10**30],
    "data": [None, 7, "another"],
    "epoch": [{}, [], {"sum": 0.0, "count": 0}, {"sum": "0", "count": 0, "last": None},
              {"sum": float("nan"), "count": 0, "last": None}, {"sum": 0.0, "count": -1, "last": None}],
    "format": ["ganspec checkpoint 1", "ganspec checkpoint 9", 7, None],
}  # fmt: skip


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("key", WRONG_CHECKPOINT)
def test_every_field_of_a_checkpoint_is_checked_like_an_option(key, run, capsys):
    path = run / "checkpoints" / "00000008.safetensors"
    whole = path.read_bytes()
    for value in [*WRONG_CHECKPOINT[key], ...]:
        path.write_bytes(whole)
        rewritten(path, **{key: value})
        assert refused(run, capsys, "00000008.safetensors" if key != "data" else ""), value
    path.write_bytes(whole)
    rewritten(path)
    assert resumed(run, capsys)[0] == 0


def test_the_digest_covers_the_record(run):
    path = run / "checkpoints" / "00000008.safetensors"
    read_checkpoint(path)
    content = path.read_bytes()
    assert content.count(b'\\"batches\\": 8') == 1
    path.write_bytes(content.replace(b'\\"batches\\": 8', b'\\"batches\\": 9'))
    with pytest.raises(CheckpointError, match="does not match its digest"):
        read_checkpoint(path)


def test_a_checkpoint_of_an_earlier_version_is_said_to_be_one(run):
    path = run / "checkpoints" / "00000008.safetensors"
    rewritten(path, format="ganspec checkpoint 1")
    with pytest.raises(
        CheckpointError, match=r"was written by an earlier version of ganspec .* expected ganspec checkpoint 2"
    ):
        read_checkpoint(path)


def test_only_numbered_names_are_checkpoints_and_the_remedy_makes_use_of_it(run, capsys):
    newest = run / "checkpoints" / "00000008.safetensors"
    (run / "checkpoints" / "best.safetensors").write_bytes(b"mine")
    with RunFolder.open_existing(run) as folder:
        assert folder.newest_checkpoint() == newest
    newest.write_bytes(newest.read_bytes()[:-1])
    _, error = resumed(run, capsys)
    remedy = error.rstrip().rpartition(": ")[2]
    assert remedy == f"mv {newest} {newest}.damaged"
    subprocess.run(remedy.split(), check=True)
    assert resumed(run, capsys)[0] == 0
    assert (run / "checkpoints" / "best.safetensors").read_bytes() == b"mine"


def test_differences_are_shown_by_key_and_shortened():
    lines = differences(*(describe(load_system("dcgan_cifar10", settings)) for settings in ([], ["networks.D.ch=64"])))
    assert any(line.startswith("networks.D.layers.") and "shape: [" in line for line in lines)
    assert all(len(line) < 200 for line in lines)
    other = describe(load_system("dcgan_cifar10", ["networks.D=wgan_critic"]))
    lines = differences(describe(load_system("dcgan_cifar10")), other)
    assert sum(map(len, lines)) < 2500
    assert differences(other, other) == []
    assert differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3], "c": "x" * 900}}) == [
        "a.b: [1, 2] became [1, 3]", f"a.c: absent became {'x' * 60}...",
    ]  # fmt: skip
