"""The formula language: text to tree and back.

Grammar, loosest binding first (ASCII only, no `eval`; a bounded recursive descent):

    sum      = product { ("+" | "-") product }
    product  = unary { ("*" | "/") unary }
    unary    = "-" unary | power
    power    = postfix [ "^" unary ]                      right-associative; -a ^ 2 is -(a ^ 2)
    postfix  = primary [ "." name ]                       D(x).feature: one output of a network
    primary  = number | name | name "(" [ sum { "," sum } ] ")" | "(" sum ")"

The modules that walk the tree (`arithmetic`, `distributions`, `builder`) decide what the names mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

MAX_LENGTH = 2000  # characters; the longest formula in the papers here has under 200
MAX_DEPTH = 50  # nested parentheses, calls, signs and powers; bounds the recursion on a stranger's file
MAX_LEVELS = 100  # of the tree; a + b + c has three; bounds the recursion of functions that walk it

Span = tuple[int, int]


class FormulaError(Exception):
    """A formula is wrong; `span` is the offending place. Callers turn the error into a `Problem`."""

    def __init__(self, message: str, span: Span, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.span, self.hint = message, span, hint


@dataclass(frozen=True)
class Number:
    value: float
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Name:
    name: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Negative:
    operand: Expression
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expression
    right: Expression
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Output:
    """One named output of a network: `D(x).feature`."""

    of: Expression
    name: str
    span: Span = field(default=(0, 0), compare=False)


Expression = Number | Name | Negative | Binary | Call | Output

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol>[-+*/^(),.])",
    re.ASCII,
)
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_UNARY = 3


@dataclass(frozen=True)
class _Token:
    kind: str  # "number", "name", "symbol" or "end"
    text: str
    span: Span


@lru_cache(maxsize=1000)  # the layers of one architecture repeat a few formulas; trees never change
def parse(text: str) -> Expression:
    """Read a formula.

    Args:
        text: formula of at most `MAX_LENGTH` ASCII characters.

    Returns: the tree, each node with its place in `text`.

    Raises:
        FormulaError: the text is not a formula, is too long, or is nested deeper than `MAX_DEPTH` or `MAX_LEVELS`.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula is too long: {len(text)} characters, at most {MAX_LENGTH} are allowed",
            (0, 1),
            "split it with [define]",
        )
    if not text.strip():
        raise FormulaError("the formula is empty", (0, 0))
    parser = _Parser(list(_tokens(text)))
    tree = parser.sum()
    token = parser.peek()
    if token.kind != "end":
        raise FormulaError(f"expected an operator or the end, found {_quoted(token)}", token.span)
    if _levels(tree) > MAX_LEVELS:
        raise FormulaError(
            f"the formula has too many operations in a row: at most {MAX_LEVELS} levels are allowed",
            tree.span,
            "split it with [define]",
        )
    return tree


def _levels(tree: Expression) -> int:
    levels, level = 0, [tree]
    while level:
        levels, level = levels + 1, [child for node in level for child in parts(node)]
    return levels


def parts(tree: Expression) -> tuple[Expression, ...]:
    """Returns: the formulas directly inside a formula."""
    match tree:
        case Negative(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Output(of):
            return (of,)
    return ()


def parse_signature(text: str) -> tuple[str, tuple[str, ...]]:
    """Read the left side of a definition: "x_hat" or "L(v)".

    Returns: the name and its parameters' names.

    Raises:
        FormulaError: it is neither a name nor a name with parameters.
    """
    match parse(text):
        case Name(name):
            return name, ()
        case Call(name, arguments) if arguments and all(isinstance(a, Name) for a in arguments):
            parameters = tuple(a.name for a in arguments if isinstance(a, Name))
            if len(set(parameters)) == len(parameters):
                return name, parameters
    raise FormulaError("expected a name such as x_hat, or a name with distinct parameters such as L(v)", (0, len(text)))


def render(tree: Expression) -> str:
    """Write a tree as a formula with no needless parentheses; `parse(render(tree)) == tree`."""
    return _render(tree)[0]


def _render(tree: Expression) -> tuple[str, int]:
    """Returns: the text and how tightly its outermost operator binds (5: a closed term)."""
    match tree:
        case Number(value):
            return (repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)), 5
        case Name(name):
            return name, 5
        case Call(function, arguments):
            return f"{function}({', '.join(render(a) for a in arguments)})", 5
        case Output(of, name):
            return f"{_closed(of, 5)}.{name}", 5
        case Negative(operand):
            return f"-{_closed(operand, _UNARY)}", _UNARY
        case Binary(operator, left, right):
            binds = _PRECEDENCE[operator]
            if operator == "^":
                return f"{_closed(left, 5)} ^ {_closed(right, _UNARY)}", binds
            return f"{_closed(left, binds)} {operator} {_closed(right, binds + 1)}", binds


