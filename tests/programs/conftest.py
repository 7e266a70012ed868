"""Small data for programs, and a finished run."""

import subprocess

import numpy as np
import pytest

from support.programs import SMALL, here


@pytest.fixture
def images(tmp_path):
    """Returns: an .npz of 24 random 6x6 images."""
    path = tmp_path / "images.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    return path


@pytest.fixture
def digits(tmp_path):
    """Returns: an .npz of 40 random 8x8 images, four of each label."""
    path = tmp_path / "digits.npz"
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(40) % 10)
    return path


@pytest.fixture
def colours(tmp_path):
    """Returns: an .npz of 24 random 3x8x8 images."""
    path = tmp_path / "colours.npz"
    np.savez(path, images=np.random.default_rng(2).integers(0, 256, (24, 3, 8, 8), dtype=np.uint8))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Returns: the folder of a finished run of 8 iterations, which nobody may change, and its images."""
    folder = tmp_path_factory.mktemp("finished")
    images = folder / "images.npz"
    np.savez(images, images=np.random.default_rng(0).integers(0, 256, (24, 6, 6), dtype=np.uint8))
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", folder / "run", "--iterations", 8) == 0
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path):
    """Returns: a copy of it."""
    subprocess.run(["cp", "-r", str(finished), str(tmp_path / "run")], check=True)
    return tmp_path / "run"
