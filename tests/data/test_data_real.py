"""Real data: the packaged MNIST digits, and an archive laid out like `lfw-deepfunneled.tgz`."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ganspec.tools import data

# http://yann.lecun.com/exdb/mnist/, the test set: how many of each digit.
DIGITS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def digits():
    return data.load(data.embedded_digits(), shape=(1, 28, 28), fit="exact")


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_digits_are_the_published_files(name, md5):
    unzipped = gzip.decompress((data.embedded_digits() / f"{name}.gz").read_bytes())
    assert hashlib.md5(unzipped).hexdigest() == md5


def test_digits_carry_their_licence():
    text = (data.embedded_digits() / "LICENSE.md").read_text()
    for word in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0"):
        assert word in text


def test_digits_are_read_whole(digits):
    assert digits.images.shape == (10_000, 1, 28, 28)
    assert digits.images.dtype == np.uint8
    assert np.bincount(digits.labels).tolist() == DIGITS
    raw = gzip.decompress((data.embedded_digits() / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert digits.images.tobytes() == raw[16:]


def test_digits_record_says_what_was_read(digits):
    file = data.embedded_digits() / "t10k-images-idx3-ubyte.gz"
    assert digits.source == (
        f"{file}: IDX images with labels from t10k-labels-idx1-ubyte.gz; 10,000 images 1x28x28 uint8, fit exact"
    )


def test_digits_pad_to_32_like_zeros_around(digits):
    padded = data.load(data.embedded_digits(), shape=(1, 32, 32), fit="pad")
    np.testing.assert_array_equal(padded.images, np.pad(digits.images, ((0, 0), (0, 0), (2, 2), (2, 2))))
    assert padded.fingerprint != digits.fingerprint


def face(seed: int, grey: bool) -> np.ndarray:
    """A smooth picture 250x250, so that JPEG keeps it."""
    waves = np.random.default_rng(seed).uniform(1, 9, 3)
    y, x = np.mgrid[0:250, 0:250] / 250
    planes = [np.sin(wave * (x + y)) * 100 + 128 for wave in waves]
    return np.stack(planes[:1] * 3 if grey else planes).astype(np.uint8)


@pytest.fixture(scope="module")
def lfw(write, fresh):
    """Six people in an archive laid out as LFW's: two are grey, one of them as RGB, one stored as grey JPEG."""
    files = {}
    for i in range(6):
        image = face(i, grey=i in (2, 4))
        name = f"lfw-deepfunneled/Person_{5 - i}/Person_{5 - i}_0001.jpg"
        files[name] = write.picture(image[:1] if i == 4 else image, "JPEG", quality=95)
    files["lfw-deepfunneled/README.txt"] = b"All images aligned with deep funneling"
    files["lfw-deepfunneled/Person_1/._Person_1_0001.jpg"] = b"what macOS leaves beside a file"
    path = fresh()
    path.write_bytes(write.gz(write.tar(files)))
    return SimpleNamespace(path=path, files=files)


def test_lfw_is_resized_sorted_and_its_grey_images_skipped(lfw):
    image_of = pytest.importorskip("PIL.Image")
    found = data.load(lfw.path, shape=(3, 64, 64), fit="resize", skip_grey=True)
    assert found.images.shape == (4, 3, 64, 64)
    assert found.labels is None
    assert "of 6 pictures and 2 other files, 2 grey ones skipped" in found.source
    for image, i in zip(found.images, (5, 3, 1, 0), strict=True):  # by path: Person_0, Person_2, Person_4, Person_5
        expected = image_of.fromarray(face(i, False).transpose(1, 2, 0)).resize((64, 64), image_of.Resampling.LANCZOS)
        assert np.abs(image.transpose(1, 2, 0).astype(int) - np.asarray(expected)).mean() < 2  # what JPEG loses


def test_lfw_keeps_grey_images_unless_told(lfw):
    found = data.load(lfw.path, shape=(3, 64, 64), fit="resize")
    grey = [(image == image[:1]).all() for image in found.images]
    assert grey == [False, True, False, True, False, False]


def test_lfw_unpacked_and_packed_are_the_same_data(lfw, write, fresh):
    folder = write.tree(fresh(), lfw.files)
    wanted = {"shape": (3, 32, 32), "fit": "resize", "skip_grey": True}
    assert data.load(folder, **wanted).fingerprint == data.load(lfw.path, **wanted).fingerprint


def test_array_of_faces_skips_grey_with_its_labels(write, fresh):
    images = np.stack([face(i, grey=i in (1, 2))[:, :9, :9] for i in range(5)])
    path = fresh()
    path.write_bytes(write.npz(images=images, labels=np.arange(5)))
    found = data.load(path, shape=(3, 9, 9), fit="exact", skip_grey=True)
    np.testing.assert_array_equal(found.images, images[[0, 3, 4]])
    assert found.labels.tolist() == [0, 3, 4]
    assert "2 grey ones skipped" in found.source


def test_colour_after_resizing_does_not_decide_what_is_grey(write, fresh):
    image = np.full((3, 64, 64), 100, np.uint8)
    image[0, 0, 0] = 101  # colour, which shrinking to 2x2 rounds away
    folder = write.tree(fresh(), {"a.png": write.picture(image)})
    assert len(data.load(folder, shape=(3, 2, 2), fit="resize", skip_grey=True).images) == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(terminal, lfw, monkeypatch):
    shown = []

    def tqdm(items, total, **_):
        shown.append(total)
        return items

    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=tqdm))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal, write=lambda text: None))
    data.load(lfw.path, shape=(3, 8, 8), fit="resize", progress=True)
    data.load(lfw.path, shape=(3, 8, 8), fit="resize")
    assert shown == ([6] if terminal else [])


@pytest.mark.parametrize(
    ("mode", "form", "expected"),
    [
        ("1", "PNG", 1), ("L", "JPEG", 1), ("LA", "PNG", 1), ("P", "PNG", 3), ("RGB", "BMP", 3), ("RGB", "PPM", 3),
        ("L", "PPM", 1), ("RGBA", "PNG", 3), ("RGB", "WEBP", 3), ("CMYK", "JPEG", 3),
    ],
)  # fmt: skip
def test_every_kind_of_picture_decodes_as_pillow_converts_it(mode, form, expected, write, fresh):
    image_of = pytest.importorskip("PIL.Image")
    original = image_of.fromarray(face(0, False)[:, ::25, ::25].transpose(1, 2, 0)).convert(mode)
    buffer = io.BytesIO()
    original.save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    ending = {"JPEG": "jpeg", "PPM": "pgm" if mode == "L" else "ppm"}.get(form, form.lower())
    folder = write.tree(fresh(), {f"A.{ending.upper()}": buffer.getvalue()})
    found = data.load(folder, shape=(expected, 10, 10), fit="exact").images[0]
    pillow = np.atleast_3d(image_of.open(buffer).convert("L" if expected == 1 else "RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, pillow)
