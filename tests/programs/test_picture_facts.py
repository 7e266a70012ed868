"""Pixels of pictures, one by one: range, rounding, colours, places, sizes; what is drawn, and after which iterations."""

import io
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.pictures.images import as_pixels, grid, png
from ganspec.tools.sampling.interpolation import between, interpolation_latents
from ganspec.tools.sampling.latents import generate, sample_latents
from ganspec.tools.sampling.manifold import manifold_latents

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


CONDITIONAL = load_system("cgan_mnist", ["run.grid=[12, 3]", "manifold.side=3"], reduced=True)


def test_samples_have_latents_of_their_own_stream_and_a_label_for_each_row():
    z, y = sample_latents(CONDITIONAL, 7)
    assert np.array_equal(z, Streams(7).normal("samples/z", Position(), (36, 2)))
    assert y.tolist() == [row % 10 for row in range(12) for _ in range(3)]
    assert np.array_equal(sample_latents(CONDITIONAL, 7)[0], z), "the same again and again"


def test_interpolations_go_from_the_first_latents_of_their_stream_to_the_last():
    z, y = interpolation_latents(CONDITIONAL, 7)
    first, last = Streams(7).normal("interpolation/z", Position(), (2, 12, 2))
    assert z.shape == (120, 2)
    np.testing.assert_allclose(z[::10], first, rtol=1e-12)
    np.testing.assert_allclose(z[9::10], last, rtol=1e-12)
    assert y.tolist() == [row % 10 for row in range(12) for _ in range(10)]
    # A third of the way along a straight line, and along a quarter of a circle around the mean.
    a, b = np.array([[4.0, 1.0]]), np.array([[1.0, 4.0]])
    np.testing.assert_allclose(between(Distribution("uniform", 0, 5), a, b)[3], [3, 2], rtol=1e-14)
    angle = np.pi / 2 / 3
    expected = [1 + 3 * np.cos(angle), 1 + 3 * np.sin(angle)]
    np.testing.assert_allclose(between(Distribution("normal", 1, 2), a, b)[3], expected, rtol=1e-14)


def test_a_manifold_has_the_first_number_grow_to_the_right_and_the_second_downwards():
    q = 1.6448536269514722  # the normal quantile of 0.95
    for label, (z, y) in manifold_latents(CONDITIONAL).items():
        expected = [(first, second) for second in (-q, 0, q) for first in (-q, 0, q)]
        np.testing.assert_allclose(z, expected, rtol=1e-9, atol=1e-12)
        assert y.tolist() == [int(label)] * 9
    assert list(manifold_latents(CONDITIONAL)) == list("0123456789")


def test_images_are_made_in_parts_that_stand_in_order():
    sizes = []

    class Doubling:
        def generate(self, z, y):
            sizes.append(len(z))
            return 2 * z + y[:, None]

    z, y = np.arange(600.0).reshape(600, 1), np.arange(600) % 7
    assert np.array_equal(generate(Doubling(), [z, y]), 2 * z + y[:, None])
    assert sum(sizes) == 600
    assert max(sizes) < 600


# After which of the first iterations pictures are due: every, from, and (after, every) later.
DUE = {
    (3, 0, None): [0, 3, 6, 9, 12, 15],
    (3, 4, None): [4, 7, 10, 13, 16],
    (3, 1, (7, 5)): [1, 4, 7, 11, 16],  # after iteration 7 every 5th, counted from 1
    (4, 0, (8, 3)): [0, 4, 8, 9, 12, 15],
}


@pytest.mark.parametrize("case", DUE, ids=str)
def test_pictures_are_due(case):
    every, since, later = case
    run = replace(CONDITIONAL.run, samples_every=every, samples_from=since, samples_later=later)
    assert [iteration for iteration in range(17) if run.shows(iteration)] == DUE[case]
