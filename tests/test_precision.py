"""bfloat16 in PyTorch: which operations have it, that all else stays float32, and that nothing of what is proved takes it."""

import json

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.record import RunError, read_record
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.run import album
from support.programs import SMALL, here
from support.tiny_systems import GENERATOR, critic, write_system

SYSTEM = "wgan_gp_mlp_mnist"


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def trained(system, precision, iterations=1):
    """Returns: the recorded numbers of the last of some iterations, and the state after it."""
    trainer = backends.make_trainer("torch", system, 0, precision=precision)
    feed = random_feed(system, 0)
    for _ in range(iterations):
        recorded = trainer.iterate(feed)
    return recorded, trainer.state()


def test_linear_maps_round_to_bfloat16_and_give_float32(torch):
    from ganspec.impl_torch.precision import Lowered

    x, w = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), torch.full((3, 7), 0.1, requires_grad=True)
    low = x.bfloat16().float() @ w.detach().bfloat16().float().T  # the factors round; their sum does once more
    with Lowered("cpu"):
        y = torch.nn.functional.linear(x, w)
        assert torch.equal(x + 1e-6, torch.add(x, 1e-6)), "other operations keep float32"
        assert torch.tanh(x).dtype == torch.float32
    assert y.dtype == torch.float32
    np.testing.assert_allclose(y.detach(), low, rtol=2**-8, atol=2**-8)
    assert not torch.equal(y.detach(), torch.nn.functional.linear(x, w.detach()))
    (gradient,) = torch.autograd.grad(y.sum(), w, create_graph=True)
    assert gradient.dtype == torch.float32


def test_a_penalty_is_differentiated_twice_and_all_that_is_kept_stays_float32(torch, tmp_path):
    system = write_system(tmp_path, "wgan_gp", {"G": GENERATOR, "D": critic()})
    recorded, state = trained(system, "bf16", 3)
    exact, right = trained(system, "full", 3)
    assert {value.dtype for value in recorded.values()} == {torch.float32}
    assert {array.dtype for array in state.arrays.values()} == {np.dtype(np.float32)}
    for name, value in recorded.items():
        assert float(value) == pytest.approx(float(exact[name]), rel=0.05, abs=0.05), name
        assert float(value) != float(exact[name])
    moved = np.concatenate([a.ravel() for n, a in state.of("moments/D/m").items()])
    wanted = np.concatenate([a.ravel() for n, a in right.of("moments/D/m").items()])
    assert moved @ wanted / np.linalg.norm(moved) / np.linalg.norm(wanted) > 0.99


def test_convolutions_and_batch_norm_train_in_bfloat16(torch):
    system = load_system("dcgan_cifar10", ["run.batch=4"], reduced=True)
    recorded, state = trained(system, "bf16")
    exact, _ = trained(system, "full")
    assert all(float(value) == pytest.approx(float(exact[name]), rel=0.05) for name, value in recorded.items())
    assert all(np.isfinite(array).all() for array in state.arrays.values())


def test_samples_are_made_in_float32(torch):
    system = load_system(SYSTEM, reduced=True)
    z = np.zeros((2, *system.symbols["z"].shape), np.float32)
    pair = [backends.make_trainer("torch", system, 0, precision=p).generate(z) for p in ("full", "bf16")]
    assert np.array_equal(*pair)


def test_the_default_is_full_precision_bit_for_bit(torch, tmp_path):
    system = write_system(tmp_path, "wgan_gp", {"G": GENERATOR, "D": critic()})
    (_, a), (_, b) = trained(system, "full"), (None, None)
    trainer = backends.make_trainer("torch", system, 0)
    trainer.iterate(random_feed(system, 0))
    b = trainer.state()
    assert all(a.arrays[name].tobytes() == b.arrays[name].tobytes() for name in b.arrays)


def test_chainer_and_float64_have_no_bfloat16(backend):
    system = load_system(SYSTEM, reduced=True)
    trainer = backends.load(backend).Trainer
    if backend == "chainer":
        with pytest.raises(NotImplementedError, match="NumPy and CuPy have no bfloat16"):
            trainer(system, 0, precision="bf16")
    else:
        with pytest.raises(ValueError, match=r"^precision is 'bf16', which goes with dtype 'float32', not 'float64'$"):
            trainer(system, 0, dtype="float64", precision="bf16")
    with pytest.raises(ValueError, match="precision is 'fp8', expected one of 'full', 'bf16'"):
        trainer(system, 0, precision="fp8")


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    return path


def test_a_run_in_bfloat16_says_so_keeps_it_and_resumes_bit_for_bit(torch, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(album, "missing_packages", lambda: ["Pillow", "matplotlib"])
    words, low = ["--data", images, *SMALL], ["--precision", "bf16"]
    whole, broken, plain = tmp_path / "whole", tmp_path / "broken", tmp_path / "plain"
    assert here("train", SYSTEM, *words, *low, "--out", whole, "--iterations", 9) == 0
    assert "precision bf16: outside of what is proved" in capsys.readouterr().out
    assert here("train", SYSTEM, *words, *low, "--out", broken, "--iterations", 7) == 0
    assert here("train", "--resume", broken, "--iterations", 9) == 0
    assert "precision bf16: outside of what is proved" in capsys.readouterr().out
    assert (whole / "log.csv").read_bytes() == (broken / "log.csv").read_bytes()
    assert json.loads((whole / "run.json").read_text())["precision"] == "bf16"
    assert here("train", SYSTEM, *words, "--out", plain, "--iterations", 9) == 0
    assert (plain / "log.csv").read_bytes() != (whole / "log.csv").read_bytes()
    assert "precision" not in json.loads((plain / "run.json").read_text())
    # What cannot be.
    for command, message in {
        ("--resume", whole, "--precision", "full"): "was started with --precision bf16, which resuming cannot change",
        ("--resume", whole, "--backend", "chainer"): (
            f"{whole}: was started with --precision bf16, which it keeps, and which is PyTorch's alone"
        ),
        ("--resume", plain, *low): "was started with --precision full, which resuming cannot change",
        (SYSTEM, *words, *low, "--backend", "chainer"): "use --backend torch",
        (SYSTEM, *words, *low, "--dtype", "float64"): "--precision bf16 goes with --dtype float32",
    }.items():
        capsys.readouterr()
        assert here("train", *command) == 2
        assert message in capsys.readouterr().err
    record = json.loads((whole / "run.json").read_text())
    (whole / "run.json").write_text(json.dumps({**record, "precision": "fp4"}))
    with pytest.raises(RunError, match="precision: expected one of bf16, full, tf32, found 'fp4'"):
        read_record(whole)
