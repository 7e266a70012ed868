"""One shape of Python pickle, the batches of CIFAR-10: a dictionary of a uint8 array, lists, numbers and strings.

A pickle is a program. `pickle.Unpickler` runs it, but the only names that it can find here are stand-ins, which note what
NumPy would be told: nothing of NumPy, of Python or of any other module is looked up or called.

Names are not all that a stranger can play with, so `_judge` walks over the instructions first. Unpickler allocates a memo
up to the highest index, and a string before it has read it. Tuples as keys of a dictionary take exponential time where
each holds the one before it twice, and end the process where 200,000 are nested. Where an instruction crosses the end of
its frame, Unpickler reads other instructions than stand in the file. Therefore strings, memo and frames stay within the
file, what holds other things is never taken from the memo, and the little that can become a key is bounded. Then
unpickling takes twice the size of the file and about a hundred bytes per instruction.

Source: CPython, Lib/pickletools.py and Modules/_pickle.c; NumPy, `array_reduce` and `array_setstate` in
_core/src/multiarray/methods.c, `arraydescr_reduce` in descriptor.c, `_frombuffer` (protocol 5) in _core/numeric.py.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError, quoted

WANTED = "a batch of CIFAR-10 as published: a pickled dictionary of a uint8 array, lists and strings"
AGAIN = "download or copy it again, and compare its checksum with the publisher's"
_DISTRUST = "do not trust this file, and never unpickle it; save a data set of your own with numpy.savez"

_TEXT = {"SHORT_BINUNICODE", "BINUNICODE"}
# Instructions that make what holds nothing else; only this may be taken from the memo.
_LEAVES = {
    *_TEXT, "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8", "GLOBAL", "STACK_GLOBAL", "REDUCE",
}  # fmt: skip
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET"}
INSTRUCTIONS = {
    *_LEAVES, *_PUTS, *_GETS, "FRAME", "MARK", "STOP", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "NONE", "NEWTRUE",
    "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS",
    "SETITEM", "SETITEMS", "BUILD",
}  # fmt: skip
# In how many bytes an argument begins with its length, by what pickletools says of it.
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT4: 4, pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}  # fmt: skip
_TWO_LINES = re.compile(rb"[^\n]*\n[^\n]*\n")
_BEYOND_LATIN_1 = re.compile(rb"[\xc4-\xff]")  # in UTF-8: begins a character for which Python takes up to four bytes


def read_pickle(data: bytes) -> dict[str, object]:
    """Read the dictionary that a pickle describes.

    Args:
        data: the whole file, at most MAX_BATCH_BYTES (the caller sees to that).

    Returns:
        by its names: `Array`, bytes, bytearray, str, int, bool, None, or a list or tuple of these. What Python 3 has
        pickled as bytes in protocol 2 is a str of the same numbers.

    Raises:
        DataError: the pickle is cut short or damaged, needs anything beyond this module, or exceeds a bound.
    """
    _judge(data)
    try:
        found = _Unpickler(io.BytesIO(data), encoding="bytes").load()  # strings of Python 2 become bytes
    except (DataError, MemoryError):
        raise
    except Exception as error:  # pickle's documentation: any exception may be raised
        raise DataError(f"is a pickle that cannot be read ({printable(str(error))})", WANTED, _DISTRUST) from error
    if not isinstance(found, dict) or not all(isinstance(key, (bytes, str)) for key in found):
        raise DataError("is a pickle of something other than a dictionary with names", WANTED, _DISTRUST)
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in found.items()}


def _judge(data: bytes) -> None:
    """Raise `DataError` unless the instructions are harmless to Unpickler. None of them is run."""
    if data[:1] != b"\x80" or data[1:2] not in (b"\2", b"\3", b"\4", b"\5"):
        raise DataError("is not a pickle of protocol 2 to 5", WANTED, "check what it is")
    place, frame_end, last = 2, 0, ""
    memo: dict[int, str] = {}  # the instructions that made what is stored
    counts = [0]  # numbers of instructions: outside all marks, then since each mark that is open
    for _ in range(bounds.MAX_PICKLE_INSTRUCTIONS):
        at = place
        name, start, place = _instruction(data, at)
        argument = int.from_bytes(data[start : min(place, start + 8)], "little")
        counts[-1] += 1
        if at < frame_end and (place > frame_end or name == "FRAME"):
            _refuse("has an instruction that crosses the end of its frame", at)
        if last in ("SETITEM", "SETITEMS") and name != "STOP":
            _refuse("holds more than one dictionary", at)
        match name:
            case "STOP" if place == len(data):
                return
            case "STOP":
                raise DataError(f"continues after its end at byte {place:,}", WANTED, AGAIN)
            case "FRAME":
                frame_end = _within(data, at, place + argument)
            case "MARK":
                counts.append(0)
            case "APPENDS" | "SETITEMS" | "TUPLE":
                if len(counts) == 1:
                    _refuse("takes what is not there", at)
                inside = counts.pop()
                counts[-1] += 0 if name == "APPENDS" else inside  # a list is never a key, nor a part of one
            case "BINGET" | "LONG_BINGET" if memo.get(argument) not in _LEAVES:
                _refuse("recalls a container, or what it has not stored", at)
        if name in ("SETITEM", "SETITEMS") and counts[-1] > bounds.MAX_PICKLE_OUTLINE:
            _refuse(f"takes more than {bounds.MAX_PICKLE_OUTLINE:,} instructions outside its lists", at)
        if name in _PUTS:
            index = len(memo) if name == "MEMOIZE" else argument
            if index > bounds.MAX_PICKLE_INSTRUCTIONS:
                _refuse(f"stores something under the number {index:,}", at)
            memo[index] = last
        elif name != "FRAME":
            last = memo[argument] if name in _GETS else name
    raise DataError(
        f"takes more than {bounds.MAX_PICKLE_INSTRUCTIONS:,} instructions",
        "a pickle within MAX_PICKLE_INSTRUCTIONS of tools/data/bounds.py",
        _DISTRUST,
    )


def _instruction(data: bytes, at: int) -> tuple[str, int, int]:
    """The name of the instruction at a place, and where its argument (after its length) starts and ends."""
    _within(data, at, at + 1)
    known = pickletools.code2op.get(chr(data[at]))
    if known is None or known.name not in INSTRUCTIONS:
        _refuse(f"holds the instruction {known.name if known else f'0x{data[at]:02x}'}", at)
    start = at + 1
    size = known.arg.n if known.arg else 0
    if size == pickletools.UP_TO_NEWLINE:  # the name of a module, then a name in it
        lines = _TWO_LINES.match(data, start)
        size = lines.end() - start if lines else len(data)
    elif size < 0:
        start += _LENGTHS[size]
        size = int.from_bytes(data[at + 1 : start], "little")
    end = _within(data, at, start + size)
    if known.name == "LONG1" and size > 8:
        _refuse("holds a number of more than 64 bits", at)
    if known.name in _TEXT and _BEYOND_LATIN_1.search(data, start, end):
        _refuse("holds characters beyond Latin-1", at)
    return known.name, start, end


def _within(data: bytes, at: int, end: int) -> int:
    if end > len(data):
        raise DataError(f"is cut short or damaged at byte {at:,}", f"{WANTED}, whole", AGAIN)
    return end


def _refuse(problem: str, at: int) -> NoReturn:
    raise DataError(f"is a pickle that {problem} (byte {at:,})", WANTED, _DISTRUST)


class Array:
    """A uint8 array as a pickle describes it: its values, its shape, and whether its first axis varies fastest."""

    __slots__ = ("fortran", "raw", "shape")

    def __init__(self, raw: object = b"", shape: object = (0,), fortran: bool = False) -> None:
        if not isinstance(raw, (bytes, bytearray, str)) or not isinstance(shape, tuple) or len(shape) > 4:
            raise ValueError("it describes what is no array")
        if not all(type(size) is int and 0 <= size < 2**32 for size in shape):
            raise ValueError("it describes an array of no possible shape")
        self.raw, self.shape, self.fortran = raw, shape, fortran

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _version, shape, _type, fortran, raw = state
        Array.__init__(self, raw, shape, bool(fortran))

    def values(self) -> np.ndarray:
        """The array, uint8 of `shape`, where possible without a copy.

        Raises:
            DataError: it has more or fewer values than its shape says.
        """
        raw = self.raw.encode("latin-1") if isinstance(self.raw, str) else self.raw
        if math.prod(self.shape) != len(raw):
            raise DataError(
                f"has an array of shape {self.shape} with {len(raw):,} values", "as many as its shape says", AGAIN
            )
        return np.frombuffer(raw, np.uint8).reshape(self.shape, order="F" if self.fortran else "C")


class _Name:
    """A stand-in for a name: calling it calls a function of this module."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object] | None) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        if self._function is None:
            raise ValueError("it calls a type")
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        """Change nothing. Without this method, pickle would set any attribute; a dtype's are not needed."""


