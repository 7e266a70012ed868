"""Walks and planes go through the samples that they name, and between them as their equations say."""

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.numbered import numbered_inputs
from ganspec.tools.sampling.walks import plane_inputs, quantile_inputs, two_numbers, walk_inputs
from support.runs import CONDITIONAL, MLP

UNIFORM, NORMAL = load_system(*MLP), load_system(*CONDITIONAL)
ROWS = [[0, 4, 9], [7, 2, 3]]


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("system", [UNIFORM, NORMAL], ids=["uniform", "normal"])
def test_a_walk_stops_at_its_samples_with_the_label_of_the_first(system, loop):
    walk = walk_inputs(system, ROWS, 3, 5, loop=loop)
    length = 3 * 4 if loop else 2 * 4 + 1
    z = walk[0].reshape(2, length, -1)
    for row, numbers in enumerate(ROWS):
        samples = numbered_inputs(system, numbers, 3)
        for i in range(3):
            np.testing.assert_allclose(z[row, 4 * i], samples[0][i], rtol=0, atol=1e-15)
        if len(walk) == 2:
            assert (walk[1].reshape(2, length)[row] == samples[1][0]).all()


def test_walks_are_straight_or_on_a_sphere_as_they_are_told():
    a, b = numbered_inputs(NORMAL, [0, 1], 0)[0]
    t = np.linspace(0, 1, 7)[:, None]
    straight = walk_inputs(NORMAL, [[0, 1]], 0, 7, path="linear")[0]
    np.testing.assert_allclose(straight, (1 - t) * a + t * b, atol=1e-15)
    w = np.arccos(a @ b / np.sqrt((a @ a) * (b @ b)))
    circle = (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
    np.testing.assert_allclose(walk_inputs(NORMAL, [[0, 1]], 0, 7)[0], circle, atol=1e-14)
    a, b = numbered_inputs(UNIFORM, [0, 1], 0)[0]
    np.testing.assert_allclose(walk_inputs(UNIFORM, [[0, 1]], 0, 7)[0], (1 - t) * a + t * b, atol=1e-15)


@pytest.mark.parametrize("path", ["linear", "spherical", None])
def test_a_plane_has_its_samples_in_three_corners(path):
    for system in (UNIFORM, NORMAL):
        inputs = plane_inputs(system, [5, 1, 8], 2, 4, path=path)
        z = inputs[0].reshape(4, 4, -1)
        a, b, c = numbered_inputs(system, [5, 1, 8], 2)[0]
        for found, corner in ((z[0, 0], a), (z[0, 3], b), (z[3, 0], c)):
            np.testing.assert_allclose(found, corner, atol=1e-14)
        lengths = [np.linalg.norm(corner) for corner in (a, b, c)]
        last = b + c - a
        if path == "spherical" or (path is None and system is NORMAL):
            last = last / np.linalg.norm(last) * lengths[1] * lengths[2] / lengths[0]
        np.testing.assert_allclose(z[3, 3], last, atol=1e-13)
        assert len(inputs) == 1 or (inputs[1] == 5).all()


def test_quantiles_are_of_two_numbers_alone():
    assert two_numbers(NORMAL) == "z"
    assert two_numbers(UNIFORM) is None
    z, y = quantile_inputs(NORMAL, 3, 0.05, 0.95, 4)
    np.testing.assert_allclose(
        z[[0, 2, 4, 6]], [[-1.6448536, -1.6448536], [1.6448536, -1.6448536], [0, 0], [-1.6448536, 1.6448536]], atol=1e-7
    )
    assert y.tolist() == [4] * 9
    with pytest.raises(UserError, match="choose three samples with --through A,B,C"):
        quantile_inputs(UNIFORM, 3, 0.05, 0.95, 0)
