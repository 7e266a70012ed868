"""Laws of the formula language and of the arithmetic on sizes."""

from __future__ import annotations

import math
import operator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.spec.text.arithmetic import evaluate
from ganspec.spec.text.formula import (
    Binary,
    Call,
    Expression,
    FormulaError,
    Name,
    Negative,
    Number,
    Output,
    parse,
    render,
)

NAMES = ("x", "y", "x_hat", "D", "_2")


def _leaf(random: Random) -> Expression:
    value = random.choice(
        [float(random.randrange(10 ** random.randrange(1, 19))), random.random() * 10 ** random.randrange(300)]
    )
    return random.choice([Name(random.choice(NAMES)), Number(value)])


def _tree(depth: int, random: Random) -> Expression:
    if not depth:
        return _leaf(random)

    def inner() -> Expression:
        return _tree(random.randrange(depth), random)

    match random.randrange(6):
        case 0:
            return Negative(inner())
        case 1:
            return Call(random.choice(NAMES), tuple(inner() for _ in range(random.randrange(4))))
        case 2:
            return Output(Call(random.choice(NAMES), (inner(),)), random.choice(NAMES))
    return Binary(random.choice("+-*/^"), inner(), inner())


# From a depth and a seed: Hypothesis left to itself hardly ever puts one operator inside another.
SEEDS = st.integers(0, 2**32 - 1).map(Random)
TREES = st.builds(_tree, st.integers(0, 6), SEEDS)


def test_trees_have_every_operator_inside_every_other() -> None:
    """The laws below say little about trees that the strategy does not make."""
    seen = set()

    @settings(max_examples=1500, deadline=None, derandomize=True, database=None)
    @given(TREES)
    def look(tree: Expression) -> None:
        match tree:
            case Binary(outer, Binary(left), _):
                seen.add((outer, "left", left))
        match tree:
            case Binary(outer, _, Binary(right)):
                seen.add((outer, "right", right))

    look()
    assert len(seen) == 50


@given(TREES)
def test_parse_of_render_is_the_tree(tree: Expression) -> None:
    assert parse(render(tree)) == tree


@given(TREES, st.lists(st.sampled_from(["", " ", "\n", "\t "]), min_size=1, max_size=5))
def test_render_does_not_depend_on_space(tree: Expression, spaces: list[str]) -> None:
    text = render(tree)
    loose = "".join(c if c != " " else spaces[i % len(spaces)] + " " for i, c in enumerate(text))
    assert render(parse(loose)) == text
    assert render(parse(text.replace(" ", ""))) == text


@given(TREES)
def test_span_of_a_tree_is_its_text(tree: Expression) -> None:
    text = render(tree)

    def check(node: Expression) -> None:
        assert parse(text[slice(*node.span)]) == node
        match node:
            case Negative(inner) | Output(inner):
                check(inner)
            case Binary(_, left, right):
                check(left)
                check(right)
            case Call(_, arguments):
                for argument in arguments:
                    check(argument)

    check(parse(text))


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("-a ^ 2", "-(a ^ 2)"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("a ^ -b", "a ^ (-b)"),
        ("a ^ -b ^ c", "a ^ (-(b ^ c))"),
        ("a - b - c", "(a - b) - c"),
        ("a - b + c", "(a - b) + c"),
        ("a / b / c", "(a / b) / c"),
        ("a / b * c", "(a / b) * c"),
        ("a + b * c", "a + (b * c)"),
        ("-a * b", "(-a) * b"),
        ("a * -b", "a * (-b)"),
        ("- -a", "-(-a)"),
        ("-f(x).y ^ 2", "-((f(x).y) ^ 2)"),
    ],
)
def test_operators_bind_as_in_mathematics(text: str, closed: str) -> None:
    assert parse(text) == parse(closed)
    assert render(parse(text)) == render(parse(closed))


