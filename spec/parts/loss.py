"""Losses: the formulas of a paper, in its own notation.

    title, source
    [constants]    numbers that the system may override
    [draws]        what the formulas draw: eps = { sample = "uniform(0, 1)", shape = [] }
    [outputs]      optional: the shape that an output of a network must have: D = [1], "D.logit" = [1], or D = "x"
    [define]       abbreviations: "L(v)" = "mean(abs(v - D(v)))"
    [losses]       what each network minimises
    [carried.NAME] a number that training carries along: start, next, with
    [report]       numbers to record: { value, with }
    [telling]      optional: what says how training goes: k = "k", distance = "-loss_D"

`with` names a network; that of a report may name several. The value is computed in each step that updates one of them, together
with that network's loss and before its parameters move. A carried number takes its next value when the step ends. The formulas
of carried numbers and of later reports may read a report by its name; it is then the last value that was computed.

What is telling is arithmetic on recorded numbers and constants. It is shown while training goes on, and changes nothing.

A `shape` is that of one sample: a list of sizes, or the name of something that has the same shape: a network's input ("G.z") or
output ("D.feature"), or the images ("x").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ganspec.spec.layers import Shape
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.errors import Problems, did_you_mean, expected_one_of
from ganspec.spec.text.files import SpecFile
from ganspec.spec.text.formula import Binary, Call, Expression, FormulaError, Name, Negative, Output, parse_signature
from ganspec.spec.text.tables import Table


@dataclass(frozen=True)
class Draw:
    """A symbol that is sampled anew when the schedule says so.

    Args:
        distribution: distribution of each of its numbers.
        shape: shape of one sample: sizes, or the name of something of the same shape ("G.z", "x").
    """

    distribution: Distribution
    shape: Shape | str


@dataclass(frozen=True)
class Formula:
    """A formula with its text, file and key, for messages about its meaning; `source` is its file and line."""

    tree: Expression
    text: str
    file: str
    key: str
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class Definition:
    """An abbreviation: the names of its parameters, and the formula that replaces it."""

    parameters: tuple[str, ...]
    formula: Formula


@dataclass(frozen=True)
class Carried:
    """A number that training carries along, such as BEGAN's k."""

    start: float
    next: Formula
    network: str


@dataclass(frozen=True)
class Report:
    """A number to record, computed with the losses of some networks."""

    value: Formula
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """A loss file whose constants are settled.

    Args:
        used_by_constants: constants from which other constants are computed.
        outputs: shape that a network's output must have, by network ("D") or output ("D.logit").
        telling: what says how training goes, as arithmetic on recorded numbers and constants; empty where the file says nothing.
    """

    name: str
    title: str
    source: str
    constants: Mapping[str, float]
    used_by_constants: frozenset[str]
    draws: Mapping[str, Draw]
    outputs: Mapping[str, Shape | str]
    definitions: Mapping[str, Definition]
    losses: Mapping[str, Formula]
    carried: Mapping[str, Carried]
    reports: Mapping[str, Report]
    telling: Mapping[str, Formula]
    file: str


def read_loss(file: SpecFile, overrides: Mapping[str, float], problems: Problems) -> Loss:
    """Read a loss file; the meaning of its formulas is checked when a system is planned.

    Args:
        file: loss file.
        overrides: values for its constants; the caller has checked their names.
        problems: collection in which problems are noted.

    Returns: the loss.
    """
    # Read what formulas are made of.
    table = Table(file.data, file.file, "", problems)
    title, source = table.line("title"), table.line("source")
    scope = table.numbers("constants", overrides)
    own = table.table("losses")
    losses = {network: _formula(own, network, file.source("losses", network)) for network in own.data}
    if not losses:
        table.note("losses", "a loss file needs the loss of at least one network")
    draws = read_draws(table)
    shapes = table.table("outputs", {})
    outputs = {name: _shape(shapes, name) for name in shapes.data}
    definitions = _definitions(table, file)
    # Read what is computed beside the losses.
    carried, reports = {}, {}
    for name, entry in _entries(table, "carried"):
        formula = _formula(entry, "next", file.source("carried", name, "next"))
        carried[name] = Carried(entry.number("start"), formula, _one_network(entry, losses))
        entry.close()
    for name, entry in _entries(table, "report"):
        formula = _formula(entry, "value", file.source("report", name, "value"))
        reports[name] = Report(formula, _networks(entry, losses))
        entry.close()
    shown = table.table("telling", {})
    telling = {name: _formula(shown, name, file.source("telling", name)) for name in shown.data}
    table.close()
    used_by_constants = frozenset(scope.used)
    return Loss(
        file.name,
        title,
        source,
        scope.names,
        used_by_constants,
        draws,
        outputs,
        definitions,
        losses,
        carried,
        reports,
        telling,
        file.file,
    )


