"""Losses: the formulas of a paper, in its own notation.

    title, source
    [constants]   numbers that the system may override
    [draws]       what the formulas draw: eps = { sample = "uniform(0, 1)", shape = [] }
    [define]      abbreviations: "L(v)" = "mean(abs(v - D(v)))"
    [losses]      what each network minimises
    [carried.NAME] a number that training carries along: start, next, with
    [report]      numbers to record: { value, with }

`with` names a network, or for a report several: the value is computed in each step that updates one of them, together with
its loss and before its parameters move. A carried number takes its next value when the step ends. A report may be read, by its
name, in the formulas of carried numbers and of later reports: it is then the last value that was computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganspec.spec.layers import Shape
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.errors import Problems, did_you_mean, expected_one_of
from ganspec.spec.text.files import SpecFile
from ganspec.spec.text.formula import Expression, FormulaError, parse_signature
from ganspec.spec.text.tables import Table


@dataclass(frozen=True)
class Draw:
    """One symbol that is sampled anew at times that the schedule says.

    Args:
        distribution: of each of its numbers.
        shape: of one sample: sizes, or the name of a network's input ("G.z") or of another symbol ("x") to be like.
    """

    distribution: Distribution
    shape: Shape | str


@dataclass(frozen=True)
class Formula:
    """A formula and where it stands, for messages about its meaning."""

    tree: Expression
    text: str
    file: str
    key: str


@dataclass(frozen=True)
class Definition:
    """An abbreviation: its parameters' names and the formula to put in its place."""

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
    """A loss file, its constants settled; `used_by_constants` are the constants that others are computed from."""

    name: str
    title: str
    source: str
    constants: Mapping[str, float]
    used_by_constants: frozenset[str]
    draws: Mapping[str, Draw]
    definitions: Mapping[str, Definition]
    losses: Mapping[str, Formula]
    carried: Mapping[str, Carried]
    reports: Mapping[str, Report]
    file: str


def read_loss(found: SpecFile, overrides: Mapping[str, float], problems: Problems) -> Loss:
    """Read a loss file; what its formulas mean is checked when a system is planned.

    Args:
        found: the file.
        overrides: values for its constants; the caller has checked their names.
        problems: where problems are noted.
    """
    table = Table(found.data, found.file, "", problems)
    title, source = table.text("title"), table.text("source")
    scope = table.numbers("constants", overrides)
    losses = {network: _formula(given, network) for given in [table.table("losses")] for network in given.data}
    if not losses:
        table.note("losses", "a loss file needs the loss of at least one network")
    draws = read_draws(table)
    definitions = _definitions(table)
    carried, reports = {}, {}
    for name, entry in _entries(table, "carried"):
        carried[name] = Carried(entry.number("start"), _formula(entry, "next"), _one(entry, losses))
        entry.close()
    for name, entry in _entries(table, "report"):
        reports[name] = Report(_formula(entry, "value"), _with(entry, losses))
        entry.close()
    table.close()
    used_by_constants = frozenset(scope.used)
    return Loss(
        found.name,
        title,
        source,
        scope.names,
        used_by_constants,
        draws,
        definitions,
        losses,
        carried,
        reports,
        found.file,
    )


def read_draws(table: Table) -> dict[str, Draw]:
    """Read a `[draws]` table: each symbol's distribution and shape."""
    draws = {}
    given = table.data.get("draws")
    if isinstance(given, dict):  # "none" leaves out one that a system's base has
        table.data = {**table.data, "draws": {name: value for name, value in given.items() if value != "none"}}
    for name, entry in _entries(table, "draws"):
        sample = entry.distribution("sample")
        shape: Shape | str = entry.text("shape") if isinstance(entry.data.get("shape"), str) else entry.sizes("shape")
        draws[name] = Draw(sample, shape)
        entry.close()
    return draws


def _entries(table: Table, name: str) -> list[tuple[str, Table]]:
    outer = table.table(name, {})
    return [(key, outer.table(key)) for key in outer.data]


def _formula(table: Table, name: str) -> Formula:
    raw = table.data.get(name, "")
    return Formula(table.formula(name), str(raw), table.file, table.path(name))


def _one(table: Table, losses: Mapping[str, Formula]) -> str:
    networks = (table.text("with"),)
    return _checked(table, networks, losses)[0]


def _with(table: Table, losses: Mapping[str, Formula]) -> tuple[str, ...]:
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


def _definitions(table: Table) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    given = table.table("define", {})
    for signature in given.data:
        key = given.path(signature)
        try:
            name, parameters = parse_signature(signature)
        except FormulaError as error:
            table.problems.add(table.file, given.key, error.message, error.hint, text=signature, span=error.span)
            given.read.add(signature)
            continue
        if name in definitions:
            table.problems.add(table.file, key, f"'{name}' is defined twice")
        raw = given.data[signature]
        definitions[name] = Definition(parameters, Formula(given.formula(signature), str(raw), table.file, key))
    return definitions
