"""Running `ganspec` as a user does, and small data for it."""

import subprocess
import sys

import numpy as np
import pytest

SMALL = [
    "--set", "networks.G={ use = 'mlp_generator', latent = 3, width = 6, size = 6 }",
    "--set", "networks.D={ use = 'mlp_critic', width = 5, size = 6 }",
    "--set", "data.shape=[1, 6, 6]", "--set", "run.batch=4", "--set", "schedule.critic_steps=2",
    "--set", "run.checkpoint_every=7", "--set", "run.samples_every=10", "--set", "run.grid=[2, 3]",
]  # fmt: skip
SMALL_BEGAN = [
    *(f"--set=networks.{n}={{ use = '{a}', n = 2, channels = 1, size = 8, code = 3 }}"
      for n, a in (("G", "began_decoder"), ("D", "began_autoencoder"))),
    "--set", "data.shape=[1, 8, 8]", "--set", "data.fit=pad", "--set", "run.batch=4",
    "--set", "run.checkpoint_every=7", "--set", "run.samples_every=50", "--set", "run.grid=[2, 3]",
]  # fmt: skip


def ganspec(*arguments, cwd=None, timeout=120):
    """Returns: the finished process of `python -m tools ARGUMENTS`."""
    command = [sys.executable, "-m", "tools", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False)


def fails(process, *texts, code=2):
    """Check that a run failed as a user's mistake should: code, message, no traceback."""
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    for text in texts:
        assert text in process.stderr, process.stderr
    return True


@pytest.fixture
def images(tmp_path):
    """Returns: an .npz of 24 random 6x6 images."""
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    return path