def _closed(tree: Expression, least: int) -> str:
    text, binds = _render(tree)
    return text if binds >= least else f"({text})"


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FormulaError(
                f"unexpected character '{text[position]}'",
                (position, position + 1),
                "formulas are ASCII: numbers, names, + - * / ^ ( ) , .",
            )
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match.group(), match.span())
        position = match.end()
    yield _Token("end", "the end", (len(text), len(text) + 1))


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def peek(self) -> _Token:
        return self.tokens[self.position]

    def next(self) -> _Token:
        token = self.peek()
        self.position += token.kind != "end"
        return token

    def accept(self, *symbols: str) -> _Token | None:
        token = self.peek()
        return self.next() if token.kind == "symbol" and token.text in symbols else None

    def expect(self, symbol: str) -> _Token:
        token = self.accept(symbol)
        if token is None:
            found = self.peek()
            raise FormulaError(f"expected '{symbol}', found {_quoted(found)}", found.span)
        return token

    def sum(self) -> Expression:
        left = self.product()
        while operator := self.accept("+", "-"):
            right = self.product()
            left = Binary(operator.text, left, right, (left.span[0], right.span[1]))
        return left

    def product(self) -> Expression:
        left = self.unary()
        while operator := self.accept("*", "/"):
            right = self.unary()
            left = Binary(operator.text, left, right, (left.span[0], right.span[1]))
        return left

    def unary(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FormulaError(
                f"the formula is nested too deeply: at most {MAX_DEPTH} levels are allowed",
                self.peek().span,
                "split it with [define]",
            )
        sign = self.accept("-")
        if sign:
            operand = self.unary()
            tree: Expression = Negative(operand, (sign.span[0], operand.span[1]))
        else:
            tree = self.power()
        self.depth -= 1
        return tree

    def power(self) -> Expression:
        base = self.postfix()
        if self.accept("^"):
            exponent = self.unary()
            return Binary("^", base, exponent, (base.span[0], exponent.span[1]))
        return base

    def postfix(self) -> Expression:
        tree = self.primary()
        if self.accept("."):
            name = self.next()
            if name.kind != "name":
                raise FormulaError(f"expected the name of an output, found {_quoted(name)}", name.span)
            return Output(tree, name.text, (tree.span[0], name.span[1]))
        return tree

    def primary(self) -> Expression:
        token = self.next()
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise FormulaError(f"the number {token.text} is too large", token.span)
            return Number(value, token.span)
        if token.kind == "name":
            return self.call(token) if self.accept("(") else Name(token.text, token.span)
        if token.kind == "symbol" and token.text == "(":
            tree = self.sum()
            return replace(tree, span=(token.span[0], self.expect(")").span[1]))
        before = self.tokens[max(0, self.position - 2)]
        hint = "a power is written a ^ b" if before.text == token.text == "*" else ""
        raise FormulaError(f"expected a number, a name or '(', found {_quoted(token)}", token.span, hint)

    def call(self, name: _Token) -> Expression:
        arguments = []
        closed = self.accept(")")
        while not closed:
            arguments.append(self.sum())
            closed = self.accept(")")
            if not closed and not self.accept(","):
                found = self.peek()
                raise FormulaError(f"expected ',' or ')', found {_quoted(found)}", found.span)
        return Call(name.text, tuple(arguments), (name.span[0], closed.span[1]))


def _quoted(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"'{token.text}'"
