"""Pixels of pictures, one by one: range, rounding, colours, which image stands where, how small pictures are enlarged."""

import io
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools.pictures.images import as_pixels, grid, png

Image = pytest.importorskip("PIL.Image")
DATA = load_system("wgan_gp_mlp_mnist").data


def data(low, high, shape):
    return replace(DATA, range=(low, high), shape=shape)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 6.0)])
def test_the_range_becomes_0_to_255_rounded_and_what_is_beyond_it_its_ends(low, high):
    parts = np.array([0.0, 1.0, 0.2, 0.4984, 0.4976, -3.0, 3.0, np.inf, -np.inf])
    expected = [0, 255, 51, 127, 127, 0, 255, 255, 0]  # 0.4984 * 255 = 127.09, 0.4976 * 255 = 126.89
    images = (low + parts * (high - low)).reshape(1, 1, 1, 9)
    for dtype in (np.float32, np.float64):
        pixels = as_pixels(data(low, high, (1, 1, 9)), images.astype(dtype))
        assert pixels.dtype == np.uint8
        assert pixels.shape == (1, 1, 9, 1)
        assert pixels.ravel().tolist() == expected


def test_every_byte_becomes_itself_again():
    values = np.arange(256).reshape(1, 1, 16, 16)
    for low, high in ((0.0, 1.0), (-1.0, 1.0)):
        images = (low + values * ((high - low) / 255)).astype(np.float32)
        assert np.array_equal(as_pixels(data(low, high, (1, 16, 16)), images)[0, :, :, 0], values[0, 0])


def test_colours_rows_and_columns_stay_what_they_are():
    images = np.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4)  # image, colour, row, column
    pixels = as_pixels(data(0.0, 255.0, (3, 2, 4)), images.astype(np.float64))
    assert pixels.shape == (2, 2, 4, 3)
    for image, colour, row, column in np.ndindex(2, 3, 2, 4):
        assert pixels[image, row, column, colour] == images[image, colour, row, column]


def test_a_small_image_is_enlarged_by_repeating_its_pixels():
    images = np.array([[[[0.0, 51.0], [102.0, 204.0]]]])
    pixels = as_pixels(data(0.0, 255.0, (1, 4, 6)), images)[0, :, :, 0]
    assert pixels.tolist() == [[0, 0, 0, 51, 51, 51]] * 2 + [[102, 102, 102, 204, 204, 204]] * 2
    odd = as_pixels(data(0.0, 255.0, (1, 2, 3)), images)[0, :, :, 0]
    assert odd.tolist() == [[0, 0, 51], [102, 102, 204]]


def test_images_stand_row_by_row_with_grey_gaps_between_and_in_empty_places():
    pixels = np.array([10, 20, 30, 40, 50], np.uint8).reshape(5, 1, 1, 1).repeat(2, axis=1).repeat(3, axis=2)
    picture = grid(pixels, columns=3)[:, :, 0]
    g = 128
    row = [10, 10, 10, g, g, 20, 20, 20, g, g, 30, 30, 30]
    last = [40, 40, 40, g, g, 50, 50, 50, g, g, g, g, g]
    assert picture.tolist() == [row, row, [g] * 13, [g] * 13, last, last]
    assert grid(pixels, columns=5, gap=0)[0, :, 0].tolist() == [10] * 3 + [20] * 3 + [30] * 3 + [40] * 3 + [50] * 3
    assert grid(pixels, columns=1, gap=1).shape == (14, 3, 1)


def opened(content):
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return image.mode, np.asarray(image)


@pytest.mark.parametrize(
    ("height", "width", "factor"), [(512, 100, 1), (100, 512, 1), (200, 250, 2), (30, 10, 17), (900, 3, 1)]
)
def test_a_file_holds_the_pixels_each_repeated_a_whole_number_of_times(height, width, factor):
    for channels, mode in ((1, "L"), (3, "RGB")):
        picture = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
        found_mode, found = opened(png(picture))
        assert found_mode == mode
        expected = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        assert np.array_equal(found.reshape(expected.shape), expected)
