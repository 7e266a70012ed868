"""What "exact", "pad", "resize" and the change of channels do, held against Pillow and against plain laws."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganspec.tools.data import DataError, fitting

Image = pytest.importorskip("PIL.Image")

SIZES = st.integers(1, 12)
BYTES = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), SIZES, SIZES).flatmap(lambda s: hnp.arrays(np.uint8, s))
FLOATS = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), SIZES, SIZES).flatmap(
    lambda s: hnp.arrays(np.float32, s, elements=st.floats(0, 1, width=32))
)
quick = settings(deadline=None, max_examples=60)


@quick
@given(images=st.one_of(BYTES, FLOATS), below=st.integers(0, 5), right=st.integers(0, 5))
def test_pad_centres_the_image_among_zeros(images, below, right):
    channels, height, width = images.shape[1:]
    padded = fitting.fitted(images, (channels, height + below, width + right), "pad")
    top, left = below // 2, right // 2
    np.testing.assert_array_equal(padded[:, :, top : top + height, left : left + width], images)
    assert padded.dtype == images.dtype
    assert np.count_nonzero(padded) == np.count_nonzero(images)


@quick
@given(images=st.one_of(BYTES, FLOATS), fit=st.sampled_from(fitting.FITS))
def test_every_fit_leaves_the_right_shape_alone(images, fit):
    np.testing.assert_array_equal(fitting.fitted(images, images.shape[1:], fit), images)


@quick
@given(images=st.one_of(BYTES, FLOATS), height=SIZES, width=SIZES)
def test_the_centre_is_the_largest_part_of_the_wanted_ratio(images, height, width):
    # White everywhere and black outside of the centre, by the definition with fractions.
    channels, high, wide = images.shape[1:]
    kept = min(high, Fraction(wide * height, width)), min(wide, Fraction(high * width, height))
    kept = [max(1, math.floor(side)) for side in kept]
    top, left = ((side - inner) // 2 for side, inner in zip((high, wide), kept, strict=True))
    centre = images[:, :, top : top + kept[0], left : left + kept[1]]
    shape = (channels, height, width)
    found = fitting.fitted(images, shape, "resize", "centre")
    np.testing.assert_array_equal(found, fitting.fitted(np.ascontiguousarray(centre), shape, "resize"))
    assert found.flags.c_contiguous


def test_the_centre_of_a_square_is_cut_at_both_sides_and_an_odd_column_on_the_right():
    image = np.arange(3 * 8, dtype=np.uint8).reshape(1, 1, 3, 8)
    np.testing.assert_array_equal(fitting.fitted(image, (1, 3, 3), "exact", "centre"), image[..., 2:5])
    np.testing.assert_array_equal(fitting.fitted(image, (1, 3, 4), "exact", "centre"), image[..., 2:6])
    upright = image.transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(fitting.fitted(upright, (1, 3, 3), "exact", "centre"), upright[:, :, 2:5])
    np.testing.assert_array_equal(fitting.fitted(image, (1, 4, 4), "pad", "centre")[..., :3, :3], image[..., 2:5])


@quick
@given(images=BYTES, height=SIZES, width=SIZES)
def test_resize_is_pillows_lanczos(images, height, width):
    resized = fitting.fitted(images, (images.shape[1], height, width), "resize")
    for image, found in zip(images, resized, strict=True):
        whole = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
        expected = np.atleast_3d(whole.resize((width, height), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
        np.testing.assert_array_equal(found, expected)


@quick
@given(images=FLOATS, height=SIZES, width=SIZES)
def test_resize_keeps_floats_in_range(images, height, width):
    resized = fitting.fitted(images, (images.shape[1], height, width), "resize")
    assert resized.dtype == np.float32
    assert resized.shape == (*images.shape[:2], height, width)
    assert resized.min() >= 0
    assert resized.max() <= 1


def test_resize_of_a_float_edge_would_overshoot_without_the_clip():
    edge = np.zeros((1, 1, 8, 8), np.float32)
    edge[..., 4:] = 1
    raw = np.array(Image.fromarray(edge[0, 0]).resize((32, 8), Image.Resampling.LANCZOS))
    assert raw.max() > 1.01
    assert raw.min() < -0.01
    np.testing.assert_array_equal(fitting.fitted(edge, (1, 8, 32), "resize")[0, 0], raw.clip(0, 1))


@quick
@given(value=st.integers(0, 255), height=SIZES, width=SIZES)
def test_resize_keeps_a_constant_image(value, height, width):
    images = np.full((1, 3, 5, 6), value, np.uint8)
    assert (fitting.fitted(images, (3, height, width), "resize") == value).all()


@quick
@given(images=hnp.arrays(np.uint8, (2, 3, 7, 5)))
def test_grey_is_pillows_luma(images):
    grey = fitting.fitted(images, (1, 7, 5), "exact")
    for image, found in zip(images, grey, strict=True):
        expected = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).convert("L")
        np.testing.assert_array_equal(found[0], np.asarray(expected))


def test_grey_of_many_images_is_grey_of_each():
    images = np.random.default_rng(0).integers(0, 256, (1200, 3, 3, 2), np.uint8)  # more than two blocks
    together = fitting.fitted(images, (1, 3, 2), "exact")
    apart = np.concatenate([fitting.fitted(image[None], (1, 3, 2), "exact") for image in images])
    np.testing.assert_array_equal(together, apart)


@quick
@given(grey=st.one_of(hnp.arrays(np.uint8, (2, 1, 3, 4)), hnp.arrays(np.float32, (2, 1, 3, 4), elements={
    "min_value": 0, "max_value": 1})))  # fmt: skip
def test_grey_to_colour_and_back_is_the_same(grey):
    colour = fitting.fitted(grey, (3, 3, 4), "exact")
    np.testing.assert_array_equal(colour, np.concatenate([grey] * 3, axis=1))
    back = fitting.fitted(colour, (1, 3, 4), "exact")
    if grey.dtype == np.uint8:
        np.testing.assert_array_equal(back, grey)
    else:  # three float products and their sum: a few roundings of float32, relative to the value
        np.testing.assert_allclose(back, grey, rtol=4 * np.finfo(np.float32).eps, atol=1e-38)
        assert back.max() <= 1


@pytest.mark.parametrize(
    ("shape", "fit"), [((1, 6, 5), "exact"), ((1, 5, 4), "pad"), ((1, 4, 9), "pad"), ((2, 5, 5), "resize")]
)
def test_misfit_is_refused(shape, fit):
    with pytest.raises(DataError):
        fitting.fitted(np.zeros((1, 1, 5, 5), np.uint8), shape, fit)
