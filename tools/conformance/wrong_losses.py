"""The losses that wrong ports have, made of the spec's: a term of the other sign, a sum for a mean, no double backprop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ganspec.spec.parts.loss import Formula, Loss
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output, render


def changes(loss: Loss, network: str) -> Iterator[tuple[str, Loss]]:
    """Yields: what a port may have done with the loss of a network, and that loss."""
    formulas: dict[str, Formula] = {f"loss of {network}": loss.losses[network]}
    formulas |= {name: definition.formula for name, definition in loss.definitions.items()}

    def changed(name: str, tree: Expression) -> Loss:
        formula = replace(formulas[name], tree=tree)
        if name not in loss.definitions:
            return replace(loss, losses={**loss.losses, network: formula})
        definition = replace(loss.definitions[name], formula=formula)
        return replace(loss, definitions={**loss.definitions, name: definition})

    for name, formula in formulas.items():
        for tree in _replaced(formula.tree, _constant_gradient):
            yield (
                "the penalty is not differentiated by the parameters: its gradient needs create_graph=True, in Chainer"
                " enable_double_backprop=True",
                changed(name, tree),
            )
    terms = _terms(loss.losses[network].tree)
    whole = f"loss of {network}"
    if len(terms) > 1:
        penal = [i for i, (_, term) in enumerate(terms) if _penalty(term, loss)]
        if penal and len(penal) < len(terms) - 1:
            turned = [(sign if i in penal else -sign, term) for i, (sign, term) in enumerate(terms)]
            yield "the sign of everything but the penalty is wrong", changed(whole, _sum(turned))
        for i, (sign, term) in enumerate(terms):
            said = render(term)
            rest = [*terms[:i], *terms[i + 1 :]]
            why = ", or 0 there, as a penalty on one side can be" if i in penal else ""
            yield f"{said} is missing from the loss of {network}{why}", changed(whole, _sum(rest))
            turned = [*terms[:i], (-sign, term), *terms[i + 1 :]]
            yield f"{said} has the wrong sign in the loss of {network}", changed(whole, _sum(turned))
            for factor, words in ((2.0, "counts twice"), (0.5, "is halved")):
                turned = [*terms[:i], (sign, Binary("*", Number(factor), term)), *terms[i + 1 :]]
                yield f"{said} {words} in the loss of {network}", changed(whole, _sum(turned))
    for key, number in loss.constants.items():
        for other, words in _other_constants(number):
            constants = {**loss.constants, key: other}
            yield f"{key} is {other:.6g}, not {number:.6g}{words}", replace(loss, constants=constants)
    for name, formula in formulas.items():
        where = f"in {name}" if name in loss.definitions else f"in the {name}"
        for rule, cause in _RULES:
            for tree in _replaced(formula.tree, rule):
                yield f"{cause} {where}", changed(name, tree)
        cause = f"a sigmoid is applied to what a network gives {where}, where none is meant"
        everywhere = _everywhere(formula.tree, _through_sigmoid)
        if everywhere != formula.tree:
            yield cause, changed(name, everywhere)
        for tree in _replaced(formula.tree, _through_sigmoid):
            yield cause, changed(name, tree)


def _other_constants(number: float) -> list[tuple[float, str]]:
    """Returns: values that a constant may have by mistake, each with a remark."""
    ways = [(1.0, ": the factor is missing"), (number * number, ": the factor is there twice"), (-number, ": its sign")]
    ways += [(number * f, "") for f in (0.1, 10.0, 0.5, 2.0)] if number else []
    ways += [(v, "") for v in (1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4)] if not number else [(0.0, "")]
    return [(value, words) for value, words in ways if value != number]


# Rules: what a part of a formula becomes, or None where the rule says nothing of it.


def _constant_gradient(part: Expression) -> Expression | None:
    return Call("detach", (part,)) if isinstance(part, Call) and part.function == "grad" else None


def _sum_for_mean(part: Expression) -> Expression | None:
    return Call("sum", part.arguments) if isinstance(part, Call) and part.function == "mean" else None


def _mean_for_sum(part: Expression) -> Expression | None:
    return Call("mean", part.arguments) if isinstance(part, Call) and part.function == "sum" else None


def _square_for_absolute(part: Expression) -> Expression | None:
    is_absolute = isinstance(part, Call) and part.function == "abs"
    return Binary("^", part.arguments[0], Number(2.0)) if is_absolute else None


def _no_square(part: Expression) -> Expression | None:
    return part.left if isinstance(part, Binary) and part.operator == "^" else None


def _one_sided(part: Expression) -> Expression | None:
    if isinstance(part, Binary) and part.operator == "^" and isinstance(part.left, Binary):
        return Binary("^", Call("relu", (part.left,)), part.right)
    return None


def _no_target(part: Expression) -> Expression | None:
    takes = isinstance(part, Binary) and part.operator in "+-" and isinstance(part.right, Number)
    return part.left if takes else None  # type: ignore[union-attr]


def _smoothed_target(part: Expression) -> Expression | None:
    takes = isinstance(part, Binary) and part.operator in "+-" and part.right == Number(1.0)
    return replace(part, right=Number(0.9)) if takes else None  # type: ignore[type-var]


def _other_sign(part: Expression) -> Expression | None:
    if isinstance(part, Binary) and part.operator in "+-":
        return replace(part, operator="-" if part.operator == "+" else "+")
    return None


def _other_class(part: Expression) -> Expression | None:
    if isinstance(part, Call) and part.function == "cross_entropy" and isinstance(part.arguments[1], Number):
        return replace(part, arguments=(part.arguments[0], Number(1.0 - part.arguments[1].value)))
    return None


def _no_sign(part: Expression) -> Expression | None:
    return part.operand if isinstance(part, Negative) else None


def _no_relu(part: Expression) -> Expression | None:
    return part.arguments[0] if isinstance(part, Call) and part.function == "relu" else None


def _negative_inside(part: Expression) -> Expression | None:
    known = isinstance(part, Call) and part.function in ("softplus", "relu")
    return Call(part.function, (Negative(part.arguments[0]),)) if known else None  # type: ignore[union-attr]


def _through_sigmoid(part: Expression) -> Expression | None:
    return Call("sigmoid", (part,)) if isinstance(part, Call) and part.function in ("D", "C") else None


_RULES: tuple[tuple[Callable[[Expression], Expression | None], str], ...] = (
    (_sum_for_mean, "a sum for a mean"),
    (_mean_for_sum, "a mean for a sum"),
    (_square_for_absolute, "a square for an absolute value"),
    (_no_square, "a square is missing"),
    (_one_sided, "a penalty of one side only, relu before the square,"),
    (_no_target, "the number that is subtracted or added is missing"),
    (_smoothed_target, "0.9 stands for 1"),
    (_other_class, "the class, real for fake, is exchanged"),
    (_no_sign, "the sign is missing"),
    (_other_sign, "+ stands for -, or - for +,"),
    (_no_relu, "relu is missing"),
    (_negative_inside, "the sign inside a function is wrong"),
)


def _replaced(tree: Expression, rule: Callable[[Expression], Expression | None]) -> Iterator[Expression]:
    """Yields: the tree with one part replaced, for each part of which the rule says something."""
    made = rule(tree)
    if made is not None:
        yield made
    match tree:
        case Negative():
            yield from (replace(tree, operand=o) for o in _replaced(tree.operand, rule))
        case Binary():
            yield from (replace(tree, left=x) for x in _replaced(tree.left, rule))
            yield from (replace(tree, right=x) for x in _replaced(tree.right, rule))
        case Call():
            for i, argument in enumerate(tree.arguments):
                for x in _replaced(argument, rule):
                    yield replace(tree, arguments=(*tree.arguments[:i], x, *tree.arguments[i + 1 :]))
        case Output():
            yield from (replace(tree, of=x) for x in _replaced(tree.of, rule))


def _everywhere(tree: Expression, rule: Callable[[Expression], Expression | None]) -> Expression:
    """Returns: the tree with all parts replaced of which the rule says something, from the outside."""
    made = rule(tree)
    if made is not None:
        return made
    match tree:
        case Negative():
            return replace(tree, operand=_everywhere(tree.operand, rule))
        case Binary():
            return replace(tree, left=_everywhere(tree.left, rule), right=_everywhere(tree.right, rule))
        case Call():
            return replace(tree, arguments=tuple(_everywhere(a, rule) for a in tree.arguments))
        case Output():
            return replace(tree, of=_everywhere(tree.of, rule))
    return tree


def _terms(tree: Expression, sign: int = 1) -> list[tuple[int, Expression]]:
    """Returns: the terms of a sum with their signs."""
    if isinstance(tree, Binary) and tree.operator in "+-":
        return [*_terms(tree.left, sign), *_terms(tree.right, sign if tree.operator == "+" else -sign)]
    if isinstance(tree, Negative):
        return _terms(tree.operand, -sign)
    return [(sign, tree)]


def _sum(terms: list[tuple[int, Expression]]) -> Expression:
    (sign, first), *rest = terms
    tree: Expression = Negative(first) if sign < 0 else first
    for sign, term in rest:
        tree = Binary("+" if sign > 0 else "-", tree, term)
    return tree


def _penalty(tree: Expression, loss: Loss) -> bool:
    """Returns: whether a term has a gradient in it, itself or by a definition."""
    match tree:
        case Name():
            return tree.name in loss.definitions and _penalty(loss.definitions[tree.name].formula.tree, loss)
        case Negative():
            return _penalty(tree.operand, loss)
        case Binary():
            return _penalty(tree.left, loss) or _penalty(tree.right, loss)
        case Call():
            inside = loss.definitions.get(tree.function)
            own = tree.function == "grad" or (inside is not None and _penalty(inside.formula.tree, loss))
            return own or any(_penalty(a, loss) for a in tree.arguments)
        case Output():
            return _penalty(tree.of, loss)
    return False
