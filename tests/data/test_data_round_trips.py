"""What is written in any format is read back, bit for bit, in the documented order, shape and type."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganspec.tools import data

KINDS = ("idx", "idx.gz", "tar", "tar.gz", "zip", "npy", "npz")
SIZES = st.integers(4, 9)  # from 4 on, no side can be taken for channels
GREY = st.tuples(st.integers(1, 4), st.just(1), SIZES, SIZES)
COLOUR = st.tuples(st.integers(1, 4), st.just(3), SIZES, SIZES)


def images_of(shapes):
    return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape))


def exactly(path, images):
    return data.load(path, shape=images.shape[1:], fit="exact")


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25)
@given(images=images_of(GREY))
def test_grey_images_round_trip(kind, images, write, fresh):
    path = fresh()
    path.write_bytes(write.kinds[kind](images))
    found = exactly(path, images)
    assert found.images.dtype == np.uint8
    assert found.labels is None
    assert found.images.flags.c_contiguous
    np.testing.assert_array_equal(found.images, images)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "npy", "npz"])
@settings(deadline=None, max_examples=25)
@given(images=images_of(COLOUR))
def test_colour_images_round_trip(kind, images, write, fresh):
    path = fresh()
    path.write_bytes(write.kinds[kind](images))
    np.testing.assert_array_equal(exactly(path, images).images, images)


@settings(deadline=None, max_examples=25)
@given(images=images_of(st.one_of(GREY, COLOUR)))
def test_folder_round_trips_and_has_the_fingerprint_of_its_array(images, write, fresh):
    folder, array = write.tree(fresh(), write.pictures_of(images)), fresh()
    array.write_bytes(write.npy(images))
    found = exactly(folder, images)
    np.testing.assert_array_equal(found.images, images)
    assert found.fingerprint == exactly(array, images).fingerprint


@settings(deadline=None, max_examples=25)
@given(images=images_of(COLOUR), wanted=st.sampled_from([1, 3]), fit=st.sampled_from(["pad", "resize"]))
def test_every_format_is_fitted_alike(images, wanted, fit, write, fresh):
    shape, prints = (wanted, 11, 10), set()
    for kind in ("tar", "zip", "npy"):
        path = fresh()
        path.write_bytes(write.kinds[kind](images))
        prints.add(data.load(path, shape=shape, fit=fit).fingerprint)
    assert len(prints) == 1


@settings(deadline=None, max_examples=50)
@given(
    images=hnp.arrays(
        st.sampled_from([np.dtype(code) for code in ("<f2", "<f4", ">f4", "<f8", ">f8")]),
        COLOUR,
        elements={"min_value": 0, "max_value": 1},
    ),
    order=st.sampled_from("CF"),
)
def test_float_arrays_become_float32(images, order, write, fresh):
    path = fresh()
    path.write_bytes(write.npy(np.asarray(images, order=order)))
    found = exactly(path, images)
    assert found.images.dtype == np.float32
    assert found.images.dtype.isnative
    assert found.images.flags.c_contiguous
    np.testing.assert_array_equal(found.images, images.astype(np.float32))


@settings(deadline=None, max_examples=25)
@given(images=images_of(st.one_of(GREY, COLOUR)))
def test_channels_last_and_first_read_alike(images, write, fresh):
    path = fresh()
    path.write_bytes(write.npy(images.transpose(0, 2, 3, 1)))
    np.testing.assert_array_equal(exactly(path, images).images, images)


def test_wanted_shape_settles_an_open_layout(write, fresh):
    thin = np.arange(2 * 3 * 8 * 1, dtype=np.uint8).reshape(2, 3, 8, 1)  # or one channel, 3 high and 8 wide?
    path = fresh()
    path.write_bytes(write.npy(thin))
    np.testing.assert_array_equal(data.load(path, shape=(3, 8, 1), fit="exact").images, thin)
    np.testing.assert_array_equal(data.load(path, shape=(1, 3, 8), fit="exact").images[:, 0], thin[..., 0])


def test_three_dimensions_are_grey(some, write, fresh):
    path = fresh()
    path.write_bytes(write.npy(some[:, 0]))
    np.testing.assert_array_equal(exactly(path, some).images, some)


@pytest.mark.parametrize("key", ["images", "x_train"])
def test_npz_takes_images_or_the_only_array(key, some, write, fresh):
    path = fresh()
    path.write_bytes(write.npz(**{key: some}, labels=np.array([2, 0, 7], np.uint8)))
    found = exactly(path, some)
    np.testing.assert_array_equal(found.images, some)
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [2, 0, 7]


def test_npz_prefers_images_among_several(some, write, fresh):
    path = fresh()
    path.write_bytes(write.npz(masks=some + 1, images=some))
    np.testing.assert_array_equal(exactly(path, some).images, some)


@pytest.mark.parametrize("zipped", [(False, False), (True, True), (True, False), (False, True)])
@pytest.mark.parametrize("joint", ["-", "."])
def test_labels_are_found_beside_the_images(zipped, joint, some, write, tmp_path):
    for name, values, wrap in (
        (f"mine-images{joint}idx3-ubyte", some[:, 0], zipped[0]),
        (f"mine-labels{joint}idx1-ubyte", np.array([5, 0, 255]), zipped[1]),
    ):
        raw = write.idx(values)
        (tmp_path / (name + ".gz" * wrap)).write_bytes(write.gz(raw) if wrap else raw)
    found = exactly(tmp_path / (f"mine-images{joint}idx3-ubyte" + ".gz" * zipped[0]), some)
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [5, 0, 255]


def test_content_and_not_the_name_tells_the_format(some, write, tmp_path):
    path = tmp_path / "digits.zip"
    path.write_bytes(write.gz(write.idx(some[:, 0])))
    np.testing.assert_array_equal(exactly(path, some).images, some)


def test_folder_prefers_idx_to_pictures_and_train_to_test(some, write, tmp_path):
    write.tree(tmp_path, write.pictures_of(some + 1))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(write.idx(some[:, 0] + 2))
    np.testing.assert_array_equal(exactly(tmp_path, some).images, some + 2)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(write.gz(write.idx(some[:, 0] + 3)))
    found = exactly(tmp_path, some)
    np.testing.assert_array_equal(found.images, some + 3)
    assert "train-images-idx3-ubyte.gz" in found.source


def test_fingerprint_is_the_documented_digest(some, write, fresh):
    path = fresh()
    path.write_bytes(write.npz(images=some, labels=np.array([3, 1, 2])))
    described = b"images |u1 (3, 1, 5, 7)\n" + some.tobytes() + b"labels <i8 (3,)\n"
    digest = hashlib.sha256(described + np.array([3, 1, 2], "<i8").tobytes()).hexdigest()
    assert exactly(path, some).fingerprint == digest


@settings(deadline=None, max_examples=25)
@given(place=st.integers(0, 104), change=st.integers(1, 255))
def test_fingerprint_sees_every_byte(place, change, some, write, fresh):
    other = some.copy()
    other.flat[place] ^= np.uint8(change)
    paths = fresh(), fresh()
    for path, images in zip(paths, (some, other), strict=True):
        path.write_bytes(write.npy(images))
    assert exactly(paths[0], some).fingerprint != exactly(paths[1], some).fingerprint


def test_fingerprint_tells_shape_type_and_labels_apart(write, fresh):
    zeros, labels = np.zeros((2, 1, 4, 6), np.uint8), np.array([0, 1])
    variants = [
        {"images": zeros},
        {"images": zeros.reshape(2, 1, 6, 4)},
        {"images": zeros.astype(np.float32)},
        {"images": zeros, "labels": labels},
        {"images": zeros, "labels": labels[::-1]},
    ]
    prints = set()
    for members in variants:
        path = fresh()
        path.write_bytes(write.npz(**members))
        prints.add(exactly(path, members["images"]).fingerprint)
    assert len(prints) == len(variants)


def test_reading_idx_imports_neither_pillow_nor_a_framework():
    program = (
        "import sys; from ganspec.tools import data; data.load(data.embedded_digits(), shape=(1, 28, 28), fit='exact')\n"
        "print(sorted({'PIL', 'tqdm', 'torch', 'chainer', 'cupy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
