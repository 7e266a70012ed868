"""The programs as a user meets them: what they leave, what they print, and what they say of mistakes."""

import csv
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from support.programs import SMALL, fails, ganspec


def test_train_leaves_a_whole_run_folder(backend, images, tmp_path):
    out = tmp_path / "run"
    process = ganspec(
        "train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", out, "--iterations", 20, "--backend", backend
    )
    assert process.returncode == 0, process.stderr
    assert "20/20" in process.stderr
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert list(rows[0]) == ["iteration", "epoch", "loss_D", "distance", "gradient_penalty", "loss_G"]
    assert len(rows) == 20
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    assert [p.name for p in sorted((out / "samples").iterdir())] == ["00000000.png", "00000010.png", "00000020.png"]
    with Image.open(out / "samples" / "00000020.png") as grid:
        factor = round(512 / (3 * 8 - 2))
        assert grid.size == ((3 * 8 - 2) * factor, (2 * 8 - 2) * factor)
        assert len(set(grid.tobytes())) > 10
    with Image.open(out / "losses.png") as plot:
        assert plot.width > 100
    record = json.loads((out / "run.json").read_text())
    assert record["resolved"]["loss"]["constants"] == {"penalty_weight": 10.0, "stabiliser": 0.0}
    assert record["backend"] == backend
    assert len(list((out / "checkpoints").iterdir())) == 3


@pytest.mark.usefixtures("no_pictures")
def test_both_backends_write_the_same_log_to_rounding(images, tmp_path):
    tables = []
    for backend in ("torch", "chainer"):
        out = tmp_path / backend
        options = ["--data", images, "--out", out, "--epochs", 1, "--backend", backend, "--dtype", "float64"]
        assert ganspec("train", "wgan_gp_mlp_mnist", *SMALL, *options).returncode == 0
        tables.append(np.loadtxt(out / "log.csv", delimiter=",", skiprows=1))
    assert tables[0].shape == (6, 6)  # 24 images in batches of 4 are one epoch
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-8, atol=1e-10)


def test_a_system_of_ones_own_trains_from_its_path(images, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'title = "mine"\nsource = "mine"\nloss = "wgan_gp"\nschedule = "critic_repeats"\n[networks]\n'
        'G = { use = "mlp_generator", latent = 3, width = 6, size = 6 }\n'
        'D = { use = "mlp_discriminator", width = 5, size = 6 }\n'
        '[draws]\nz = { sample = "normal(0, 1)", shape = "G.z" }\n'
        '[optimizers]\nkind = "adam"\nlearning_rate = 1e-3\nbeta1 = 0\nbeta2 = 0.9\nepsilon = 1e-8\n'
        'epsilon_place = "corrected"\n[data]\nshape = [1, 6, 6]\nrange = [-1, 1]\nfit = "exact"\n'
        "[run]\nbatch = 4\nepochs = 1\nsamples_every = 9\ncheckpoint_every = 9\ngrid = [1, 2]\nmoving_average = 9\n"
    )
    process = ganspec("train", "mine.toml", "--data", images, "--out", "run", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "run" / "losses.png").exists()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of overflows: they are what is wanted
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(backend, images, tmp_path):
    out = tmp_path / "run"
    process = ganspec(
        "train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", out, "--iterations", 50,
        "--set", "optimizers.learning_rate=1e15", "--backend", backend,
    )  # fmt: skip
    assert fails(process, "stopped:", "the last good checkpoint is", "00000000.safetensors", code=3)
    assert (out / "checkpoints" / "00000000.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["train", "wgan_gp_mnist"], ["no system 'wgan_gp_mnist'", "did you mean 'wgan_gp_mlp_mnist'?"]),
        (["train", "began_mnist", "--set", "loss.gama=1"], ["gama", "did you mean 'gamma'?"]),
        (["train", "began_mnist", "--data", "nowhere.npz"], ["nowhere.npz"]),
        (["train", "began_faces64"], ["no data ships with ganspec", "--download fetches lfw", "--data PATH"]),
        (["train", "began_mnist", "--backend", "jax"], ["invalid choice: 'jax'"]),
        (["train", "began_mnist", "--iterations", "0"], ["whole number from 1"]),
        (["train", "began_mnist", "--set", "networks.G.code=2000000000"], ["networks.G", "parameters, at most"]),
        (["train"], ["which system?"]),
        (["train", "--resume", "nowhere"], ["is not the folder of a run"]),
        (["show", "no_such.toml"], ["no_such.toml"]),
        (["crosscheck", "began_mnist", "--iterations", "0"], ["--iterations"]),
        (["frobnicate"], ["invalid choice: 'frobnicate'"]),
    ],
)
def test_a_mistake_gives_one_clear_message(arguments, texts, tmp_path):
    assert fails(ganspec(*arguments, cwd=tmp_path), *texts)
    assert list(tmp_path.iterdir()) == []


def test_a_cuda_device_that_is_not_there_is_said(backend, tmp_path):
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "ganspec.tools", "train", "began_mnist", "--device", "cuda", "--backend", backend]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=hidden, check=False)
    assert fails(process, "no CUDA device", "--device cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_framework_that_is_not_installed_is_said_with_the_remedy(backend, tmp_path):
    # A finder that refuses the framework stands for an environment without it.
    blocked = (
        "import sys\nclass Block:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == '{backend}': raise ModuleNotFoundError('no', name='{backend}')\n"
        "sys.meta_path.insert(0, Block())\nfrom ganspec.tools.__main__ import main\n"
        "sys.exit(main(['train', 'began_mnist', '--backend', "
        f"'{backend}', '--iterations', '1']))\n"
    )
    process = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert fails(process, "is not installed", "pip install", f"ganspec[{backend}]")


def test_show_starts_at_once_and_imports_no_framework():
    code = (
        "import sys; from ganspec.tools.__main__ import main; main(['show', 'wgan_gp_mlp_mnist']); "
        "print('LOADED', {'torch', 'chainer', 'numpy'} & set(sys.modules))"
    )
    start = time.perf_counter()
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED set()" in process.stdout
    assert time.perf_counter() - start < 5  # 0.2 s on a quiet machine; this guards only against a framework's import
    for text in (
        "147,856 parameters",
        "penalty_weight = 10",
        "arXiv:1704.00028",
        "minimise",
        "epsilon_place = corrected",
    ):
        assert text in process.stdout
