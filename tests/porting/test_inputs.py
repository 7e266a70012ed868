"""Inputs as the user describes them: what is read, what is drawn, and what is said of mistakes."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.tools.errors import UserError
from ganspec.tools.porting.inputs import Input, Sizes, draw_inputs, nested, parse_input
from ganspec.tools.porting.outputs import OutputError, leaves

READ = {
    "z=128": Input("z", (None, 128)),
    "x=3,32,32:float:-1..1": Input("x", (None, 3, 32, 32), "float", -1.0, 1.0),
    "x=3x32x32": Input("x", (None, 3, 32, 32)),
    "y=:int32:0..10": Input("y", (None,), "int32", 0.0, 10.0),
    "y=:int:0..10": Input("y", (None,), "int32", 0.0, 10.0),
    "s=20,N,8": Input("s", (20, None, 8)),
    "xs.0=4:bool": Input("xs.0", (None, 4), "bool"),
    "x=2::0.5..1e3": Input("x", (None, 2), "float", 0.5, 1000.0),
}
END = "; write it as NAME=SHAPE[:DTYPE[:LOW..HIGH]], such as z=128, x=3,32,32:float:-1..1 or y=:int32:0..10"
WRONG = {
    "128": "it does not begin with the name of an argument and '='",
    "1z=128": "it does not begin with the name of an argument and '='",
    "z=a": "'a' is no shape: sizes of one sample with commas between, and N once where the batch is",
    "z=0": "'0' is no shape: sizes of one sample with commas between, and N once where the batch is",
    "z=N,N": "'N,N' is no shape: sizes of one sample with commas between, and N once where the batch is",
    "z=99999,99999": "one sample has more than 67,108,864 numbers",
    "z=3:flaot": "'flaot' is no dtype: expected one of bool, float, int32, int64; did you mean 'float'?",
    "y=:int32": "whole numbers need a range, such as :int32:0..10 for 0 to 9",
    "z=3:float:1": "'1' is no range, such as -1..1",
    "z=3:float:1..1": "the range '1..1' is empty",
    "z=3:float:0..1e999": "the range '0..1e999' is empty",
}


@pytest.mark.parametrize("text", READ)
def test_input_is_read(text):
    assert parse_input(text) == READ[text]


@pytest.mark.parametrize("text", WRONG)
def test_mistake_is_said(text):
    with pytest.raises(UserError) as raised:
        parse_input(text)
    assert str(raised.value) == f"--input {text}: {WRONG[text]}{END}"


@given(st.text("xNz=,:.-019eint32boolfloat ", max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(UserError):
        assert parse_input(text).name


@given(st.sampled_from([t for t in READ if "xs" not in t]), st.integers(1, 4), st.integers(0, 99))
def test_numbers_are_in_range_and_the_same_in_both_precisions(text, batch, seed):
    read = parse_input(text)
    (wide,), (narrow,) = (draw_inputs([read], Sizes(batch), seed, d).values() for d in ("float64", "float32"))
    np.testing.assert_array_equal(wide, narrow)
    assert wide.shape == tuple(batch if n is None else n for n in read.shape)
    if read.low is not None and read.high is not None:
        assert read.low <= wide.min()
        assert wide.max() <= read.high


def test_sizes_of_images_are_changed_and_others_are_not():
    image, flat = parse_input("x=3,8,6"), parse_input("z=8")
    assert Sizes(2, Fraction(3, 2)).shape(image) == (2, 3, 12, 9)
    assert Sizes(2, more=1).shape(image) == (2, 3, 9, 7)
    assert Sizes(2, Fraction(3, 2)).shape(flat) == (2, 8)
    with pytest.raises(ValueError, match="no whole number"):
        Sizes(2, Fraction(1, 4)).shape(image)


def test_dotted_names_are_lists_and_dictionaries():
    assert nested({"a": 1, "xs.0": 2, "xs.1": 3, "d.k": 4}) == {"a": 1, "xs": [2, 3], "d": {"k": 4}}


def test_outputs_are_taken_apart():
    value = {"b": (np.zeros(2), 3), "a": [None, np.ones(1)]}
    assert [path for path, _ in leaves(value)] == [
        "output['a'][0]",
        "output['a'][1]",
        "output['b'][0]",
        "output['b'][1]",
    ]
    with pytest.raises(OutputError, match=r"output\['x'\] is an object of object"):
        list(leaves({"x": object()}))
    deep: list = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(OutputError, match="nested deeper than 16"):
        list(leaves(deep))
