"""One shape of Python pickle, read without unpickling: a dictionary of uint8 arrays, lists, numbers and strings.

CIFAR-10 is published as pickles, and a pickle is a program: unpickling runs whatever functions it names. Here the
program is only looked at. This reader knows the instructions that such a dictionary needs (of protocols 2 to 5, as
cPickle of Python 2 and pickle of Python 3 write them) and the few names by which NumPy describes an array; names are
compared and never looked up, nothing is imported or called, and any other instruction or name is refused. What strings
and arrays hold stays where it lies in the file until the caller asks for it, so a file cannot make more of itself.

Source: CPython's Lib/pickletools.py, which defines the instructions; numpy/_core/src/multiarray/methods.c,
`array_reduce` and `array_setstate`, and numpy/_core/numeric.py, `_frombuffer`.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import NoReturn

from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError, quoted
from ganspec.tools.data.pickled import AGAIN, GLOBALS, Global, String, called, filled

WANTED = "a batch of CIFAR-10 as published: a pickled dictionary of a uint8 array, lists and strings"
_DISTRUST = "do not trust this file, and never unpickle it; save a data set of your own with numpy.savez"
_LONGEST_LINE = 64  # characters of a module or name; NumPy's longest has 22


def read_pickle(data: bytes) -> dict[str, object]:
    """Read the dictionary that a pickle describes.

    Args:
        data: the whole file, at most MAX_BATCH_BYTES (the caller's to hold).

    Returns:
        by its names: `Array`, `String`, int, bool, None, or a flat list or tuple of these.

    Raises:
        DataError: it is cut short or damaged, asks for anything outside this module, or takes more than
            MAX_PICKLE_INSTRUCTIONS instructions. Memory beside `data` is a few hundred bytes an instruction.
    """
    return _Interpreter(memoryview(data).toreadonly()).run()


class _Interpreter:
    """The state of the pickle machine: a stack, marks in it, and a memo."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.place, self.at = data, 0, 0
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self) -> dict[str, object]:
        if self.take(1) != b"\x80" or self.take(1)[0] not in (2, 3, 4, 5):
            raise DataError("is no pickle of protocol 2 to 5", WANTED, "check what it is")
        for _ in range(bounds.MAX_PICKLE_INSTRUCTIONS):
            self.at = self.place
            code = self.take(1)[0]
            if code == ord("."):
                return self.finished()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                known = pickletools.code2op.get(chr(code))
                self.refuse(f"holds the instruction {known.name if known else f'0x{code:02x}'}")
            instruction(self)
        raise DataError(
            f"takes more than {bounds.MAX_PICKLE_INSTRUCTIONS:,} instructions",
            "a pickle within MAX_PICKLE_INSTRUCTIONS of tools/data/bounds.py",
            _DISTRUST,
        )

    def finished(self) -> dict[str, object]:
        if self.place != len(self.data):
            raise DataError(f"goes on after its end at byte {self.place:,}", WANTED, AGAIN)
        result = self.pop()
        if self.stack or self.marks or not isinstance(result, dict):
            self.refuse("ends without a dictionary")
        return result

    def refuse(self, problem: str) -> NoReturn:
        raise DataError(f"is a pickle that {problem} (byte {self.at:,})", WANTED, _DISTRUST)

    def take(self, count: int) -> memoryview:
        """The next bytes of the file."""
        if count > len(self.data) - self.place:
            raise DataError(f"is cut short or damaged at byte {self.at:,}", f"{WANTED}, whole", AGAIN)
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def pop(self) -> object:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.refuse("takes what is not there")
        return self.stack.pop()

    def top(self) -> object:
        value = self.pop()
        self.stack.append(value)
        return value

    def pop_mark(self) -> list[object]:
        """What lies above the last mark."""
        if not self.marks:
            self.refuse("takes what is not there")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def push_mark(self) -> None:
        if len(self.marks) == bounds.MAX_PICKLE_DEPTH:
            self.refuse(f"is nested deeper than {bounds.MAX_PICKLE_DEPTH}")
        self.marks.append(len(self.stack))

    def push_string(self, length: str, utf8: bool) -> None:
        self.stack.append(String(self.take(self.number(length)), utf8))

    def push_long(self) -> None:
        size = self.take(1)[0]
        if size > 8:
            self.refuse("holds a number of more than 64 bits")
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def push_tuple(self, items: list[object]) -> None:
        for item in items:
            if isinstance(item, (list, dict)) or (isinstance(item, tuple) and any(isinstance(i, tuple) for i in item)):
                self.refuse("holds a tuple of containers")
        self.stack.append(tuple(items))

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            self.refuse("recalls what it has not stored")
        self.stack.append(self.memo[index])

    def append(self, items: list[object]) -> None:
        target = self.top()
        if not isinstance(target, list) or any(isinstance(item, (list, dict, tuple)) for item in items):
            self.refuse("appends to what is no flat list")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self.top()
        if not isinstance(target, dict) or len(items) % 2:
            self.refuse("sets items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(value, dict):
                self.refuse("holds a dictionary in a dictionary")
            target[self.short(key)] = value

    def short(self, value: object) -> str:
        name = value.short() if isinstance(value, String) else None
        if name is None:
            self.refuse("has something other than a short string for a name")
        return name

    def push_global(self, module: str, name: str) -> None:
        """Push one of the names by which NumPy describes arrays. No other is admitted, and none is looked up."""
        if f"{module} {name}" not in GLOBALS:
            self.refuse(f"asks for {quoted(f'{module}.{name}')}, which is never looked up")
        self.stack.append(Global(f"{module} {name}"))

    def line(self) -> str:
        length = bytes(self.data[self.place : self.place + _LONGEST_LINE]).find(b"\n")
        if length < 0:
            self.refuse(f"has a name of more than {_LONGEST_LINE} characters")
        return bytes(self.take(length + 1)[:-1]).decode("latin-1")

    def reduce(self) -> None:
        """Push what a call of one of NumPy's functions would give. Nothing is called."""
        arguments, function = self.pop(), self.pop()
        result = called(function, arguments)
        if result is None:
            self.refuse("describes what is no uint8 array")
        self.stack.append(result)

    def build(self) -> None:
        """Fill in the array or dtype on top of the stack."""
        state, target = self.pop(), self.top()
        if not filled(target, state):
            self.refuse("describes what is no uint8 array")


_INSTRUCTIONS: dict[int, Callable[[_Interpreter], None]] = {
    ord(code): function
    for code, function in {
        "\x95": lambda m: m.take(8),  # FRAME, for buffered reading
        "(": _Interpreter.push_mark,
        "}": lambda m: m.stack.append({}),
        "]": lambda m: m.stack.append([]),
        ")": lambda m: m.stack.append(()),
        "N": lambda m: m.stack.append(None),
        "\x88": lambda m: m.stack.append(True),
        "\x89": lambda m: m.stack.append(False),
        "K": lambda m: m.stack.append(m.number("<B")),
        "M": lambda m: m.stack.append(m.number("<H")),
        "J": lambda m: m.stack.append(m.number("<i")),
        "\x8a": _Interpreter.push_long,
        "U": lambda m: m.push_string("<B", False),  # str of Python 2
        "T": lambda m: m.push_string("<I", False),
        "C": lambda m: m.push_string("<B", False),  # bytes
        "B": lambda m: m.push_string("<I", False),
        "\x96": lambda m: m.push_string("<Q", False),  # bytearray, as NumPy writes under protocol 5
        "\x8c": lambda m: m.push_string("<B", True),  # str of Python 3
        "X": lambda m: m.push_string("<I", True),
        "\x85": lambda m: m.push_tuple([m.pop()]),
        "\x86": lambda m: m.push_tuple([m.pop(), m.pop()][::-1]),
        "\x87": lambda m: m.push_tuple([m.pop(), m.pop(), m.pop()][::-1]),
        "t": lambda m: m.push_tuple(m.pop_mark()),
        "a": lambda m: m.append([m.pop()]),
        "e": lambda m: m.append(m.pop_mark()),
        "s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
        "u": lambda m: m.set_items(m.pop_mark()),
        "q": lambda m: m.remember(m.number("<B")),
        "r": lambda m: m.remember(m.number("<I")),
        "\x94": lambda m: m.remember(len(m.memo)),
        "h": lambda m: m.recall(m.number("<B")),
        "j": lambda m: m.recall(m.number("<I")),
        "c": lambda m: m.push_global(m.line(), m.line()),
        "\x93": lambda m: m.push_global(*(m.short(text) for text in (m.pop(), m.pop())[::-1])),
        "R": _Interpreter.reduce,
        "b": _Interpreter.build,
    }.items()
}
