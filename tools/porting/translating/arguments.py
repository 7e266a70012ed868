"""The arguments of a call in his source, by the names of the function's parameters."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ganspec.tools.porting.tracing.record import Seen
from ganspec.tools.porting.translating.templates import constant, template

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


class Unknown:
    """What an argument was is not known, or it was several things."""

    def __bool__(self) -> bool:
        return True


UNKNOWN = Unknown()


class Unfit(Exception):
    """A call cannot be translated; the message says why.

    Args:
        remedy: what usually helps.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


class Arguments:
    """The arguments of one call.

    Args:
        writer: the translation of the function around it.
        node: the call.
        signature: the signature of what is called, without `self`.
        links: the links that this call constructed, if it did.
        object: what is called.
    """

    def __init__(self, writer: Expressions, node: ast.Call, signature: inspect.Signature, called: Any = None) -> None:
        self.writer, self.node, self.called = writer, node, called
        self.signature = signature
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            positional = [p for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL]
            if not positional or any(k.arg is None for k in node.keywords):
                raise Unfit("its arguments are given with * or **", "write the arguments one by one")
        keywords = {str(k.arg): k.value for k in node.keywords}
        try:
            bound = signature.bind(*node.args, **keywords)
        except TypeError as error:
            raise Unfit(str(error)) from None
        self.nodes: dict[str, Any] = dict(bound.arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD and name in self.nodes:
                self.nodes |= self.nodes.pop(name)
        self._translated: dict[str, ast.expr] = {}
        self.read: set[str] = set()  # names of the arguments that a rule has looked at

    def given(self, name: str) -> bool:
        """Returns: whether an argument was given, and not always as its default."""
        self.read.add(name)
        return name in self.nodes and (
            name not in self.signature.parameters
            or self.value(name) is UNKNOWN
            or not _same(self.value(name), self.default(name))
        )

    def unread(self, harmless: Collection[str]) -> list[str]:
        """Returns: names of arguments that were given, otherwise than by default, and that no rule has looked at."""
        left = [name for name in self.nodes if name not in self.read and name not in harmless]
        return [name for name in left if self.given(name)]

    def default(self, name: str) -> Any:
        """Returns: the default value of a parameter."""
        return self.signature.parameters[name].default

    def __getitem__(self, name: str) -> ast.expr:
        self.read.add(name)
        if name not in self._translated:
            if name in self.nodes:
                node = self.nodes[name]
                if isinstance(node, tuple):  # what *names took
                    self._translated[name] = ast.Tuple([self.writer.expr(n) for n in node], ast.Load())
                else:
                    self._translated[name] = self.writer.expr(node)
            else:
                self._translated[name] = self._default(name)
        return self._translated[name]

    def _default(self, name: str) -> ast.expr:
        try:
            return constant(self.default(name))
        except ValueError:
            raise Unfit(f"its argument {name!r} is needed here, and is not given") from None

    def put(self, name: str, value: ast.expr) -> None:
        """Give an argument another expression."""
        self.read.add(name)
        self._translated[name] = value

    def seen(self, name: str) -> Seen:
        """Returns: what the argument was."""
        self.read.add(name)
        seen = Seen()
        if isinstance(node := self.nodes.get(name), ast.Constant):  # nothing is recorded of these
            seen.add(node.value)
            return seen
        if name in self.nodes and not isinstance(node, tuple):
            return self.writer.seen(self.nodes[name])
        if name not in self.nodes and self.default(name) is not inspect.Parameter.empty:
            seen.add(self.default(name))
        return seen

    def value(self, name: str) -> Any:
        """Returns: the one plain value that the argument had; UNKNOWN where there were several, or it is a tensor."""
        self.read.add(name)
        if name not in self.nodes:
            return self.default(name)
        node = self.nodes[name]
        if isinstance(node, ast.Constant):
            return node.value
        seen = self.writer.seen(node)
        if len(seen.things) != 1 or not seen.kinds <= {
            "number",
            "none",
            "text",
            "tuple",
            "function",
            "class",
            "scalar",
        }:
            return UNKNOWN
        return seen.things[0]

    def fill(self, text: str) -> ast.expr:
        """Returns: the expression of a template; names of parameters stand for the arguments."""
        names = set(self.signature.parameters) | self.nodes.keys() | self._translated.keys()
        return template(text, lambda name: self[name] if name in names else None)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, bool | int | float | str | tuple | type(None)) and a == b
