"""Names for his draws: z for what a network reads alone, eps for one number per sample, noise for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.formula import Call, Expression, Name
from ganspec.tools.updaters.leaves import Drawn
from ganspec.tools.updaters.recording import Recording
from ganspec.tools.updaters.steps import LiftedStep
from ganspec.tools.updaters.trees import rewritten, walk


class Draws:
    """Names for his draws: one name for what plays one part in several steps."""

    def __init__(self, recording: Recording, system: System, steps: Sequence[LiftedStep]) -> None:
        self.system, self.by_name = system, {d.name: d for d in recording.sources.drawn}
        self.roles: dict[str, str] = {}  # role name by draw
        self.found: dict[str, Drawn] = {}  # a draw by role name
        for step in steps:
            for repeat in step.repeats:
                taken: set[str] = set()
                order = [
                    n for tree in repeat.losses.values() if tree is not None
                    for n in dict.fromkeys(t.name for t in walk(tree) if isinstance(t, Name)) if n in self.by_name
                ]  # fmt: skip
                for name in dict.fromkeys(order):
                    if name in self.roles:
                        taken.add(self.roles[name])
                for name in dict.fromkeys(order):
                    if name not in self.roles:
                        self.roles[name] = self._role(self.by_name[name], repeat, taken)
                        taken.add(self.roles[name])

    def named(self, tree: Expression) -> Expression:
        return rewritten(tree, {Name(d): Name(role) for d, role in self.roles.items()})

    def _role(self, drawn: Drawn, step: LiftedStep, taken: set[str]) -> str:
        base = self._part(drawn, step)
        name, count = base, 1
        while name in taken or (name in self.found and not _alike(self.found[name], drawn)):
            count += 1
            name = f"{base}{count}"
        self.found.setdefault(name, drawn)
        return name

    def _part(self, drawn: Drawn, step: LiftedStep) -> str:
        """Returns: z for what a network reads alone, y_fake for labels, eps for one number per sample, noise for the rest."""
        if drawn.family == "label":
            return "y_fake"
        for tree in step.losses.values():
            for t in walk(tree) if tree is not None else ():
                if isinstance(t, Call) and t.function in self.system.networks and Name(drawn.name) in t.arguments:
                    return "z"
        return "eps" if drawn.values.size == len(drawn.values) else "noise"

    def sample(self, name: str) -> str:
        """Returns: the distribution of a draw, as the language writes it."""
        d = self.found[name]
        if d.family == "normal":
            return f"normal({short_number(d.scale * d.a + d.shift)}, {short_number(abs(d.scale) * d.b)})"
        low, high = sorted((d.scale * d.a + d.shift, d.scale * d.b + d.shift))
        return f"uniform({short_number(low)}, {short_number(high)})"

    def shape(self, name: str) -> str:
        """Returns: the shape of a draw's samples, as TOML."""
        d = self.found[name]
        if d.values.size == len(d.values) or d.family == "label":
            return "[]"
        per_sample = d.values.size // len(d.values)
        for network, architecture in self.system.networks.items():
            for i, each in architecture.inputs.items():
                if each.dtype != "label" and int(np.prod(each.shape)) == per_sample and name.startswith("z"):
                    return f'"{network}.{i}"'
        if per_sample == int(np.prod(self.system.data.shape)):
            return '"x"'
        return str([int(n) for n in d.values.shape[1:]])


def _alike(a: Drawn, b: Drawn) -> bool:
    return (a.family, a.a, a.b, a.scale, a.shift, a.values.size) == (
        b.family,
        b.a,
        b.b,
        b.scale,
        b.shift,
        b.values.size,
    )


def short_number(value: float) -> str:
    """Returns: a number as TOML, whole ones without a point."""
    value = float(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
