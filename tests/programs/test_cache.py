"""`ganspec train` with decoded images on the disk: the same run as with images in memory."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ganspec.tools.data import bounds
from support.programs import SMALL, here

SYSTEM = "wgan_gp_mlp_mnist"


def log(run):
    return (run / "log.csv").read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_a_run_from_the_cache_is_the_run_from_memory_and_goes_on_without_it(images, tmp_path, capsys):
    pytest.importorskip("torch")  # one backend is enough: both get the same batches
    asked = [SYSTEM, *SMALL, "--set", "data.flip=true", "--data", images]
    plain, kept, folder = (tmp_path / name for name in ("plain", "kept", "cache"))
    assert here("train", *asked, "--out", plain, "--iterations", 6) == 0
    assert here("train", *asked, "--out", kept, "--iterations", 3, "--cache-to", folder) == 0
    assert f"cache: 24 images 1x6x6 are decoded into {folder}, 0.9 kB; under a minute" in capsys.readouterr().err
    assert here("train", "--resume", kept, "--iterations", 5, "--cache-to", folder) == 0
    assert "cache:" not in capsys.readouterr().err
    assert here("train", "--resume", kept, "--iterations", 6) == 0
    assert log(kept) == log(plain)


def test_a_dry_run_says_what_the_cache_would_take_and_writes_nothing(images, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(bounds, "CACHE_ABOVE_BYTES", 863)  # 24 images of 36 bytes have 864
    before = sorted(tmp_path.rglob("*"))
    assert here("train", SYSTEM, *SMALL, "--data", images, "--epochs", 10, "--jobs", 3, "--dry-run") == 0
    printed = capsys.readouterr().out
    where = tmp_path / "home" / "ganspec" / "decoded"
    assert f"cache: 24 images 1x6x6 would be decoded into {where}, 0.9 kB; under a minute in 3 processes" in printed
    assert "images: 24, 6 whole batches per epoch" in printed
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_that_cannot_be_written_is_told_before_a_run_s_folder_is_made(images, tmp_path, capsys):
    pytest.importorskip("torch")
    (tmp_path / "cache").write_text("")
    out = tmp_path / "run"
    assert here("train", SYSTEM, *SMALL, "--data", images, "--out", out, "--cache-to", tmp_path / "cache") == 2
    assert "cache: cannot be written (File exists)" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow  # a process and its processes, interrupted while they decode
def test_ctrl_c_while_processes_decode_ends_at_once_and_leaves_nothing_behind(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    (tmp_path / "given").mkdir()
    image.fromarray(pixels).save(tmp_path / "given" / "0000.jpg")
    for number in range(1, 3000):
        os.link(tmp_path / "given" / "0000.jpg", tmp_path / "given" / f"{number:04}.jpg")
    command = [
        sys.executable,
        "-m",
        "ganspec.tools",
        "train",
        SYSTEM,
        *SMALL,
        "--set",
        "data.fit=resize",
        "--jobs",
        "2",
    ]
    command += [
        "--data",
        str(tmp_path / "given"),
        "--cache-to",
        str(tmp_path / "cache"),
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list((tmp_path / "cache").glob("*.partial/images.npy")) and process.poll() is None:
        time.sleep(0.1)
    time.sleep(6)  # by then other processes have begun
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert not (tmp_path / "run").exists()
