"""Pieces of Python, written as text with names that stand for other pieces."""

from __future__ import annotations

import ast
import copy
import functools
import math
from collections.abc import Callable
from typing import Any


def template(text: str, piece: Callable[[str], ast.expr | None]) -> ast.expr:
    """Parse an expression and put pieces in.

    Args:
        text: the expression.
        piece: function that gives the expression that stands for a name; None for a name that stays.
    """
    return _Filling(piece).visit(copy.deepcopy(_parsed(text)))


def filled(text: str, **pieces: ast.expr) -> ast.expr:
    """Parse an expression and put the pieces in by their names."""
    return template(text, pieces.get)


def call(function: str, *arguments: ast.expr, **keywords: ast.expr) -> ast.Call:
    """Returns: the call of a dotted name."""
    return ast.Call(_parsed(function), list(arguments), [ast.keyword(k, v) for k, v in keywords.items()])


def constant(value: Any) -> ast.expr:
    """Returns: the expression of a plain value.

    Raises:
        ValueError: it is not one that Python could read again.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return ast.parse(f"float({str(value)!r})", mode="eval").body
    try:
        return ast.parse(repr(value), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{value!r:.60} is no plain value") from None


@functools.cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Filling(ast.NodeTransformer):
    def __init__(self, piece: Callable[[str], ast.expr | None]) -> None:
        self.piece = piece

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name is replaced where a piece stands for it."""
        return self.piece(node.id) or node
