"""What somebody's network gives, beside the spec's outputs."""

import numpy as np
import pytest

from ganspec import conformance
from ganspec.tools.conformance.probes import paired_outputs

A, B = np.ones((2, 3)), np.ones((2, 1))


@pytest.mark.parametrize("outputs", [(A, B), [A, B], {"b": B, "a": A, "more": A}, (A.reshape(2, 3, 1), B)])
def test_outputs_are_paired_in_order_or_by_name(outputs):
    pairs = paired_outputs(outputs, {"a": 2 * A, "b": 3 * B})
    assert [(float(np.sum(values)), float(weight.sum())) for values, weight in pairs] == [(6.0, 12.0), (2.0, 6.0)]


def test_one_output_may_stand_alone():
    ((values, weight),) = paired_outputs(A, {"a": B.reshape(2, 1) + np.zeros((2, 3))})
    assert values is A
    assert weight.shape == (2, 3)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (A, "the network gives 1 outputs, the spec's 2: a, b"),
        ((A, B, B), "the network gives 3 outputs, the spec's 2: a, b"),
        ({"a": A, "c": B}, "the network gives outputs a, c, the spec's 2: a, b"),
        ((B, A), r"the network's output a has the shape \[2, 1\], the spec's \[2, 3\]"),
        ((A, 1.0), r"the network's output b has the shape \[\], the spec's \[2, 1\]"),
    ],
)
def test_other_outputs_are_named(outputs, message):
    with pytest.raises(conformance.ConformanceError, match=message):
        paired_outputs(outputs, {"a": A, "b": B})
