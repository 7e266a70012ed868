"""Formulas as trees: what is inside, which names are read, one part put in the place of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Output, parts


def walk(tree: Expression) -> Iterator[Expression]:
    """Yields: a formula and all inside it."""
    yield tree
    for part in parts(tree):
        yield from walk(part)


def flowing(tree: Expression) -> Iterator[Expression]:
    """Yields: a formula and all inside it through which gradients flow: nothing inside of detach(...)."""
    yield tree
    if not (isinstance(tree, Call) and tree.function == "detach"):
        for part in parts(tree):
            yield from flowing(part)


def names_in(tree: Expression) -> set[str]:
    """Returns: the names that a formula reads; functions and networks are none."""
    return {t.name for t in walk(tree) if isinstance(t, Name)}


def rewritten(tree: Expression, new: Mapping[Expression, Expression]) -> Expression:
    """Returns: a formula with others in the place of some that are inside."""
    if tree in new:
        return new[tree]
    match tree:
        case Negative(operand):
            return Negative(rewritten(operand, new))
        case Binary(operator, left, right):
            return Binary(operator, rewritten(left, new), rewritten(right, new))
        case Call(name, arguments):
            return Call(name, tuple(rewritten(a, new) for a in arguments))
        case Output(of, name):
            return Output(rewritten(of, new), name)
    return tree
