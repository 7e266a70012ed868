"""A stranger's run: nothing outside of its folder is changed, and what is wrong in it is found before anything is written."""

import json
import os
import shutil
import struct

import pytest

from ganspec.spec.training.checkpoint import CheckpointError
from ganspec.spec.training.runs import read_run
from ganspec.tools.quality.figures import Figure, append_figures
from support.programs import SMALL_CGAN, here, refused, resumed

pytest.importorskip("torch")

SIGNS = {"samples": "00000009.png", "checkpoints": "00000001.safetensors", "tensorboard": "events.out.tfevents.9.other"}


def contents(folder):
    """Returns: the content of every file in a folder, and where links lead."""
    paths = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {
        p.relative_to(folder): os.readlink(p) if p.is_symlink() else p.read_bytes() for p in paths if p.name != ".lock"
    }


@pytest.fixture
def precious(tmp_path):
    """Returns: a folder of somebody's files, named as those are that training deletes or rewrites."""
    for name in SIGNS.values():
        (tmp_path / "precious").mkdir(exist_ok=True)
        (tmp_path / "precious" / name).write_text("the only copy of this file")
    return tmp_path / "precious"


@pytest.mark.parametrize("name", ["samples", "checkpoints", "tensorboard", "manifold", "manifold/3", "samples/deeper"])
def test_a_folder_that_is_a_link_out_of_the_run_is_refused(name, run, precious, capsys):
    place = run / name
    if name == "checkpoints":
        for path in place.iterdir():
            shutil.copy(path, precious)
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(precious)
    before = contents(run.parent)
    assert refused(run, capsys, f"{place}: is a link to {precious}", "outside of the run's folder", f"rm {place}")
    assert contents(run.parent) == before
    assert here("train", "--resume", run, "--dry-run") == 2


def test_a_run_that_is_reached_by_a_link_goes_on(run, tmp_path, capsys):
    (tmp_path / "elsewhere").symlink_to(run)
    assert resumed(tmp_path / "elsewhere", capsys)[0] == 0


def test_links_inside_the_run_and_links_that_are_replaced_are_harmless(run, tmp_path, capsys):
    (run / "samples").rename(run / "pictures")
    (run / "samples").symlink_to("pictures")
    for name in ("warnings.txt", "losses.png", "log.csv", "run.json"):
        other = tmp_path / name
        if (run / name).exists():
            shutil.move(run / name, other)
        else:
            other.write_text("precious")
        (run / name).symlink_to(other)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert resumed(run, capsys)[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    assert not (run / "log.csv").is_symlink()
    assert not (run / "run.json").is_symlink()


@pytest.mark.parametrize("name", ["samples", "warnings.txt", "metrics.jsonl"])
def test_what_is_not_what_a_run_has_there_is_refused_before_anything_is_written(name, run, tmp_path, capsys):
    if name == "samples":
        shutil.rmtree(run / name)
        (run / name).write_text("a file")
    elif name == "warnings.txt":
        (run / name).mkdir()
    else:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / "of another")
    before = contents(run)
    assert refused(
        run, capsys, str(run / name), {"samples": "not a folder", "warnings.txt": "not a file"}.get(name, "a link")
    )
    assert contents(run) == before
    assert not (tmp_path / "of another").exists()


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.csv"])
def test_a_damaged_file_is_found_before_anything_is_written(name, run, capsys):
    path = run / name
    if name == "metrics.jsonl":
        append_figures(path, [Figure(i, "diversity", 0.5, {}) for i in (4, 8)])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "nonsense\n", *lines[2:]]))
    (run / "samples" / "00000009.png").write_bytes(b"of a later iteration")
    before = contents(run)
    assert refused(run, capsys, f"{path}: line 3")
    assert contents(run) == before


def test_a_file_by_the_name_of_events_that_has_none_is_not_rewritten(run, capsys):
    pytest.importorskip("tensorboardX")
    (run / "tensorboard").mkdir()
    foreign = run / "tensorboard" / SIGNS["tensorboard"]
    # Text; a record of a right length with a wrong checksum; a few bytes, of which nobody can say what they begin.
    for content in (b"the only copy of this file", struct.pack("<QI", 4, 7) + b"\x09\0\0\0" + b"rest", b"short"):
        foreign.write_bytes(content)
        before = contents(run)
        if content != b"short":
            code, error = resumed(run, capsys, "--tensorboard")
            assert code == 2
            assert f"{foreign}: has the name of an event file" in error
            assert contents(run) == before
    assert here("train", "--resume", run, "--iterations", 10, "--tensorboard") == 0
    assert foreign.read_bytes() == b"short"


def test_a_checkpoint_under_a_wrong_name_is_refused_by_every_reader(run, tmp_path, capsys):
    from ganspec.impl_torch import Network

    newest = max((run / "checkpoints").iterdir())
    wrong = newest.with_name("00000099.safetensors")
    shutil.copy(newest, wrong)
    said = f"{wrong}: holds iteration {int(newest.stem)}, so that it has a wrong name"
    with pytest.raises(CheckpointError, match="holds iteration 8, so that it has a wrong name"):
        read_run(run)
    with pytest.raises(CheckpointError, match="wrong name"):
        Network.from_run(run, "G")
    assert read_run(run, int(newest.stem)).state.iteration == 8
    capsys.readouterr()
    for program in (
        ["sample", run, "--grid", tmp_path / "a.png"],
        ["export", run, "--network", "G", "--to", "safetensors", "--out", tmp_path / "a.safetensors"],
        ["evaluate", run],
        ["train", "--resume", run, "--iterations", 100],
        ["train", "wgan_gp_mlp_mnist", "--init-from", run, "--out", tmp_path / "new"],
    ):
        assert here(*program) == 2
        assert said in capsys.readouterr().err
    assert here("report", run, "--out", tmp_path / "page.html") == 0
    assert "so that it has a wrong name" in (tmp_path / "page.html").read_text()


@pytest.fixture
def conditional(digits, tmp_path):
    """Returns: the folder of a run of a conditional system with ten labels."""
    pytest.importorskip("torch")
    out = tmp_path / "run"
    assert here("train", "cgan_mnist", *SMALL_CGAN, "--data", digits, "--out", out, "--iterations", 1) == 0
    return out


def test_names_of_classes_are_as_many_as_the_labels_and_differ(conditional, tmp_path, capsys):
    record = json.loads((conditional / "run.json").read_text())
    ten = [f"digit {i}" for i in range(10)]
    for names, found in (
        (["3", "0"], "found 2"),
        ([*ten[:9], "digit 3"], "found 'digit 3' more than once"),
        ([*ten, "x"], "11"),
    ):
        (conditional / "run.json").write_text(json.dumps(record | {"classes": names}))
        before = contents(conditional)
        for program in (
            ["sample", conditional, "--label", "3", "--grid", tmp_path / "a.png"],
            ["interpolate", conditional, "--grid", tmp_path / "a.png"],
            ["evaluate", conditional],
            ["train", "--resume", conditional, "--iterations", 2],
        ):
            capsys.readouterr()
            assert here(*program) == 2
            error = capsys.readouterr().err
            assert "run.json: classes: expected 10 different names, one for each label of cgan_mnist" in error
            assert found in error
        assert contents(conditional) == before
        assert not (tmp_path / "a.png").exists()
    (conditional / "run.json").write_text(json.dumps(record | {"classes": ten}))
    assert here("sample", conditional, "--label", "digit 3", "--grid", tmp_path / "a.png") == 0
