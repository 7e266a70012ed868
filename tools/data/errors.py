"""The one exception of the data readers, and how exceptions of parsers become it.

Inner code raises a short reason, the outermost call (`tools.data.load`) adds the path once. Whatever a file holds, no
exception but `DataError` leaves the readers.
"""

from __future__ import annotations

import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError

_LISTED = 10  # bad files that a message lists
_SHOWN = 120  # characters of a hostile member name that a message repeats

# What gzip, zipfile, tarfile and NumPy's header parser raise on damaged bytes. ValueError covers UnicodeError,
# RuntimeError covers RecursionError (a tar of ten thousand nested headers) and NotImplementedError (zip versions),
# SyntaxError and TokenError are how NumPy's header parser ends, and the rest are plain slips of parsers that trusted
# their input.
_FOREIGN = (
    EOFError, OSError, ValueError, RuntimeError, SyntaxError, OverflowError, LookupError, TypeError, AttributeError,
    struct.error, zlib.error, tarfile.TarError, tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip


class DataError(UserError):
    """A data set cannot be read.

    Args:
        problem: sentence without subject and full stop that says what is wrong ("is cut short"); lines may follow it.
        expected: description of what would be right.
        remedy: advice for the user, an imperative.
        member: path inside the folder or archive, None if the problem is the whole.
        path: path that the user gave; `load` fills it in.
    """

    def __init__(
        self, problem: str, expected: str, remedy: str, *, member: str | None = None, path: Path | None = None
    ) -> None:
        super().__init__(problem)
        self.problem, self.expected, self.remedy = problem, expected, remedy
        self.member, self.path = member, path

    def __str__(self) -> str:
        where = [] if self.path is None else [printable(str(self.path))]
        if self.member is not None:
            where.append(quoted(self.member))
        head = f"{', '.join(where)}: {self.problem}" if where else self.problem
        return f"{head}\n    expected: {self.expected}\n    to mend it: {self.remedy}"


class BadMembers:
    """The files of a data set that cannot be used: how many they are, and what is wrong with the first ten.

    The texts are kept, not the exceptions, which would keep the files in memory.
    """

    def __init__(self) -> None:
        self._count = 0
        self._first: list[tuple[str, str, str, str]] = []

    def add(self, name: str, error: DataError) -> None:
        """Note that the file `name` of the folder or archive cannot be used."""
        self._count += 1
        if len(self._first) < _LISTED:
            self._first.append((name, error.problem, error.expected, error.remedy))

    def refuse(self, among: str) -> None:
        """Raise `DataError` if there was any.

        Args:
            among: number and sort of all files, for a sentence that begins with "3": "of 9 pictures".

        Raises:
            DataError: there is one, which is its member, or there are several, of which the message lists the first ten.
        """
        if self._count == 1:
            name, problem, expected, remedy = self._first[0]
            raise DataError(problem, expected, remedy, member=name)
        if self._count:
            lines = [f"    {quoted(name)}: {problem}" for name, problem, _, _ in self._first]
            if self._count > len(self._first):
                lines.append(f"    and {self._count - len(self._first):,} more")
            expected, remedies = (dict.fromkeys(texts) for texts in list(zip(*self._first, strict=True))[2:])
            problem = "\n".join([f"{self._count:,} {among} cannot be used", *lines])
            raise DataError(problem, "; ".join(expected), "; ".join(remedies))


def quoted(name: str) -> str:
    """Write a file name in quotes, safe to print: shortened, with escapes for control characters and lone surrogates."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


@contextmanager
def damage_reported(what: str, *, member: str | None = None) -> Iterator[None]:
    """Turn a parser's exception inside the block into a `DataError` that calls `what` damaged.

    Args:
        what: format that is read, with its article: "a gzip file".
        member: path inside the folder or archive, None if it is the whole.

    Raises:
        DataError: for any exception that a parser raises on damaged bytes. `DataError` itself passes through.
    """
    try:
        yield
    except _FOREIGN as error:
        detail = printable(str(error)) or type(error).__name__
        raise DataError(
            f"is damaged or cut short ({detail})",
            f"{what} that reads to its end",
            "download or copy it again, and compare its checksum with the publisher's",
            member=member,
        ) from error