@pytest.mark.parametrize("text", ["a ^ 2", "f()", "(a)", "2", ".5", "5.", "1e-3", "1E+3", " a "])
def test_formula_parses(text: str) -> None:
    assert parse(render(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 0), ("a +", 3), ("a b", 2), ("f(a", 3), ("f(a,)", 4), ("(a", 2), ("a)", 1), ("2a", 1),

        ("a..b", 2), ("a.2", 1), ("a ** b", 3), ("a % b", 2), ("1.2.3", 3), ("a = b", 2),
        ("é", 0), ("a \u00a0b", 2), ("1\u0660", 1),
        ("a['b']", 1), ("__import__('os')", 11), ("lambda: 0", 6),
    ],
)  # fmt: skip
def test_caret_stands_under_the_mistake(text: str, place: int) -> None:
    with pytest.raises(FormulaError) as raised:
        parse(text)
    assert raised.value.span[0] == place


@given(st.text(st.sampled_from("ab1.()+-*/^, eé\n"), max_size=30))
def test_any_text_parses_or_is_answered_inside(text: str) -> None:
    place = 0
    try:
        assert parse(render(parse(text))) == parse(text)
    except FormulaError as error:
        place = error.span[0] if error.message else -1
    assert 0 <= place <= len(text)


@pytest.mark.parametrize(
    "text", ["(" * 51 + "1" + ")" * 51, "-" * 52 + "1", "1" + "^1" * 52, "f(" * 51 + "1" + ")" * 51]
)
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(FormulaError, match="nested too deeply"):
        parse(text)


def test_longest_formulas_are_walked_without_trouble() -> None:
    assert evaluate(parse("+".join(["1"] * 100)), {}) == 100
    assert evaluate(parse("*".join("(" + "+".join(["1"] * 10) + ")" for _ in range(12))), {}) == 10**12
    for text in ("+".join(["1"] * 102), "/".join(["1"] * 1000)):
        with pytest.raises(FormulaError, match="too many operations in a row"):
            parse(text)


# A tree of arithmetic, and how Python says the same.
_PYTHON = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow}
VALUES = {"n": 3.0, "size": 28.0, "half": 0.5}


def _sum(depth: int, random: Random) -> Expression:
    """Returns: arithmetic on sizes."""
    if not depth:
        return random.choice([Number(float(random.randrange(21))), Name(random.choice(sorted(VALUES)))])
    match random.randrange(6):
        case 0:
            return Negative(_sum(depth - 1, random))
        case 1:
            return Call("sqrt", (_sum(depth - 1, random),))
    return Binary(random.choice("+-*/^"), _sum(random.randrange(depth), random), _sum(random.randrange(depth), random))


SUMS = st.builds(_sum, st.integers(0, 4), SEEDS)


def _by_python(tree: Expression) -> float:
    match tree:
        case Number(value):
            return value
        case Name(name):
            return VALUES[name]
        case Negative(operand):
            return -_by_python(operand)
        case Binary(symbol, left, right):
            return _PYTHON[symbol](_by_python(left), _by_python(right))
        case Call(_, (argument,)):
            return math.sqrt(_by_python(argument))
    raise AssertionError(tree)


@given(SUMS)
def test_arithmetic_is_that_of_python(tree: Expression) -> None:
    try:
        expected = _by_python(tree)
    except (ArithmeticError, ValueError, TypeError):  # TypeError: the square root of a complex number
        expected = None
    try:
        found = evaluate(tree, VALUES)
    except FormulaError:
        found = None
    if found is not None:
        assert found == expected
    else:  # refused: no real number, or somewhere on the way beyond 1e15
        assert expected is None or isinstance(expected, complex) or _exceeds(tree)


def _exceeds(tree: Expression) -> bool:
    match tree:
        case Negative(operand):
            return _exceeds(operand)
        case Call(_, (argument,)):
            return _exceeds(argument)
        case Binary(_, left, right):
            value = _by_python(tree)
            return _exceeds(left) or _exceeds(right) or isinstance(value, complex) or not abs(value) <= 1e15
    return False


def test_arithmetic_notes_the_names_it_used() -> None:
    used: set[str] = set()
    assert evaluate(parse("size / 8 + 0 * n"), VALUES | {"width": 1.0}, used) == 3.5
    assert used == {"size", "n"}