def _dtype(kind: object, *_flags: object) -> object:
    name = kind.decode("latin-1") if isinstance(kind, bytes) else str(kind)
    if name not in ("u1", "|u1"):
        raise DataError(
            f"holds values of NumPy's type {quoted(name)}",
            "an array of uint8 ('u1')",
            "save the array with numpy.savez",
        )
    return _TYPE


def _encode(text: object, encoding: object) -> str:
    """Bytes as Python 3 writes them in protocol 2: their text, which is encoded only where it is needed."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("it encodes what is no text, or not in Latin-1")
    return text


_TYPE = _Name(None)
_RECONSTRUCT = _Name(lambda _type, _shape, _kind: Array())
_FROMBUFFER = _Name(lambda raw, _type, shape, order: Array(raw, shape, order == "F"))
# The names that NumPy, before and since its version 2, and pickle itself write for an array of uint8.
NAMES: dict[tuple[str, str], _Name] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROMBUFFER,
    ("numpy", "ndarray"): _TYPE,
    ("numpy", "dtype"): _Name(_dtype),
    ("_codecs", "encode"): _Name(_encode),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) in NAMES:
            return NAMES[module, name]
        asked = quoted(f"{module}.{name}")
        raise DataError(f"is a pickle that asks for {asked}, which is never looked up", WANTED, _DISTRUST)
