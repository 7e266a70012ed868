"""Samples by number: addressed, so that they depend on nothing else; truncated as the definitions say; labels in turn."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.numbered import BLOCK, chosen_labels, numbered_inputs
from support.runs import CONDITIONAL, MLP

UNIFORM, NORMAL = load_system(*MLP), load_system(*CONDITIONAL)


def test_a_sample_is_the_row_of_its_block_of_its_stream():
    z, y = numbered_inputs(NORMAL, [0, 7, BLOCK + 3], seed=5)
    streams = Streams(5)
    first, second = (streams.normal("sample/z", Position(block), (BLOCK, 2)) for block in (0, 1))
    assert np.array_equal(z, [first[0], first[7], second[3]])
    assert y.tolist() == [0, 7, (BLOCK + 3) % 10]


@settings(max_examples=15)
@given(
    st.lists(st.integers(0, 3 * BLOCK), min_size=1, max_size=8), st.integers(0, 2**63 - 1), st.sampled_from([None, 0.7])
)
def test_samples_do_not_depend_on_which_others_are_drawn(numbers, seed, truncation):
    for system in (UNIFORM, NORMAL):
        together = numbered_inputs(system, range(3 * BLOCK + 1), seed, truncation=truncation)
        alone = numbered_inputs(system, numbers, seed, truncation=truncation)
        for whole, part in zip(together, alone, strict=True):
            assert np.array_equal(whole[numbers], part)


@pytest.mark.parametrize("truncation", [0.1, 0.5, 2.0])
def test_truncated_normal_latents_are_drawn_again_until_they_are_within_the_bounds(truncation):
    free, cut = (numbered_inputs(NORMAL, range(16 * BLOCK), 1, truncation=t)[0] for t in (None, truncation))
    assert np.abs(cut).max() <= truncation
    within = np.abs(free) <= truncation
    assert np.array_equal(cut[within], free[within])
    assert len(np.unique(cut)) == cut.size
    # The variance of a normal distribution cut at T: 1 - 2 T phi(T) / (2 Phi(T) - 1).
    normal = NormalDist()
    variance = 1 - 2 * truncation * normal.pdf(truncation) / (2 * normal.cdf(truncation) - 1)
    assert abs(cut.mean()) < 5 * math.sqrt(variance / cut.size)
    assert abs((cut**2).mean() / variance - 1) < 5 * math.sqrt(2 / cut.size)


def test_truncated_uniform_latents_keep_to_a_part_of_their_range():
    free, cut = (numbered_inputs(UNIFORM, range(BLOCK), 1, truncation=t)[0] for t in (None, 0.25))
    assert np.allclose(cut, free / 4, rtol=1e-15)
    assert np.array_equal(numbered_inputs(UNIFORM, range(BLOCK), 1, truncation=1.0)[0], free)


def test_labels_take_turns():
    assert numbered_inputs(NORMAL, range(12), 0)[1].tolist() == [*range(10), 0, 1]
    assert numbered_inputs(NORMAL, [0, 1, 2, 7], 0, labels=[3, 8])[1].tolist() == [3, 8, 3, 8]
    with pytest.raises(UserError, match="G takes no label"):
        numbered_inputs(UNIFORM, [0], 0, labels=[3])


def test_a_label_is_found_by_its_name_before_its_number():
    classes = ["cat", "7", "dog", *"abcdefg"]
    assert chosen_labels(NORMAL, ["dog", "7", "3", "cat"], classes) == [2, 1, 3, 0]
    assert chosen_labels(NORMAL, ["7"]) == [7]
    assert chosen_labels(NORMAL, []) == []


@pytest.mark.parametrize("text", ["10", "-1", "1e0", "٣", "", "9" * 5000, "dgo", "\x1b[2J"])
def test_a_label_that_is_none_is_refused_with_what_there_is(text):
    with pytest.raises(UserError) as error:
        chosen_labels(NORMAL, [text], ["cat", "dog"])
    assert "expected a number from 0 to 9, or a name: cat, dog" in str(error.value)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 400
    assert ("did you mean 'dog'?" in str(error.value)) == (text == "dgo")
