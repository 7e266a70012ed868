"""`ganspec train --download`, from a server on this machine."""

import gzip
import hashlib
import json
import struct
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.data import catalogue, transfer
from support.programs import SMALL, fails, ganspec, here

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
COUNT = 24


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Serves a small "mnist" of 6x6 images; returns the folder of its files, and the list of what is asked for."""
    folder, asked = tmp_path / "site", []
    folder.mkdir()
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, COUNT * 36, np.uint8).tobytes()
    (folder / IMAGES).write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, COUNT, 6, 6) + pixels, mtime=0))
    labels = bytes(i % 10 for i in range(COUNT))
    (folder / LABELS).write_bytes(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, COUNT) + labels, mtime=0))

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def published(name):
        content = (folder / name).read_bytes()
        digests = hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()
        return catalogue.Published(name, len(content), *digests, (f"http://127.0.0.1:{server.server_port}/{name}",))

    known = catalogue.Known("digits", "a test", (published(IMAGES), published(LABELS)), "")
    monkeypatch.setitem(catalogue.CATALOGUE, "mnist", known)
    monkeypatch.setattr(transfer, "WAITS", (0, 0))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder, asked
    server.shutdown()
    server.server_close()


def train(out, *more, iterations=2):
    return here("train", "wgan_gp_mlp_mnist", *SMALL, "--out", out, "--iterations", iterations, *more)


@pytest.mark.usefixtures("no_pictures")
def test_data_set_is_fetched_once_trained_on_and_found_again_by_resuming(site, tmp_path, capsys):
    _, asked = site
    assert train(tmp_path / "a", "--download") == 0
    assert "24 images 1x6x6" in capsys.readouterr().out
    assert len(asked) == 2
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert Path(record["data"]) == (tmp_path / "cache" / "ganspec" / "mnist").resolve()
    assert sorted(path.name for path in Path(record["data"]).iterdir()) == [IMAGES, LABELS]
    assert here("train", "--resume", tmp_path / "a", "--iterations", 4) == 0
    assert here("train", "--resume", tmp_path / "a", "--iterations", 5, "--download") == 0
    assert train(tmp_path / "b", "--download") == 0
    assert len(asked) == 2  # what is there is not fetched again
    assert here("train", "--resume", tmp_path / "b", "--data", record["data"], "--iterations", 4) == 0


def test_folder_to_download_to_is_made_and_means_download(site, tmp_path):
    assert train(tmp_path / "run", "--download-to", tmp_path / "kept" / "here") == 0
    assert (tmp_path / "kept" / "here" / "mnist" / IMAGES).exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("no_pictures")
def test_a_download_that_was_cut_short_is_gone_on_with(site, tmp_path):
    folder, _ = site
    whole = (folder / IMAGES).read_bytes()
    part = tmp_path / "kept" / "mnist" / f"{IMAGES}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole[:100])
    assert train(tmp_path / "run", "--download-to", tmp_path / "kept") == 0
    assert (part.parent / IMAGES).read_bytes() == whole
    assert not part.exists()


def test_a_wrong_file_is_refused_and_no_run_is_begun(site, tmp_path, capsys):
    folder, _ = site
    content = bytearray((folder / IMAGES).read_bytes())
    content[-9] ^= 1
    (folder / IMAGES).write_bytes(content)
    assert train(tmp_path / "run", "--download") == 2
    assert "gave another file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").rglob(IMAGES))


def test_dry_run_downloads_nothing(site, capsys, tmp_path):
    assert train(tmp_path / "run", "--download", "--dry-run") == 0
    assert "data: none yet: mnist, to be downloaded (0.0 MB)" in capsys.readouterr().out
    assert site[1] == []
    assert train(tmp_path / "run", "--download") == 0
    assert train(tmp_path / "other", "--download", "--dry-run") == 0
    assert "images: 24, 6 whole batches per epoch" in capsys.readouterr().out
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["began_mnist", "--download", "--data", "a.npz"], ["not allowed with argument"]),
        (["began_mnist", "--download-to", "there", "--data", "a.npz"], ["--data and --download-to exclude each other"]),
        (["own.toml", "--download"], ["names no data set that can be downloaded", "--data PATH"]),
        (["own.toml"], ["no data ships with ganspec for it; give some with --data PATH"]),
        (["dcgan_cifar10"], ["--download fetches cifar10, which its source trains on; or give some with --data PATH"]),
    ],
)
def test_a_mistake_about_data_gives_one_clear_message(arguments, texts, tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    assert fails(ganspec("train", *arguments, cwd=tmp_path), *texts)
    assert [path.name for path in tmp_path.iterdir()] == ["own.toml"]


OWN = """
title = "one's own"
source = "a test"
loss = "wgan_gp"
schedule = "critic_repeats"
networks = { G = "mlp_generator", D = "mlp_discriminator" }
draws.z = { sample = "uniform(-1, 1)", shape = "G.z" }
[optimizers]
kind = "adam"
learning_rate = 1e-4
beta1 = 0
beta2 = 0.9
epsilon = 1e-8
epsilon_place = "corrected"
[data]
shape = [1, 28, 28]
range = [-1, 1]
fit = "exact"
[run]
batch = 4
epochs = 1
samples_every = 9
checkpoint_every = 9
grid = [1, 2]
moving_average = 9
"""