def with_own_starts(loss: Loss, system: Table) -> Loss:
    """Returns: the loss, its carried numbers starting from the values of a system's table `[carried]` where it has some."""
    table, carried = system.table("carried", {}), dict(loss.carried)
    for name in table.data:
        if table.data[name] == "none":
            table.read.add(name)  # leaves out one that the system's base has
        elif name in carried:
            carried[name] = replace(carried[name], start=table.number(name))
        else:
            expected = f": {expected_one_of(carried)}" if carried else ""
            hint = did_you_mean(name, carried) or f"delete it, or --set carried.{name}=none"
            table.note(name, f"the loss '{loss.name}' carries no number '{name}'{expected}", hint)
    return replace(loss, carried=carried)


def read_draws(table: Table) -> dict[str, Draw]:
    """Read a `[draws]` table.

    Returns: each symbol's distribution and shape, by name.
    """
    draws = {}
    entries = table.data.get("draws")
    if isinstance(entries, dict):  # "none" leaves out one that a system's base has
        table.data = {**table.data, "draws": {name: value for name, value in entries.items() if value != "none"}}
    for name, entry in _entries(table, "draws"):
        draws[name] = Draw(entry.distribution("sample"), _shape(entry, "shape"))
        entry.close()
    return draws


def _shape(table: Table, key: str) -> Shape | str:
    return table.text(key) if isinstance(table.data.get(key), str) else table.sizes(key)


def _entries(table: Table, name: str) -> list[tuple[str, Table]]:
    outer = table.table(name, {})
    return [(key, outer.table(key)) for key in outer.data]


def _formula(table: Table, name: str, source: str) -> Formula:
    raw = table.data.get(name, "")
    return Formula(table.formula(name), str(raw), table.file, table.path(name), source)


def _one_network(table: Table, losses: Mapping[str, Formula]) -> str:
    networks = (table.text("with"),)
    return _checked(table, networks, losses)[0]


def _networks(table: Table, losses: Mapping[str, Formula]) -> tuple[str, ...]:
    networks = table.names("with")
    if not networks and isinstance(table.data.get("with"), list):
        table.note("with", "name at least one network")
    return _checked(table, networks, losses)


def _checked(table: Table, networks: tuple[str, ...], losses: Mapping[str, Formula]) -> tuple[str, ...]:
    for network in networks:
        if network and network not in losses:
            message = f"there is no loss of '{network}': {expected_one_of(losses)}"
            table.note("with", message, did_you_mean(network, losses))
    return networks


def _definitions(table: Table, file: SpecFile) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    own = table.table("define", {})
    for signature in own.data:
        key = own.path(signature)
        try:
            name, parameters = parse_signature(signature)
        except FormulaError as error:
            table.problems.add(table.file, own.key, error.message, error.hint, text=signature, span=error.span)
            own.read.add(signature)
            continue
        if name in definitions:
            table.problems.add(table.file, key, f"'{name}' is defined twice")
        noted = table.problems.noted
        formula = _formula(own, signature, file.source("define", signature))
        definitions[name] = Definition(parameters, formula)
        for parameter in parameters if table.problems.noted == noted else ():
            if parameter not in _names(formula.tree):
                own.note(signature, f"the formula does not use its parameter '{parameter}'", "use it or delete it")
    return definitions


def _names(tree: Expression) -> set[str]:
    """Returns: the names that stand for values in a formula."""
    match tree:
        case Name(name):
            return {name}
        case Negative(inner) | Output(inner):
            return _names(inner)
        case Binary(_, left, right):
            return _names(left) | _names(right)
        case Call(_, arguments):
            return set().union(*map(_names, arguments))
    return set()
