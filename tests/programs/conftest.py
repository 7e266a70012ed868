"""Small data for programs."""

import numpy as np
import pytest


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
