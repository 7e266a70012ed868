"""A run that is killed at any instant goes on as if nothing had happened; in the other backend, to rounding."""

import json
import shutil
import signal

import numpy as np
import pytest

from ganspec.spec.training.checkpoint import read_checkpoint
from support.programs import SMALL, SMALL_BEGAN, fails, ganspec, killed, process

SYSTEMS = {"wgan_gp_mlp_mnist": SMALL, "began_mnist": SMALL_BEGAN}


def train(system, images, out, backend, iterations, *more):
    return ganspec(
        "train", system, *SYSTEMS[system], "--data", images, "--out", out, "--backend", backend,
        "--iterations", iterations, *more,
    )  # fmt: skip


def final(folder, iteration):
    state, record = read_checkpoint(folder / "checkpoints" / f"{iteration:08}.safetensors")
    return state, record


def killed_after_a_checkpoint(system, images, out, backend, iteration):
    """Start a run, and kill it without warning once it has passed a checkpoint."""
    options = ["--data", images, "--out", out, "--backend", backend, "--iterations", 100_000]
    running = process("train", system, *SYSTEMS[system], *options)
    killed(running, lambda: list((out / "checkpoints").glob(f"*{iteration:02}.safetensors")))


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("system", "backend"),
    [
        ("wgan_gp_mlp_mnist", "torch"),
        ("began_mnist", "chainer"),
        # Elsewhere both backends lose what came after a checkpoint; here the process is killed, which is the same code for all.
        pytest.param("wgan_gp_mlp_mnist", "chainer", marks=pytest.mark.slow),
        pytest.param("began_mnist", "torch", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_gives_bit_for_bit_what_an_unbroken_run_gives(system, backend, images, tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    killed_after_a_checkpoint(system, images, broken, backend, 14)
    last = sorted((broken / "checkpoints").glob("*.safetensors"))[-1]
    end = int(last.stem) + 16
    # A row that the kill cut short, and rows after the checkpoint, are no obstacle.
    with (broken / "log.csv").open("a") as log:
        log.write("99999,0,1.5")
    resumed = ganspec("train", "--resume", broken, "--iterations", end)
    assert resumed.returncode == 0, resumed.stderr
    assert train(system, images, unbroken, backend, end).returncode == 0
    assert (broken / "log.csv").read_bytes() == (unbroken / "log.csv").read_bytes()
    rows = (broken / "log.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(1, end + 1))
    (a, ra), (b, rb) = final(broken, end), final(unbroken, end)
    assert ra == rb
    assert (a.iteration, a.updates, a.learning_rates) == (b.iteration, b.updates, b.learning_rates)
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in a.arrays)
    if system == "began_mnist":
        assert ra.epoch["last"] is not None  # what the learning-rate decay remembers was part of what was resumed


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_checkpoint_of_one_backend_resumes_in_the_other(system, images, tmp_path):
    mixed, plain = tmp_path / "mixed", tmp_path / "plain"
    assert train(system, images, mixed, "chainer", 12, "--dtype", "float64").returncode == 0
    assert ganspec("train", "--resume", mixed, "--backend", "torch", "--iterations", 24).returncode == 0
    assert train(system, images, plain, "torch", 24, "--dtype", "float64").returncode == 0
    (a, _), (b, _) = final(mixed, 24), final(plain, 24)
    assert a.updates == b.updates
    for name, array in a.arrays.items():
        scale = max(1e-6, float(np.abs(b.arrays[name]).max()))
        np.testing.assert_allclose(array, b.arrays[name], rtol=0, atol=1e-9 * scale, err_msg=name)


def test_sampling_does_not_disturb_training(backend, images, tmp_path):
    often, never = tmp_path / "repeat_override", tmp_path / "never"
    system = "wgan_gp_mlp_mnist"
    assert train(system, images, often, backend, 12, "--set", "run.samples_every=1").returncode == 0
    assert train(system, images, never, backend, 12, "--set", "run.samples_every=99999").returncode == 0
    assert len(list((often / "samples").iterdir())) > len(list((never / "samples").iterdir()))
    a, b = final(often, 12)[0], final(never, 12)[0]
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in a.arrays)


def test_interrupt_saves_and_says_how_to_resume(images, tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", out, "--iterations", 1_000_000]
    log, running = out / "log.csv", process(*arguments)
    errors = killed(running, lambda: log.exists() and log.read_text().count("\n") >= 5, signal.SIGINT)
    assert running.returncode == 130
    assert f"ganspec train --resume {out} --iterations=1000000" in errors
    assert "Traceback" not in errors
    rows = len((out / "log.csv").read_text().splitlines()) - 1
    assert final(out, rows)[0].iteration == rows


@pytest.mark.usefixtures("no_pictures")
def test_a_run_goes_on_bit_for_bit_with_draws_of_the_device(backend, images, tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    assert train("wgan_gp_mlp_mnist", images, broken, backend, 2).returncode == 0
    assert ganspec("train", "--resume", broken, "--iterations", 4, "--draws", "device").returncode == 0
    assert json.loads((broken / "run.json").read_text())["draws"] == "device"
    assert train("wgan_gp_mlp_mnist", images, unbroken, backend, 4).returncode == 0
    assert (broken / "log.csv").read_bytes() == (unbroken / "log.csv").read_bytes()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns: the folder of a finished run of 7 iterations on its images, which nobody may change."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "images.npz", images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    done = train("wgan_gp_mlp_mnist", folder / "images.npz", folder / "run", "torch", 7)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    """Returns: a copy of it."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.usefixtures("no_pictures")
def test_a_run_remembers_each_time_that_it_was_resumed_and_goes_on_as_it_last_did(run, trained, images):
    assert ganspec("train", "--resume", run, "--backend", "chainer", "--iterations", 9).returncode == 0
    assert ganspec("train", "--resume", run, "--data", images, "--iterations", 11).returncode == 0
    record = json.loads((run / "run.json").read_text())
    assert (record["backend"], record["data"]) == ("chainer", str(images))
    found = [(s["iteration"], s["backend"], "chainer" in s["versions"], s["data"]) for s in record["resumed"]]
    assert found == [(7, "chainer", True, str(trained.with_name("images.npz"))), (9, "chainer", True, str(images))]


def test_resuming_under_a_changed_system_is_refused_with_the_difference(run):
    done = ganspec("train", "--resume", run, *SMALL, "--set", "loss.penalty_weight=5", "--iterations", 9)
    assert fails(done, "the system has changed", "loss.constants.penalty_weight: 10.0 became 5.0")


def test_resuming_with_another_seed_or_other_data_is_refused(run, tmp_path):
    assert fails(ganspec("train", "--resume", run, "--seed", 4, "--iterations", 9), "--seed 0")
    other = tmp_path / "other.npz"
    np.savez(other, images=np.zeros((24, 6, 6), np.uint8))
    done = ganspec("train", "--resume", run, "--data", other, "--iterations", 9)
    assert fails(done, "is not the data that this run was started with")


def checkpoint(run):
    return run / "checkpoints" / "00000007.safetensors"


def test_a_truncated_checkpoint_is_refused_and_nothing_is_lost(run):
    whole = checkpoint(run).read_bytes()
    log = (run / "log.csv").read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        checkpoint(run).write_bytes(whole[:length])
        done = ganspec("train", "--resume", run, "--iterations", 9)
        assert fails(done, "00000007.safetensors", "move this file away")
    assert (run / "log.csv").read_bytes() == log


def test_a_checkpoint_with_a_flipped_bit_is_refused(run):
    whole = bytearray(checkpoint(run).read_bytes())
    whole[-3] ^= 1
    checkpoint(run).write_bytes(whole)
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "is damaged")


def test_a_checkpoint_with_nan_is_refused(run):
    whole = bytearray(checkpoint(run).read_bytes())
    whole[-4:] = np.float32(np.nan).tobytes()
    checkpoint(run).write_bytes(whole)
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "not finite")


@pytest.mark.usefixtures("no_pictures")
def test_a_checkpoint_of_another_system_is_refused(run, images, tmp_path):
    other = tmp_path / "began"
    assert train("began_mnist", images, other, "torch", 7).returncode == 0
    checkpoint(run).write_bytes(checkpoint(other).read_bytes())
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "the system has changed")


def test_a_run_record_that_lacks_a_key_is_refused(run):
    record = json.loads((run / "run.json").read_text())
    del record["settings"]
    (run / "run.json").write_text(json.dumps(record))
    assert fails(ganspec("train", "--resume", run, "--iterations", 9), "run.json", "the key 'settings' is missing")
