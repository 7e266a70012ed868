"""What his model is given: inputs as the user describes them, and numbers for them.

z=128                    (N, 128), floating-point, normal
x=3,32,32:float:-1..1    (N, 3, 32, 32), uniform in [-1, 1)
y=:int32:0..10           (N,), whole numbers from 0 to 9
s=20,N,8                 N says where the batch axis is; it is the first without
xs.0=8  xs.1=4           a list of two inputs; xs.key=... makes a dictionary
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.errors import UserError

MAX_SIZE = 2**26  # numbers of one input, for one sample
DTYPES = ("float", "int32", "int64", "bool")
_RANGE = re.compile(r"(-?[0-9.]+(?:e-?[0-9]+)?)\.\.(-?[0-9.]+(?:e-?[0-9]+)?)")
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
EXAMPLES = "z=128, x=3,32,32:float:-1..1 or y=:int32:0..10"


@dataclass(frozen=True)
class Input:
    """One input.

    Args:
        name: name of his method's argument; "xs.0" is the first of a list, "d.key" an entry of a dictionary.
        shape: its shape; None is the batch axis.
        dtype: one of `DTYPES`; "float" has the precision of the run.
        low, high: least number and upper bound; None for normal numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float"
    low: float | None = None
    high: float | None = None

    @property
    def image(self) -> bool:
        """Whether it has rows and columns behind batch and channels, which may have another size."""
        return len(self.shape) > 3 and self.shape[0] is None


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are.

    Args:
        batch: number of samples.
        scale: factor of the sizes of images; 1 for the sizes that were traced.
        more: rows and columns that images have beyond that.
    """

    batch: int
    scale: Fraction = Fraction(1)
    more: int = 0

    def shape(self, given: Input) -> tuple[int, ...]:
        """Returns: the shape of an input.

        Raises:
            ValueError: the factor makes no whole sizes of it.
        """
        shape = []
        for axis, n in enumerate(given.shape):
            size = Fraction(self.batch if n is None else n)
            if given.image and axis > 1:
                size = size * self.scale + self.more
            if size.denominator > 1:
                raise ValueError(f"{n} times {self.scale} is no whole number")
            shape.append(int(size))
        return tuple(shape)


def parse_input(text: str) -> Input:
    """Read NAME=SHAPE[:DTYPE[:LOW..HIGH]].

    Raises:
        UserError: it is not written so.
    """

    def wrong(what: str) -> UserError:
        return UserError(f"--input {text}: {what}; write it as NAME=SHAPE[:DTYPE[:LOW..HIGH]], such as {EXAMPLES}")

    name, equals, rest = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise wrong("it does not begin with the name of an argument and '='")
    shape_text, _, rest = rest.partition(":")
    words = [word for word in re.split(r"[,x]", shape_text) if word]
    if not all(word == "N" or re.fullmatch(r"[1-9][0-9]{0,8}", word) for word in words) or words.count("N") > 1:
        raise wrong(
            f"'{shape_text}' is no shape: sizes of one sample with commas between, and N once where the batch is"
        )
    shape = tuple(None if word == "N" else int(word) for word in (words if "N" in words else ["N", *words]))
    if math.prod(n or 1 for n in shape) > MAX_SIZE:
        raise wrong(f"one sample has more than {MAX_SIZE:,} numbers")
    dtype, _, bounds = rest.partition(":")
    dtype = {"": "float", "int": "int32", "float32": "float"}.get(dtype, dtype)
    if dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES)
        raise wrong(f"'{dtype}' is no dtype: {expected_one_of(DTYPES)}" + (f"; {hint}" if hint else ""))
    made = Input(name, shape, dtype)
    if not bounds:
        if dtype.startswith("int"):
            raise wrong("whole numbers need a range, such as :int32:0..10 for 0 to 9")
        return made
    found = _RANGE.fullmatch(bounds)
    try:
        low, high = map(float, found.groups() if found else ())
    except ValueError:
        raise wrong(f"'{bounds}' is no range, such as -1..1") from None
    if not low < high or not math.isfinite(high - low):
        raise wrong(f"the range '{bounds}' is empty")
    return replace(made, low=low, high=high)


def draw_inputs(inputs: Sequence[Input], sizes: Sizes, seed: int, dtype: str) -> dict[str, np.ndarray]:
    """Draw numbers for inputs.

    Floating-point numbers are drawn in float32 and widened, so that both precisions are given the same.

    Args:
        inputs: what is drawn.
        sizes: how large.
        seed: seed of the numbers.
        dtype: "float32" or "float64".

    Returns: an array for each input, by its name.
    """
    drawn = {}
    for given in inputs:
        generator = np.random.Generator(np.random.Philox([seed, zlib.crc32(given.name.encode())]))
        shape = sizes.shape(given)
        low, high = (0.0, 1.0) if given.low is None or given.high is None else (given.low, given.high)
        if given.dtype == "bool":
            drawn[given.name] = generator.random(shape) < 0.5
        elif given.dtype != "float":
            drawn[given.name] = generator.integers(math.ceil(low), math.ceil(high), shape).astype(given.dtype)
        else:
            plain = generator.standard_normal(shape) if given.low is None else generator.uniform(low, high, shape)
            drawn[given.name] = plain.astype(np.float32).astype(dtype)
    return drawn


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns: arguments by name; "xs.0" and "xs.1" become the list "xs", "d.key" an entry of the dictionary "d"."""
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        *outer, last = name.split(".")
        inside = arguments
        for word in outer:
            inside = inside.setdefault(word, {})
        inside[last] = value
    return {name: _listed(value) for name, value in arguments.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inside = {name: _listed(each) for name, each in value.items()}
    return list(inside.values()) if list(inside) == [str(i) for i in range(len(inside))] else inside
