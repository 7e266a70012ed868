"""What a pickle of `pickles` may describe: strings and uint8 arrays, still lying in the file until they are asked for.

This module knows the few names by which NumPy describes an array to pickle; it compares them and calls nothing. Source:
numpy/_core/src/multiarray/methods.c, `array_reduce` and `array_setstate`; descriptor.c, `arraydescr_reduce`;
numpy/_core/numeric.py, `_frombuffer` (protocol 5). Pickle itself adds `_codecs.encode`, by which Python 3 writes bytes
in protocol 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ganspec.tools.data.errors import DataError, quoted

AGAIN = "download or copy it again, and compare its checksum with the publisher's"
_LONGEST_NAME = 64  # characters of a name or key; NumPy's longest has 22

_PACKAGES = ("numpy.core", "numpy._core")  # before and since NumPy 2
# Module and name, parted by a space as pickletools shows them.
_RECONSTRUCT = tuple(f"{package}.multiarray _reconstruct" for package in _PACKAGES)
_FROMBUFFER = tuple(f"{package}.numeric _frombuffer" for package in _PACKAGES)
GLOBALS = {*_RECONSTRUCT, *_FROMBUFFER, "numpy ndarray", "numpy dtype", "_codecs encode"}


@dataclass(frozen=True, slots=True, eq=False)
class String:
    """A string that still lies in the file.

    Args:
        raw: its bytes there.
        utf8: whether they are characters in UTF-8; else they are the string's own bytes.
    """

    raw: memoryview
    utf8: bool

    def short(self) -> str | None:
        """The string if it is a short name in ASCII, else None."""
        if len(self.raw) > _LONGEST_NAME:
            return None
        raw = bytes(self.raw)
        return raw.decode("ascii") if raw.isascii() else None

    def values(self) -> np.ndarray:
        """Its bytes, uint8 (n,); where it has characters, each stands for the byte of its number (Latin-1).

        Raises:
            DataError: there are characters beyond Latin-1, or it is no UTF-8.
        """
        flat = np.frombuffer(self.raw, np.uint8)
        if not self.utf8:
            return flat
        try:
            if flat.max(initial=0) > 0xC3:  # begins a character beyond Latin-1, of which decoding would take four bytes
                raise ValueError("beyond Latin-1")
            return np.frombuffer(str(self.raw, "utf-8").encode("latin-1"), np.uint8)
        except ValueError as error:
            raise DataError("holds characters where bytes belong", "an array of uint8", AGAIN) from error


@dataclass(frozen=True, slots=True)
class Global:
    """One of `GLOBALS`: a name, and nothing behind it."""

    name: str


@dataclass(frozen=True, slots=True)
class Uint8:
    """NumPy's dtype uint8, the only one that is read."""


@dataclass(slots=True, eq=False)
class Array:
    """A uint8 array whose values still lie in the file.

    Args:
        shape: of it, None until the pickle has said.
        fortran: whether the first axis varies fastest.
        data: the values, None until the pickle has said.
    """

    shape: tuple[int, ...] | None = None
    fortran: bool = False
    data: String | None = None

    def values(self) -> np.ndarray:
        """The array, uint8 of `shape`, where possible a view of the file.

        Raises:
            DataError: it has more or fewer values than its shape says.
        """
        flat = np.empty(0, np.uint8) if self.data is None else self.data.values()
        if self.shape is None or math.prod(self.shape) != len(flat):
            raise DataError(
                f"has an array of shape {self.shape} with {len(flat):,} values", "as many as its shape says", AGAIN
            )
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


def called(function: object, arguments: object) -> object | None:
    """What a call of one of `GLOBALS` would give; None if it is no call that NumPy writes for a uint8 array.

    Raises:
        DataError: it makes a dtype other than uint8.
    """
    match function, arguments:
        case Global("_codecs encode"), (String(raw, True), String() as form) if form.short() in ("latin1", "latin-1"):
            return String(raw, True)
        case Global("numpy dtype"), (String() as form, *flags) if len(flags) <= 2:
            if form.short() not in ("u1", "|u1"):
                raise DataError(
                    f"holds values of NumPy's type {quoted(form.short() or '?')}",
                    "an array of uint8 ('u1')",
                    "save the array with numpy.savez",
                )
            return Uint8()
        case Global(name), (Global("numpy ndarray"), (0,), String()) if name in _RECONSTRUCT:
            return Array()
        case Global(name), (String() as data, Uint8(), tuple() as shape, String() as order) if name in _FROMBUFFER:
            if _is_shape(shape) and order.short() in ("C", "F"):
                return Array(shape, order.short() == "F", data)
    return None


def filled(target: object, state: object) -> bool:
    """Whether `state` is what NumPy writes for `target`, an array or a dtype; an array then holds it."""
    match target, state:
        case Uint8(), tuple():  # version, byte order, fields and alignment, of which a byte has none
            return True
        case Array(None, _, None), (int(), tuple() as shape, Uint8(), int() as fortran, String() as data):
            if _is_shape(shape):
                target.shape, target.fortran, target.data = shape, bool(fortran), data
                return True
    return False


def _is_shape(sizes: tuple[object, ...]) -> bool:
    return len(sizes) <= 4 and all(type(size) is int and 0 <= size < 2**32 for size in sizes)
