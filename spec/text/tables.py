"""Reading tables: keys, and values of each kind; every problem is noted.

A `Table` knows its place (file and key path) and which of its keys were read. Closing it reports the other keys, so that
an unknown or misspelt key is never ignored. A value that is missing or of the wrong kind is noted and replaced by a harmless
one; so reading goes on, and all problems are reported together.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ganspec.spec.text.arithmetic import evaluate
from ganspec.spec.text.distributions import Distribution, distribution
from ganspec.spec.text.errors import Problems, did_you_mean, expected_one_of, printable
from ganspec.spec.text.formula import Expression, FormulaError, Number, parse

MAX_SIZE = 2**31 - 1  # of one axis; frameworks use indices of 32 bits in places

_LARGEST_FLOAT = sys.float_info.max

T = TypeVar("T")
_REQUIRED: Any = object()


@dataclass
class Scope:
    """Numbers by name.

    Args:
        names: values that arithmetic may use, by name.
        used: names that arithmetic did use.
    """

    names: dict[str, float] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


class Table:
    """One table of a spec file.

    Args:
        data: keys and values of the table.
        file: name of the file in messages.
        key: dotted path of the table in the file.
        problems: collection in which problems are noted.
        scope: numbers that the table's arithmetic may use.
    """

    def __init__(self, data: Any, file: str, key: str, problems: Problems, scope: Scope | None = None) -> None:
        self.file, self.key, self.problems = file, key, problems
        self.scope = scope if scope is not None else Scope()
        if not isinstance(data, dict):
            problems.add(file, key, f"expected a table, found {kind_of(data)}")
            data = {}
        self.data: dict[str, Any] = data
        self.read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def path(self, name: str) -> str:
        """Returns: the dotted path of a key in the file."""
        name = f'"{name}"' if "(" in name else name
        return f"{self.key}.{name}" if self.key else name

    def note(self, name: str, message: str, hint: str = "") -> None:
        """Note a problem.

        Args:
            name: key whose value is wrong, "" for the table itself.
            message: sentence that says what is wrong.
            hint: advice how to mend it.
        """
        self.problems.add(self.file, self.path(name) if name else self.key, message, hint)

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """Returns: the raw value of a key, or the default; a missing key without a default is noted and read as None."""
        self.read.add(name)
        if name in self.data:
            return self.data[name]
        if default is _REQUIRED:
            self.note("", f"the key '{name}' is missing")
            return None
        return default

    def close(self, keys: Iterable[str] | None = None) -> None:
        """Note every key (of `keys`, else of the table) that was not read."""
        for name in self.data if keys is None else keys:
            if name not in self.read:
                hint = did_you_mean(name, self.read - set(self.data)) or did_you_mean(name, self.read)
                self.note(name, f"unknown key: {expected_one_of(self.read)}", hint)

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        """Returns: a text."""
        return self._of_kind(name, default, str, "text", "")

    def line(self, name: str, default: Any = _REQUIRED) -> str:
        """Returns: a text that is printed as one line, such as a title; characters that a terminal might obey are noted."""
        value = " ".join(self.text(name, default).split())
        if not value.isprintable():
            self.note(name, f"expected printable characters, found {printable(value)[:100]}", "write plain text")
        return printable(value)

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """Returns: true or false."""
        return self._of_kind(name, default, bool, "true or false", False)

    def choice(self, name: str, options: Iterable[str], default: Any = _REQUIRED) -> str:
        """Returns: one of the options."""
        value = self.text(name, default)
        options = list(options)
        if name in self.data and isinstance(self.data[name], str) and value not in options:
            self.note(name, f"unknown value '{value}': {expected_one_of(options)}", did_you_mean(value, options))
        return value if value in options else options[0]

    def names(self, name: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        """Returns: a list of names; a single name counts as a list of one."""
        value = self.take(name, default)
        if isinstance(value, str):
            return (value,)
        if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if value is not None:
            self.note(name, f"expected a name or a list of names, found {kind_of(value)}")
        return ()

    def number(self, name: str, default: Any = _REQUIRED, least: float = -1e15, most: float = 1e15) -> float:
        """Returns: a number between `least` and `most`, written as a number or as arithmetic on the scope's names."""
        value = self.take(name, default)
        number = self._arithmetic(name, value)
        if number is None:
            return max(least, min(1.0, most))
        if not least <= number <= most:
            bounds = f"at least {least:g}" if most == 1e15 and number < least else f"from {least:g} to {most:.10g}"
            self._note_value(name, f"expected a number {bounds}, found {number:g}", value)
            return least
        return float(number)

    def size(self, name: str, default: Any = _REQUIRED, least: int = 1, most: int = MAX_SIZE) -> int:
        """Returns: a whole number between `least` and `most`, written as a number or as arithmetic."""
        return self._size(name, self.take(name, default), least, most)

    def sizes(self, name: str, default: Any = _REQUIRED, least: int = 1, most: int = MAX_SIZE) -> tuple[int, ...]:
        """Returns: a list of whole numbers, each written as a number or as arithmetic."""
        value = self.take(name, default)
        if not isinstance(value, (list, tuple)):
            if value is not None:
                self.note(name, f"expected a list of sizes, found {kind_of(value)}")
            return ()
        return tuple(self._size(f"{name}[{i}]", v, least, most) for i, v in enumerate(value))

    def distribution(
        self, name: str, default: Any = _REQUIRED, also: Mapping[str, float] | None = None
    ) -> Distribution:
        """Returns: a distribution such as "uniform(-1, 1)"; it may use the names of the scope and of `also`."""
        value = self.take(name, default)
        tree = self._formula(name, value)
        names = {**self.scope.names, **(also or {})}
        harmless = Distribution("constant", 0.0, 0.0)
        return self._guarded(name, value, lambda: distribution(tree, names, self.scope.used), harmless)

    def formula(self, name: str, default: Any = _REQUIRED) -> Expression:
        """Returns: the tree of a formula given as text, or of a plain number."""
        return self._formula(name, self.take(name, default))

    def numbers(self, name: str, overrides: Mapping[str, float] | None = None) -> Scope:
        """Read a table of named numbers; each may be arithmetic on the numbers above it.

        Args:
            name: key of the table; a missing table is an empty one.
            overrides: values that replace those of the file.

        Returns: a scope of all numbers of the table.
        """
        table = Table(self.take(name, {}), self.file, self.path(name), self.problems, Scope())
        for key in table.data:
            value = table.number(key)
            table.scope.names[key] = (overrides or {}).get(key, value)
        return table.scope

    def close_numbers(self, name: str, scope: Scope) -> None:
        """Note every number of the table `name` that nothing uses."""
        for key in scope.names:
            if key not in scope.used:
                hint = did_you_mean(key, scope.used) or "use it or delete it"
                self.note(f"{name}.{key}", "nothing uses this number", hint)

    def table(self, name: str, default: Any = _REQUIRED) -> Table:
        """Returns: a table inside this one; it shares this table's scope."""
        value = self.take(name, default)
        return Table({} if value is None else value, self.file, self.path(name), self.problems, self.scope)

    def optional(self, name: str, *, removable: bool = False) -> Table | None:
        """Returns: a table, or None where it is left out; the value "none" leaves out a removable table of a base."""
        self.read.add(name)
        left_out = name not in self or (removable and self.data[name] == "none")
        return None if left_out else self.table(name)

    def tables(self, name: str, default: Any = _REQUIRED) -> list[Table]:
        """Returns: a list of tables; messages call each by its position, from 0, and its name or kind."""
        value = self.take(name, default)
        if not isinstance(value, (list, tuple)):
            if value is not None:
                self.note(name, f"expected a list of tables, found {kind_of(value)}")
            return []
        keys = [f"{self.path(name)}[{i}]{_label(v)}" for i, v in enumerate(value)]
        return [Table(v, self.file, k, self.problems, self.scope) for k, v in zip(keys, value, strict=True)]

    def _of_kind(self, name: str, default: Any, kind: type[T], kind_in_words: str, harmless: T) -> T:
        value = self.take(name, default)
        if isinstance(value, kind):
            return value
        if value is not None:
            self.note(name, f"expected {kind_in_words}, found {kind_of(value)}")
        return harmless

    def _formula(self, name: str, value: Any) -> Expression:
        harmless: Expression = Number(1.0)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(value) <= _LARGEST_FLOAT:
                return Number(float(value))
            self.note(name, f"expected an ordinary number, found {kind_of(value)}")
        elif isinstance(value, str):
            return self._guarded(name, value, lambda: parse(value), harmless)
        elif value is not None:
            self.note(name, f"expected a number or a formula, found {kind_of(value)}")
        return harmless

    def _arithmetic(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        tree = self._formula(name, value)
        return self._guarded(name, value, lambda: evaluate(tree, self.scope.names, self.scope.used), None)

    def _size(self, name: str, value: Any, least: int, most: int) -> int:
        number = self._arithmetic(name, value)
        if number is None:
            return least
        if number != int(number):
            self._note_value(name, f"expected a whole number, found {number:g}", value)
            return least
        if not least <= number <= most:
            bounds = f"of at least {least}" if most == MAX_SIZE and number < least else f"from {least} to {most}"
            self._note_value(name, f"expected a whole number {bounds}, found {number:g}", value)
            return least
        return int(number)

    def _note_value(self, name: str, message: str, value: Any) -> None:
        """Note a problem of what arithmetic comes to, and show the arithmetic."""
        text = value if isinstance(value, str) else ""
        self.problems.add(self.file, self.path(name), message, text=text, span=(0, len(text)))

    def _guarded(self, name: str, value: Any, compute: Callable[[], T], harmless: T) -> T:
        try:
            return compute()
        except FormulaError as error:
            text = value if isinstance(value, str) else ""
            self.problems.add(self.file, self.path(name), error.message, error.hint, text=text, span=error.span)
            return harmless


def _label(value: Any) -> str:
    label = value.get("name", value.get("kind")) if isinstance(value, dict) else None
    return f" ({label[:40]})" if isinstance(label, str) else ""


def kind_of(value: Any) -> str:
    """Returns: what a TOML value is, in a user's words."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text '{value[:40]}'"
        case int() | float():
            return "a number that is too large" if _LARGEST_FLOAT < abs(value) < math.inf else f"the number {value}"
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"
