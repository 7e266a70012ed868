"""Which lines of his class, and of his functions that it calls, ran in the proof; the others were not exercised.

Lines are counted in functions that were entered and in all methods of the classes of his model. `sys.settrace` sees them;
whatever traced before, such as a debugger, is put back.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MAX_SOURCE = 10_000_000  # bytes of one of his files


@dataclass(frozen=True)
class Missed:
    """Lines in sequence that did not run.

    Args:
        file: path of his file.
        first, last: the lines.
        function: function or method in which they are, "Generator.sample".
    """

    file: str
    first: int
    last: int
    function: str

    def __str__(self) -> str:
        lines = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{named(self.file)}:{lines} ({self.function})"


class Coverage(contextlib.AbstractContextManager):
    """Watches his files while it is entered; can be entered many times, also within itself.

    Args:
        files: paths of his files, as Python knows them.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.files = set(files)
        self.lines: set[tuple[str, int]] = set()
        self.entered: set[tuple[str, str]] = set()  # file and qualified name of functions
        self._before: list[Any] = []

    def __enter__(self) -> Coverage:
        self._before.append(sys.gettrace())
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before.pop())

    def _call(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in self.files:
            return None
        self.entered.add((code.co_filename, code.co_qualname))
        return self._line

    def _line(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line

    def missed(self, classes: Iterable[type] = ()) -> list[Missed]:
        """Say what did not run.

        Args:
            classes: classes of his model, of which every method counts.

        Returns: stretches of lines, in the order of the files.
        """
        owned = {cls.__qualname__ for cls in classes}
        found: list[Missed] = []
        for file in sorted(self.files):
            for code in _functions(file):
                counts = (file, code.co_qualname) in self.entered or code.co_qualname.rpartition(".")[0] in owned
                if counts:
                    found += self._stretches(file, code)
        return found

    def counted(self, classes: Iterable[type] = ()) -> tuple[int, int]:
        """Returns: how many lines ran, and of how many."""
        owned = {cls.__qualname__ for cls in classes}
        ran = total = 0
        for file in self.files:
            for code in _functions(file):
                if (file, code.co_qualname) in self.entered or code.co_qualname.rpartition(".")[0] in owned:
                    lines = _lines(code)
                    total += len(lines)
                    ran += sum((file, line) in self.lines for line in lines)
        return ran, total

    def _stretches(self, file: str, code: types.CodeType) -> Iterator[Missed]:
        stretch: list[int] = []
        for line in _lines(code):
            if (file, line) not in self.lines:
                stretch.append(line)
            elif stretch:
                yield Missed(file, stretch[0], stretch[-1], code.co_qualname)
                stretch = []
        if stretch:
            yield Missed(file, stretch[0], stretch[-1], code.co_qualname)


def _functions(file: str) -> Iterator[types.CodeType]:
    """Yields: the code of each function in a file, inner ones too; comprehensions belong to the function around them."""
    try:
        with open(file, "rb") as opened:
            source = opened.read(MAX_SOURCE + 1)
        code = compile(source, file, "exec", dont_inherit=True) if len(source) <= MAX_SOURCE else None
    except (OSError, SyntaxError, ValueError):
        return
    if code is not None:
        yield from _inside(code, top=True)


def _inside(code: types.CodeType, top: bool = False) -> Iterator[types.CodeType]:
    is_class = not code.co_flags & 0x0002 and not top  # CO_NEWLOCALS: a function's
    if not top and not is_class and not code.co_name.startswith("<"):
        yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _inside(constant)


def _lines(code: types.CodeType) -> list[int]:
    """Returns: lines of a function that have something to run, the one of `def` and a docstring left out."""
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return sorted(lines - {code.co_firstlineno})


def his_files(classes: Iterable[type]) -> list[str]:
    """Returns: the files in which the methods of classes were written, Chainer's own left out."""
    own = [cls for cls in classes if cls.__module__.partition(".")[0] not in ("chainer", "builtins")]
    functions = [value for cls in own for value in vars(cls).values() if isinstance(value, types.FunctionType)]
    return sorted({function.__code__.co_filename for function in functions})


def named(path: str) -> str:
    """Returns: a path as one would type it here."""
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside
