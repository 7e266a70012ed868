"""Runs that are killed between gated rounds and between stages of growth go on as if nothing had happened."""

import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.checkpoint import read_checkpoint
from support.programs import SMALL_CGAN, SMALL_PROGRESSIVE, here

SYSTEMS = {"cgan_mnist": (SMALL_CGAN, "digits"), "progressive_cifar10": (SMALL_PROGRESSIVE, "colours")}
END = 10  # iterations: 9 reaches the last stage of growth


def data(system, request):
    return request.getfixturevalue(SYSTEMS[system][1])


def train(system, path, out, backend, iterations, *more):
    arguments = ["--data", path, "--out", out, "--backend", backend, "--iterations", iterations]
    assert here("train", system, *SYSTEMS[system][0], *arguments, *more) == 0


def final(folder, iteration=END):
    return read_checkpoint(folder / "checkpoints" / f"{iteration:08}.safetensors")


def pictures(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".gif")
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_that_lost_what_came_after_a_checkpoint_gives_bit_for_bit_what_an_unbroken_run_gives(
    system, backend, request, tmp_path
):
    path, broken, unbroken = data(system, request), tmp_path / "broken", tmp_path / "unbroken"
    train(system, path, unbroken, backend, END)
    train(system, path, broken, backend, 7)
    # As if killed in iteration 8, after pictures and before its next checkpoint: the newest is that of iteration 6.
    (broken / "checkpoints" / "00000007.safetensors").unlink()
    folders = [broken / "samples", *(broken / "manifold").glob("*")]
    for folder in folders:
        (folder / "00000008.png").write_bytes(b"drawn before the kill")
    assert here("train", "--resume", broken, "--iterations", END) == 0
    assert (broken / "log.csv").read_bytes() == (unbroken / "log.csv").read_bytes()
    (a, ra), (b, rb) = final(broken), final(unbroken)
    assert ra == rb  # with the number of batches that were drawn, which gates decide
    assert (a.iteration, a.updates, a.learning_rates) == (b.iteration, b.updates, b.learning_rates)
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in a.arrays)
    assert pictures(broken) == pictures(unbroken)
    assert len(pictures(broken)) > len(folders) * 3


@pytest.mark.usefixtures("no_pictures")
def test_the_rounds_of_that_gated_run_differ_in_length(digits, tmp_path):
    train("cgan_mnist", digits, tmp_path / "run", "torch", END)
    counts = [final(tmp_path / "run", i)[0].updates for i in (6, 9, 10)]
    assert counts[-1]["D"] > END
    assert counts[-1]["G"] > END  # gates were open for longer than one step
    assert counts[-1]["D"] + counts[-1]["G"] < 10 * END  # and closed before the last
    assert len({(b["D"] - a["D"], b["G"] - a["G"]) for a, b in pairwise(counts)}) > 1


def test_the_checkpoints_of_that_growing_run_are_of_different_stages():
    settings = [setting.removeprefix("--set=") for setting in SMALL_PROGRESSIVE]
    system = load_system("progressive_cifar10", settings)
    assert [system.at(i)[0] for i in (3, 6, 9)] == [2, 4, 6]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_that_changes_the_backend_twice_gives_what_one_backend_gives(system, request, tmp_path):
    path, mixed, plain = data(system, request), tmp_path / "mixed", tmp_path / "plain"
    train(system, path, mixed, "chainer", 3, "--dtype", "float64")
    assert here("train", "--resume", mixed, "--backend", "torch", "--iterations", 6) == 0
    assert here("train", "--resume", mixed, "--backend", "chainer", "--iterations", END) == 0
    train(system, path, plain, "torch", END, "--dtype", "float64")
    (a, ra), (b, rb) = final(mixed), final(plain)
    assert ra == rb
    assert a.updates == b.updates
    for name, array in a.arrays.items():
        scale = max(1e-6, float(np.abs(b.arrays[name]).max()))
        np.testing.assert_allclose(array, b.arrays[name], rtol=0, atol=1e-9 * scale, err_msg=name)


def test_a_run_that_is_interrupted_has_its_animations_and_goes_on_with_the_same_frames(digits, tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    arguments = [
        "--data",
        digits,
        "--out",
        broken,
        "--iterations",
        1000000,
        "--set=run.samples_later={ after = 4, every = 3 }",
    ]
    command = [sys.executable, "-m", "ganspec.tools", "train", "cgan_mnist", *SMALL_CGAN, *arguments]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not (broken / "log.csv").exists() or (broken / "log.csv").read_text().count("\n") < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert all((broken / f"manifold-{label}.gif").stat().st_size for label in range(10))
    stopped = len((broken / "log.csv").read_text().splitlines()) - 1
    end = stopped - stopped % 3 + 6  # pictures are due then
    assert here("train", "--resume", broken, "--iterations", end) == 0
    arguments[3], arguments[5] = unbroken, end
    assert here("train", "cgan_mnist", *SMALL_CGAN, *arguments) == 0
    a, b = pictures(broken), pictures(unbroken)
    assert set(a) - set(b) <= {f"samples/{stopped:08}.png"}  # which the interruption drew
    assert {name: a.get(name) for name in b} == b
