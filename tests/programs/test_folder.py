"""The folder of a run: one process at a time, and every file of it read as if a stranger had written it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ganspec.tools.errors import UserError
from ganspec.tools.run import environment
from ganspec.tools.run.folder import RunFolder, new_folder
from support.programs import SMALL, here, refused, resumed

SYSTEM = "wgan_gp_mlp_mnist"
HOLD = (
    "import sys, pathlib\nfrom ganspec.tools.run.lock import Lock\nheld = Lock(pathlib.Path(sys.argv[1]))\n"
    "print('held', flush=True)\nsys.stdin.read()\n"
)


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(run, capsys):
    log = (run / "log.csv").read_bytes()
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert refused(run, capsys, f"process {other.pid} on ", "is training in this folder")
        with pytest.raises(UserError, match="exists already"):
            RunFolder.create(run, {})
        assert here("train", "--resume", run, "--dry-run") == 0  # which only looks
        other.kill()
    capsys.readouterr()
    assert (run / "log.csv").read_bytes() == log
    assert resumed(run, capsys)[0] == 0


def test_a_folder_that_another_process_is_making_is_refused(tmp_path):
    with RunFolder.create(tmp_path / "run", {}):
        (tmp_path / "run" / "run.json").unlink()
        for name in ("samples", "checkpoints"):
            (tmp_path / "run" / name).rmdir()
        with pytest.raises(UserError, match="is training in this folder"):
            RunFolder.create(tmp_path / "run", {})


def test_a_lock_that_is_a_link_or_a_pipe_is_not_followed(run, tmp_path, capsys):
    precious = tmp_path / "precious"
    precious.write_text("thesis")
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(precious)
    assert refused(run, capsys, ".lock: cannot be written")
    assert precious.read_text() == "thesis"


def test_two_runs_without_a_name_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [new_folder("a/b").name for _ in range(3)] == ["a-b-001", "a-b-002", "a-b-003"]


WRONG_RECORD = [
    ("backend", "torch.trainer", "backend: expected one of chainer, torch, found 'torch.trainer'"),
    ("device", "tpu", "device: expected one of cpu, cuda, cuda:N, found 'tpu'"),
    ("dtype", "float16", "dtype: expected one of float32, float64, found 'float16'"),
    ("draws", ["host"], "draws: expected one of device, host, found ['host']"),
    ("seed", True, "seed: expected a whole number from 0 to 2^63 - 1, found True"),
    ("seed", -1, "seed: expected a whole number from 0 to 2^63 - 1, found -1"),
    ("seed", 2**63, "seed: expected a whole number from 0 to 2^63 - 1"),
    ("settings", [1], "settings: expected a list of at most 1,000 texts"),
    ("settings", ["a"] * 1001, "settings: expected a list of at most 1,000 texts"),
    ("system", "", "system: expected the name of a system"),
    ("data", "a\0b", "data: expected text of at most 5,000 characters"),
    ("data", None, "data: expected text"),
    ("format", "ganspec run 1", "was written by an earlier version of ganspec"),
    ("format", {}, "is not the record of a run of this version (ganspec run 2)"),
]


@pytest.mark.parametrize(("key", "value", "text"), WRONG_RECORD, ids=lambda value: str(value)[:20])
def test_every_key_of_the_record_is_checked_like_an_option(key, value, text, run, capsys):
    record = json.loads((run / "run.json").read_text())
    assert key in record
    (run / "run.json").write_text(json.dumps({**record, key: value}))
    assert refused(run, capsys, text)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe", b"", b"[]", b"null", b'{"format": ' + b"9" * 9999 + b"}"]
)
def test_a_record_that_is_none_is_refused(content, run, capsys):
    (run / "run.json").write_bytes(content)
    assert refused(run, capsys, "run.json: is not ")


@pytest.mark.parametrize("name", ["run.json", "log.csv", "checkpoints/00000008.safetensors"])
def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_refused_and_not_waited_for(name, run, capsys):
    (run / name).unlink()
    os.mkfifo(run / name)
    assert refused(run, capsys, "is not a regular file")
    (run / name).unlink()
    (run / name).mkdir()
    assert refused(run, capsys, name)


@pytest.mark.parametrize(
    ("line", "content", "text"),
    [
        (0, b"iteration,epoch", "has the columns 'iteration,epoch', expected 'iteration,epoch,loss_D"),
        (3, b"3,0,1,2,many,4", "line 4 is '3,0,1,2,many,4', expected iteration 3 and its 5 other numbers"),
        (3, b"3,0,1,2", "line 4 is '3,0,1,2', expected iteration 3"),
        (3, b"2,0,1,2,3,4", "expected iteration 3"),
        (3, b"9" * 5000 + b",0,1,2,3,4", "expected iteration 3"),
        (3, b"\xff\x00", "has bytes that are not text"),
        (3, b"\x1b[2J", "line 4 is '\\x1b[2J', expected iteration 3"),
        (slice(5, None), [], "has 4 of the 8 rows before the checkpoint"),
    ],
    ids=str,
)
def test_a_log_that_is_not_what_the_run_wrote_is_refused(line, content, text, run, capsys):
    rows = (run / "log.csv").read_bytes().split(b"\n")
    rows[line] = content
    (run / "log.csv").write_bytes(b"\n".join([*rows, b""]))
    assert refused(run, capsys, text, "put back the log as the run wrote it, or start a new run")


@pytest.mark.usefixtures("no_pictures")
def test_rows_after_the_checkpoint_are_dropped_whatever_they_are(run, capsys):
    whole = (run / "log.csv").read_bytes()
    (run / "log.csv").write_bytes(whole + b"9,0,nothing\nnothing,0\n10,0,1.")
    code, error = resumed(run, capsys)
    assert code == 0, error
    assert (run / "log.csv").read_bytes().startswith(whole + b"9,1,")
    assert (run / "log.csv").read_bytes().count(b"\n") == 10


def test_settings_given_when_resuming_are_added_and_the_last_one_wins(run, capsys):
    for _ in range(2):
        code, error = resumed(run, capsys, "--set", "run.samples_every=3", "--set", "run.samples_every=1")
        assert code == 0, error  # with none of the settings that the run was started with repeated
    assert (run / "samples" / "00000009.png").exists()
    settings = json.loads((run / "run.json").read_text())["settings"]
    assert settings[-2:] == ["run.samples_every=3", "run.samples_every=1"]
    assert len(settings) == len(SMALL) / 2 + 2
    assert here("train", "--resume", run, "--iterations", 10) == 0
    assert (run / "samples" / "00000010.png").exists()


def test_the_record_says_what_the_run_was_made_with(finished):
    versions = json.loads((finished / "run.json").read_text())["versions"]
    assert {"ganspec", "commit", "python", "numpy", "torch", "cuda", "system", "cpu"} == set(versions)
    assert versions["numpy"] == np.__version__
    assert versions["cpu"]


def test_the_commit_is_read_as_git_says_it(tmp_path):
    def git(*words, cwd):
        done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=cwd, capture_output=True,
                              text=True, check=True)  # fmt: skip
        return done.stdout.strip()

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    assert environment.commit(one) is None
    git("init", "-q", "-b", "main", cwd=one)
    assert environment.commit(one) is None
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=one)
    head = git("rev-parse", "HEAD", cwd=one)
    assert environment.commit(one) == head
    git("pack-refs", "--all", cwd=one)
    assert environment.commit(one) == head
    git("worktree", "add", "-q", "-b", "side", str(two), cwd=one)
    git("commit", "-q", "--allow-empty", "-m", "second", cwd=two)
    assert environment.commit(two) == git("rev-parse", "HEAD", cwd=two) != head
    git("checkout", "-q", "--detach", cwd=two)
    assert environment.commit(two) == git("rev-parse", "HEAD", cwd=two)
    (one / ".git" / "HEAD").write_text("ref: refs/../../../secret\n")
    assert environment.commit(one) is None
