"""Harmless differences between the random numbers that somebody's code draws and those of the spec.

A formula may give eps to the fake images instead of the real ones: then the code's eps is 1 - eps of the spec. Such a convention
is declared as `conventions={"eps": "complement"}`; when a check fails for no other reason, it is found and suggested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.conformance.arguments import wrong
from ganspec.tools.conformance.errors import ConformanceError

MASKS = ("above", "below")


@dataclass(frozen=True)
class Conventions:
    """Declared conventions.

    Args:
        mirrored: symbols of which the code gets the mirror image: a + b - v of uniform(a, b), 2 mean - v of normal(mean, dev).
        maps: for a symbol (scale, shift): the code gets scale * v + shift for the spec's v, whatever distribution it asks for.
        swapped: pairs of symbols that the code draws in the other order.
        masks: which uniform numbers a dropout mask keeps: those "above" the rate, u >= rate, or "below" its rest, u < 1 - rate.
        declared: what was given, as the user writes it.
    """

    mirrored: frozenset[str] = frozenset()
    maps: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    swapped: tuple[tuple[str, str], ...] = ()
    masks: str = MASKS[0]
    declared: Mapping[str, object] = field(default_factory=dict)

    def ordered(self, names: list[str]) -> list[str]:
        """Returns: symbols in the order in which the code draws them."""
        other = {a: b for pair in self.swapped for a, b in (pair, pair[::-1])}
        return [other[n] if other.get(n) in names else n for n in names]


def read_conventions(system: System, given: Mapping[str, object] | None) -> Conventions:
    """Read conventions as users declare them.

    Args:
        system: the system.
        given: by symbol "complement", "negative", (scale, shift) or the name of the symbol with which it is exchanged; and
            "masks": "below".

    Raises:
        ConformanceError: a symbol or a convention does not exist.
    """
    if given is not None and not isinstance(given, Mapping):
        raise wrong("conventions", given, 'a dictionary by symbol, such as {"eps": "complement"}')
    maps: dict[str, tuple[float, float]] = {}
    mirrored: set[str] = set()
    swapped: list[tuple[str, str]] = []
    masks = MASKS[0]
    symbols = [n for n, d in system.draws.items() if n in system.symbols and d.distribution.kind != "constant"]
    for name, value in (given or {}).items():
        if name == "masks" and "masks" not in symbols:
            if value not in MASKS:
                raise ConformanceError(f"conventions: masks is {value!r}, {expected_one_of(MASKS)}")
            masks = str(value)
            continue
        if name not in symbols:
            hint = did_you_mean(name, symbols)
            message = f"conventions: {system.name} draws no '{name}': {expected_one_of(symbols)}"
            raise ConformanceError(message + (f"; {hint}" if hint else ""))
        kind = system.draws[name].distribution
        match value:
            case "complement" if kind.kind == "uniform":
                mirrored.add(name)
            case "negative" if kind.kind == "normal":
                mirrored.add(name)
            case (int() | float() as scale, int() | float() as shift):
                maps[name] = (float(scale), float(shift))
            case str() if value in symbols and value != name:
                swapped.append((name, value))
            case _:
                words = ["complement"] * (kind.kind == "uniform") + ["negative"] * (kind.kind == "normal")
                words += ["(scale, shift)", *(s for s in symbols if s != name)]
                raise ConformanceError(f"conventions: {name} is {value!r}, {expected_one_of(words)}")
    return Conventions(frozenset(mirrored), maps, tuple(swapped), masks, dict(given or {}))


def alternatives(system: System, declared: Conventions) -> Iterable[tuple[str, dict[str, object]]]:
    """Yields: conventions that may be the reason of a disagreement, each as a sentence and as it is declared."""
    symbols = [n for n in system.draws if n in system.symbols and system.symbols[n].dtype != "label"]
    for name in symbols:
        kind = system.draws[name].distribution
        if kind.kind == "uniform" and name not in declared.declared:
            whole = f"{kind.a + kind.b:g} - {name}" if kind.a + kind.b else f"-{name}"
            yield f"{name} is {whole} of the spec's", {**declared.declared, name: "complement"}
        if kind.kind == "normal" and name not in declared.declared:
            yield f"{name} is -{name} of the spec's", {**declared.declared, name: "negative"}
    for i, first in enumerate(symbols):
        for second in symbols[i + 1 :]:
            one, other = system.draws[first].distribution, system.draws[second].distribution
            if (one, system.symbols[first]) == (other, system.symbols[second]) and not declared.swapped:
                yield f"{first} and {second} are drawn in the other order", {**declared.declared, first: second}
    if declared.masks == MASKS[0]:
        yield "dropout keeps the small numbers, u < 1 - rate", {**declared.declared, "masks": "below"}
