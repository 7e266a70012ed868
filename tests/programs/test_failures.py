"""What happens when the machine fails: a full disk, closed streams, no memory, Ctrl-C. One message, a code, nothing lost."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec.training.checkpoint import CheckpointError, Record, write_checkpoint
from ganspec.spec.training.state import TrainingState
from ganspec.tools import backends
from ganspec.tools.errors import cannot_write, is_out_of_memory
from ganspec.tools.run.log import RunLog
from support.programs import SMALL, fails, ganspec, here

SYSTEM = "wgan_gp_mlp_mnist"
FULL = OSError(errno.ENOSPC, "No space left on device")


def train(images, out, iterations, *more):
    return here("train", SYSTEM, *SMALL, "--data", images, "--out", out, "--iterations", iterations, *more)


def test_a_folder_with_something_in_it_is_not_overwritten(images, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    process = ganspec("train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", tmp_path / "run")
    assert fails(process, "exists already")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_an_output_folder_that_cannot_be_made_is_said(images, tmp_path):
    (tmp_path / "file").write_text("")
    process = ganspec("train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", tmp_path / "file" / "run")
    assert fails(process, "cannot be written")


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    state = TrainingState(1, {}, {}, {"parameters/G/l/W": np.zeros(3)})
    record = Record({}, 0, "float64", "host", 0, "", {})
    write_checkpoint(path, state, record)
    before = path.read_bytes()

    def full(_):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_checkpoint(path, state, record)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "free some space there, or choose another place with --out DIR"),
        (errno.EDQUOT, "free some space there, or choose another place with --out DIR"),
        (errno.EROFS, "make that disk writable, or choose another place with --out DIR"),
        (errno.EACCES, "get the permission to write there, or choose another place with --out DIR"),
        (errno.ENAMETOOLONG, "shorten that path, or choose another place with --out DIR"),
        (
            errno.ENOTDIR,
            "move away the file, or the link, that stands in that path, or choose another place with --out DIR",
        ),
        (errno.EXDEV, "mend that, or choose another place with --out DIR"),
    ],
)
def test_the_remedy_is_that_of_the_error(number, text):
    message = str(cannot_write(Path("a\x1b[2J/run"), OSError(number, os.strerror(number))))
    assert text in message
    assert ("free some space" in message) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert "\x1b" not in message
    assert "choose" not in str(cannot_write(Path("a"), OSError(number, "x"), then="go on with: ganspec train"))


def test_a_disk_that_is_full_while_logging_is_said_and_the_run_goes_on_afterwards(
    images, tmp_path, monkeypatch, capsys
):
    out, whole = tmp_path / "run", tmp_path / "whole"
    append = RunLog.append

    class Disk:
        """A file on a disk that becomes full in the middle of a row."""

        def __init__(self, file):
            self.file, self.left = file, 300

        def write(self, content):
            if not self.left:
                raise FULL
            written = self.file.write(bytes(content[: self.left]))
            self.left -= written
            return written

        def __getattr__(self, name):
            return getattr(self.file, name)

    def on_a_small_disk(log, rows):
        if not isinstance(log._file, Disk):
            log._file = Disk(log._file)
        append(log, rows)

    monkeypatch.setattr(RunLog, "append", on_a_small_disk)
    assert train(images, out, 20) == 2
    (message,) = (line for line in capsys.readouterr().err.splitlines() if "log.csv" in line)
    assert "No space left on device; free some space there, then go on with: ganspec train --resume" in message
    assert not (out / "log.csv").read_text().endswith("\n")
    monkeypatch.setattr(RunLog, "append", append)
    assert here("train", "--resume", out, "--iterations", 20) == 0
    assert train(images, whole, 20) == 0
    assert (out / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()


def test_a_disk_that_is_full_while_saving_is_said_with_the_way_to_go_on(images, tmp_path, monkeypatch, capsys):
    from ganspec.tools.run import loop

    def full(path, state, record):
        raise CheckpointError(f"{path}: cannot be written") from FULL

    assert train(images, tmp_path / "run", 7) == 0
    monkeypatch.setattr(loop, "write_checkpoint", full)
    assert here("train", "--resume", tmp_path / "run", "--iterations", 14) == 2
    assert "free some space there, then go on with: ganspec train --resume" in capsys.readouterr().err


def test_a_folder_that_could_not_be_made_whole_is_taken_away_again(images, tmp_path, monkeypatch, capsys):
    from ganspec.tools.run import folder

    def full(path, record):
        raise FULL

    monkeypatch.setattr(folder, "write_record", full)
    assert train(images, tmp_path / "run", 7) == 2
    assert "free some space" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def memory_error(backend, kind):
    if kind == "allocator":
        return RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
            "1099511627776 bytes. Error code 12 (Cannot allocate memory)"
        )
    if kind == "device":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return MemoryError()


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("kind", ["allocator", "device", "python"])
def test_memory_that_runs_out_gives_one_message_and_the_run_goes_on_from_its_checkpoint(
    kind, images, tmp_path, monkeypatch, capsys
):
    out, trainer = tmp_path / "run", backends.load("torch").Trainer
    iterate = trainer.iterate

    def greedy(self, feed):
        if self.iteration == 9:
            raise memory_error("torch", kind)
        return iterate(self, feed)

    monkeypatch.setattr(trainer, "iterate", greedy)
    assert train(images, out, 14) == 2
    error = capsys.readouterr().err
    assert "out of memory (cpu) in iteration 10; the run is safe up to iteration 7" in error
    assert f"go on with: ganspec train --resume {out}" in error
    assert "--set run.batch=2" in error
    monkeypatch.setattr(trainer, "iterate", iterate)
    assert here("train", "--resume", out, "--iterations", 14) == 0


def test_pytorch_says_of_its_own_that_memory_ran_out():
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_memory_that_runs_out_at_once_gives_one_message(monkeypatch, capsys):
    def greedy(name, **options):
        raise memory_error("torch", "allocator")

    monkeypatch.setattr(backends, "load", greedy)
    assert here("train", SYSTEM, *SMALL) == 2
    assert capsys.readouterr().err.startswith("out of memory: end other programs, or make the batch")


@pytest.mark.parametrize("module", ["ganspec.tools.programs.train", "torch"])
def test_an_interrupt_while_modules_are_imported_is_no_traceback(module, tmp_path):
    # A finder that interrupts stands for Ctrl-C in the seconds that an import takes.
    code = (
        "import sys\nclass Interrupt:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == '{module}': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\nfrom ganspec.tools.__main__ import main\nsys.exit(main(['train', 'began_mnist']))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (process.returncode, process.stderr) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_that_python_wraps_is_one(monkeypatch, capsys):
    def make_class(arguments):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()  # so says Python 3.11

    monkeypatch.setattr("ganspec.tools.programs.systems.run", make_class)
    assert here("systems") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_next_to_nothing_is_imported_before_ctrl_c_is_watched_for():
    code = "import sys; before = {*sys.modules}; import ganspec.tools.__main__; print(*sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} <= {"ganspec", "ganspec.tools", "ganspec.tools.__main__", "errno"}


@pytest.mark.parametrize("words", ["--help", "--version", "train --help", ""])
def test_help_that_cannot_be_written_is_a_failure(words):
    command = f"{sys.executable} -u -m ganspec.tools {words} > /dev/full"  # -u: each line is written at once
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.startswith("the standard output cannot be written: No space left on device")


@pytest.mark.parametrize(
    ("streams", "code", "error"),
    [
        ("> /dev/full", 2, "the standard output cannot be written: No space left on device; send it to another file"),
        (">&-", 2, "the standard output is closed; send it to a file, or to /dev/null\n"),
        ("2>&-", 0, ""),
        ("2> /dev/full", 0, ""),
        (">&- 2>&-", 2, ""),
    ],
)
def test_a_stream_that_is_full_or_closed_gives_a_code_and_no_traceback(streams, code, error):
    command = f"{sys.executable} -m ganspec.tools systems {streams}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert process.returncode == code, process.stderr
    assert process.stderr.startswith(error)
    assert len(process.stderr.splitlines()) <= 1


def test_training_whose_bar_nobody_can_see_goes_on(images, tmp_path):
    words = ["train", SYSTEM, *SMALL, "--data", images, "--out", tmp_path / "run", "--iterations", "3"]
    command = [sys.executable, "-m", "ganspec.tools", *map(str, words)]
    with open("/dev/full", "w") as full:
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert process.returncode == 0
    assert "done: 3 iterations" in process.stdout


def test_escapes_in_a_strangers_title_and_path_are_not_obeyed(images, tmp_path, capsys):
    (tmp_path / "hostile.toml").write_text(
        'title = "\\u001b[2Jcleared"\nsource = "a test"\nlike = "wgan_gp_mlp_mnist"\n'
    )
    for program in ("show", "train"):
        assert here(program, tmp_path / "hostile.toml") == 2
    refused = capsys.readouterr()
    assert "title: expected printable characters, found \\x1b[2Jcleared" in refused.err
    assert "\x1b" not in refused.out + refused.err
    (tmp_path / "mine.toml").write_text(
        f'title = "a test"\nsource = "a test"\nlike = "{SYSTEM}"\ndata.shape = [1, 6, 6]\n'
        "networks.G = { latent = 3, width = 6, size = 6 }\nnetworks.D = { width = 5, size = 6 }\nrun.batch = 4\n"
    )
    out = tmp_path / "a\x1b[2Jrun"
    arguments = [tmp_path / "mine.toml", "--data", images, "--out", out, "--iterations", 1]
    assert here("show", tmp_path / "mine.toml") == 0
    assert here("train", *arguments, "--dry-run") == 0
    assert here("train", *arguments) == 0
    assert here("train", *arguments) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out
    assert "\\x1b[2Jrun: exists already" in printed.err
