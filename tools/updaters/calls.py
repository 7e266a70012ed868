"""Arguments as texts: "128, ch=512", "models=(G, D), lam=10". Literals and known names only; nothing is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganspec.spec.text.errors import did_you_mean
from ganspec.tools.errors import UserError

MAX_LENGTH = 1000  # characters of one list of arguments


@dataclass(frozen=True)
class Arguments:
    """Arguments of a call."""

    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


def parse_arguments(text: str, names: Mapping[str, Any], option: str) -> Arguments:
    """Read the arguments of a call.

    Args:
        text: numbers, texts, True, False, None, tuples, lists and dictionaries of these, and known names, as Python writes them.
        names: value of each known name; of a dotted name, too.
        option: the option that has the text, for messages.

    Raises:
        UserError: the text is no list of arguments, or uses a name that is not known.
    """
    if len(text) > MAX_LENGTH:
        raise UserError(f"{option}: {len(text)} characters are too many, at most {MAX_LENGTH}")
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(_wrong(option, text)) from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise UserError(_wrong(option, text))
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        raise UserError(f"{option}: '{text}' has a star; write the arguments out")
    read = _Reader(names, option)
    return Arguments(tuple(map(read.value, call.args)), {str(k.arg): read.value(k.value) for k in call.keywords})


@dataclass(frozen=True)
class _Reader:
    names: Mapping[str, Any]
    option: str

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(bool() | int() | float() | str() | None as value):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
                return -value
            case ast.Tuple(items):
                return tuple(map(self.value, items))
            case ast.List(items):
                return list(map(self.value, items))
            case ast.Dict(keys, values) if None not in keys:
                return {self.value(k): self.value(v) for k, v in zip(keys, values, strict=True) if k is not None}
            case ast.Name() | ast.Attribute():
                return self._known(ast.unparse(node))
        raise UserError(
            f"{self.option}: '{ast.unparse(node)}' is neither a literal, such as 10, 'relu' or (1, 2), nor a known name"
        )

    def _known(self, name: str) -> Any:
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            known = ", ".join(n for n in self.names if "." not in n) or "no names"
            raise UserError(
                f"{self.option}: '{name}' is not known here; known: {known}" + (f"; {hint}" if hint else "")
            )
        return self.names[name]


def _wrong(option: str, text: str) -> str:
    return f"{option}: '{text}' are no arguments; write them as in a call, such as 128, ch=512"
