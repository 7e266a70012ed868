"""What a reader of specs says when a spec is wrong.

One exception type, `SpecError`, carries every problem of a file at once, and one function formats them: file,
key path, the formula with a caret under the offending place, what was expected, and how to mend it. Inner code
only calls `Problems.add`; it never builds a message's frame.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

_EXCERPT = 100  # characters of a formula visible around the caret


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        file: name of the file that is wrong, as the user knows it, or the "--set" that is wrong.
        key: dotted path of the key in that file, "" for the whole file.
        message: one sentence without a full stop, which says what is wrong and what was expected.
        hint: advice how to mend it, "" where the message says it all.
        text: formula that is wrong, "" for none.
        span: start and end of the offending place in `text`.
    """

    file: str
    key: str
    message: str
    hint: str = ""
    text: str = ""
    span: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        lines = [f"{where}: {self.message}" if where else self.message]
        if self.text:
            lines += [f"    {line}" for line in _underlined(self.text, self.span)]
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(map(printable, lines))


class SpecError(Exception):
    """A spec is wrong; `problems` says everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass
class Problems:
    """Collects the problems of a spec, so that all of them are reported at once.

    Args:
        found: problems, each once.
        noted: number of problems that were noted, repetitions included.
    """

    found: list[Problem] = field(default_factory=list)
    noted: int = 0

    def add(
        self, file: str, key: str, message: str, hint: str = "", *, text: str = "", span: tuple[int, int] = (0, 0)
    ) -> None:
        """Note a problem; the same one is kept once."""
        self.extend([Problem(file, key, message, hint, text, span)])

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note the problems of another error."""
        for problem in problems:
            self.noted += 1
            if problem not in self.found:
                self.found.append(problem)

    def stop_if_any(self) -> None:
        """Raises: SpecError: if a problem was noted."""
        if self.found:
            raise SpecError(self.found)


def expected_one_of(valid: Iterable[str]) -> str:
    """Returns: "expected one of a, b, c", sorted, or what to say when nothing is valid."""
    names = sorted(valid)
    return f"expected one of {', '.join(names)}" if names else "nothing is allowed here"


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """Returns: "did you mean 'x'?" for the nearest valid name, "" where none is near."""
    near = difflib.get_close_matches(wrong, list(valid), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def counted(count: int, thing: str) -> str:
    """Returns: "1 layer", "2 layers"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Returns: the text, with escapes for characters that a terminal might obey; specs come from strangers."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _underlined(text: str, span: tuple[int, int]) -> list[str]:
    """Returns: the part of a formula around a place, and a line of carets below the place."""
    start, end = span
    first = max(0, min(start, len(text)) - _EXCERPT // 2)
    excerpt = text[first : first + _EXCERPT]
    before = "... " if first else ""
    after = " ..." if first + _EXCERPT < len(text) else ""
    visible = "".join(c if c.isascii() and c.isprintable() else "?" if not c.isspace() else " " for c in excerpt)
    width = max(1, min(end, first + _EXCERPT) - start)
    return [before + visible + after, " " * (len(before) + start - first) + "^" * width]
