"""What a stranger may have laid into a run's folder: nothing outside is touched, nothing hangs, nothing unbounded is read."""

import json
import os

import pytest

from support.programs import fails, ganspec

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize("name", ["log.csv", "run.json", "checkpoints/00000009.safetensors"])
def test_a_link_in_the_place_of_a_half_written_file_is_not_followed(name, run, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    trap = (run / name).with_name(f".{(run / name).name}.part")
    trap.symlink_to(precious)
    done = ganspec("train", "--resume", run, "--iterations", 9)
    assert done.returncode == 0, done.stderr
    assert precious.read_text() == "precious"
    assert (run / name).is_file()
    assert not (run / name).is_symlink()


def test_a_named_pipe_in_the_place_of_a_half_written_file_does_not_hang(run):
    os.mkfifo(run / ".log.csv.part")
    assert ganspec("train", "--resume", run, "--iterations", 9).returncode == 0


def test_a_log_that_is_large_at_no_cost_is_refused_at_once(run):
    os.truncate(run / "log.csv", 20 * 2**30)
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "log.csv", "larger than")


def test_a_file_in_the_place_of_the_checkpoints_is_named(run):
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    (run / "checkpoints").rmdir()
    (run / "checkpoints").touch()
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "checkpoints: is not a folder")


def test_a_log_cell_with_an_underscore_is_no_number(run):
    rows = (run / "log.csv").read_text().splitlines(keepends=True)
    cells = rows[3].split(",")
    rows[3] = ",".join([cells[0], cells[1], "1_0", *cells[3:]])
    (run / "log.csv").write_text("".join(rows))
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "log.csv: line 4")


def test_the_package_is_a_command_too(run):
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "ganspec", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ganspec ")
    assert json.loads((run / "run.json").read_text())["versions"]["ganspec"] == done.stdout.split()[1]
