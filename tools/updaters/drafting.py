"""A draft of loss, schedule and system, as TOML, lifted from a recorded iteration of somebody's updater.

It is a draft until the lockstep has proved it. Networks are those of the system that he named; what could not be read is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.formula import Call, Expression, Name, render
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Batches
from ganspec.tools.updaters.building import Built
from ganspec.tools.updaters.carried import Recorded, record
from ganspec.tools.updaters.leaves import Drawn
from ganspec.tools.updaters.recording import Recording
from ganspec.tools.updaters.steps import LiftedStep, read_steps
from ganspec.tools.updaters.trees import names_in, rewritten, walk


@dataclass
class Draft:
    """A draft.

    Args:
        files: text by name of the file: loss.toml, schedule.toml, system.toml.
        readings: each network's loss as a formula.
        defines: what these abbreviate, such as x_hat.
        left: what could not be lifted, with his file:line; empty where the draft is whole.
    """

    files: dict[str, str]
    readings: dict[str, str]
    defines: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def make_draft(recorded: Recorded, system: System, base: str, optimizers: Mapping[str, Any], source: str) -> Draft:
    """Write what an updater did as files of the language.

    Args:
        recorded: iterations of it.
        system: the system of his networks.
        base: how the system was named; the draft is like it.
        optimizers: his optimisers, by network.
        source: "updater.py:Updater", for the files' sources.
    """
    recording, draft = recorded.iterations[0], Draft({}, {})
    steps = _unified_steps(recorded, draft)
    draws = _Draws(recording, system, steps)
    losses: dict[str, tuple[Expression, str]] = {}
    for step in steps:
        for network, tree in step.losses.items():
            if tree is None:
                draft.left.append(f"the loss of {network}: {step.why[network]}")
                continue
            named = draws.named(tree)
            if network in losses and losses[network][0] != named:
                draft.left.append(
                    f"{step.lines[network]}: {network} is updated a second time by another loss,"
                    f" {render(named)}; a system has one loss per network"
                )
            losses.setdefault(network, (named, step.lines[network]))
    if not steps:
        draft.left.append("no update: no optimiser of these networks moved them in the recorded iteration")
    short = {tree: Name(name) for tree, name in _defines([tree for tree, _ in losses.values()]).items()}
    draft.readings = {n: render(rewritten(tree, short)) for n, (tree, _) in losses.items()}
    draft.defines = {name.name: render(tree) for tree, name in short.items()}
    parts = _Parts(recorded, system, steps, losses, draws, source, draft)
    draft.files["loss.toml"] = parts.loss_file()
    draft.files["schedule.toml"] = _schedule_file(recording, steps, draws, source, draft)
    draft.files["system.toml"] = _system_file(system, base, draws, optimizers, source, draft)
    return draft


def read_losses(system: System, built: Built, batches: Batches, seed: int) -> Draft | None:
    """Returns: a draft for the sake of its readings: the losses as his updater computes them; None where it fails."""
    try:
        return make_draft(record(system, built, batches, seed), system, system.name, {}, "")
    except UserError:
        return None


def _unified_steps(recorded: Recorded, draft: Draft) -> list[LiftedStep]:
    """Returns: the steps of an iteration, with carried numbers by their names, if every iteration has the same steps."""
    each = [read_steps(recording) for recording in recorded.iterations]
    steps = each[0]
    for number, other in enumerate(each):
        if [(list(s.losses), s.repeat) for s in other] != [(list(s.losses), s.repeat) for s in steps]:
            done = ", ".join(f"{'+'.join(s.losses)} {s.repeat}x" for s in other)
            draft.left.append(
                f"iteration {number} has other steps than the first: {done}; a draft has those of the first"
            )
            each = each[:number]
            break
    for i, step in enumerate(steps):
        for network in step.losses:
            if step.losses[network] is None:
                continue
            step.losses[network] = recorded.unified([e[i].losses[network] for e in each])
            if step.losses[network] is None:
                step.why[network] = f"{step.lines[network]}: its formula changes from iteration to iteration"
    return steps


class _Draws:
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
            return f"normal({_text(d.scale * d.a + d.shift)}, {_text(abs(d.scale) * d.b)})"
        low, high = sorted((d.scale * d.a + d.shift, d.scale * d.b + d.shift))
        return f"uniform({_text(low)}, {_text(high)})"

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


def _defines(trees: Sequence[Expression]) -> dict[Expression, str]:
    """Returns: names for what gradients are taken by, unless that has a name of its own."""
    found: dict[Expression, str] = {}
    for tree in trees:
        for t in walk(tree):
            if isinstance(t, Call) and t.function == "grad" and not isinstance(t.arguments[1], Name):
                found.setdefault(t.arguments[1], "x_hat" if not found else f"x_hat{len(found) + 1}")
    return found


@dataclass
class _Parts:
    """What a loss file is made of."""

    recorded: Recorded
    system: System
    steps: Sequence[LiftedStep]
    losses: Mapping[str, tuple[Expression, str]]
    draws: _Draws
    source: str
    draft: Draft

    def loss_file(self) -> str:
        defines, draws = _defines([tree for tree, _ in self.losses.values()]), self.draws
        short: dict[Expression, Expression] = {tree: Name(name) for tree, name in defines.items()}
        lines = [*_head(f"The loss of {self.source}, a draft", self.source)]
        own = [n for n in draws.found if n != "z"]
        if own:
            lines += [
                "",
                "[draws]",
                *(f'{n} = {{ sample = "{draws.sample(n)}", shape = {draws.shape(n)} }}' for n in own),
            ]
        if defines:
            lines += ["", "[define]", *(f'{name} = "{render(tree)}"' for tree, name in defines.items())]
        lines += ["", "[losses]"]
        lines += [
            f'{n} = "{render(rewritten(tree, short))}" # {_short(line)}' for n, (tree, line) in self.losses.items()
        ]
        lines += self._carried(short)
        reports = self._reports(short)
        return "\n".join([*lines, *(["", "[report]", *reports] if reports else [])]) + "\n"

    def _carried(self, short: dict[Expression, Expression]) -> list[str]:
        used = {n for tree, _ in self.losses.values() for n in names_in(tree)}
        lines: list[str] = []
        for name, carried in self.recorded.carried.items():
            if name not in used:
                continue
            network = next(n for n, (tree, _) in self.losses.items() if name in names_in(tree))
            following, comment = carried.next, f" # {carried.line}"
            if following is None:
                comment = " # TODO: how it moves could not be read"
                self.draft.left.append(
                    f"{carried.line}: how self.{name} moves could not be read; write it in [carried.{name}]"
                )
            tree = self.draws.named(following) if following is not None else Name(name)
            lines += ["", f"[carried.{name}]", f"start = {_text(carried.start)}"]
            lines += [f'next = "{render(rewritten(tree, short))}"{comment}', f'with = "{network}"']
        return lines

    def _reports(self, short: dict[Expression, Expression]) -> list[str]:
        found = []
        known = {*self.system.networks, "x", "y", "z", *self.draws.found, *self.recorded.carried}
        for name, (lifted, line, _) in self.recorded.iterations[0].reports.items():
            each = [r.reports.get(name) for r in self.recorded.iterations]
            trees = [e[0].formula() if e is not None and e[0].tree is not None else None for e in each]
            tree = self.recorded.unified(trees)
            tree = self.draws.named(tree) if tree is not None else None
            network = next((n for n, (loss, _) in self.losses.items() if tree is not None and _share(tree, loss)), None)
            key = re.sub(r"\W+", "_", name)
            if tree is None or network is None:
                why = lifted.why or f"{_short(line)}: it belongs to no step"
                self.draft.left.append(f"the report '{name}': {why}")
                continue
            tree = self.draws.named(tree)
            if (
                any(tree == t for t, _ in self.losses.values())
                or key in known
                or names_in(tree) & set(self.draws.by_name)
            ):
                continue
            found.append(
                f'{key} = {{ value = "{render(rewritten(tree, short))}", with = "{network}" }} # {_short(line)}'
            )
        return found


def _share(tree: Expression, other: Expression) -> bool:
    """Returns: whether two formulas read a common evaluation."""
    calls = {t for t in walk(tree) if isinstance(t, Call)}
    return bool(calls & set(walk(other)))


def _schedule_file(recording: Recording, steps: Sequence[LiftedStep], draws: _Draws, source: str, draft: Draft) -> str:
    lines = [*_head(f"The schedule of {source}, a draft", source), "", "[redraw]"]
    lines += [f'data = "{_data_life(recording, steps)}"', f'noise = "{_noise_life(steps, draws)}"']
    for step in steps:
        lines += ["", "[[steps]]", f"update = [{', '.join(_quoted(n) for n in step.losses)}]"]
        lines += [f"repeat = {step.repeat}"] if step.repeat > 1 else []
        inferred = {e.network for e in step.evaluations if not e.training}
        mixed = inferred & {e.network for e in step.evaluations if e.training}
        for network in sorted(mixed | (inferred & set(step.losses))):
            line = next(e.line for e in step.evaluations if e.network == network and not e.training)
            draft.left.append(f"{_short(line)}: {network} is evaluated in inference mode beside training mode")
        if inferred - mixed - set(step.losses):
            lines.append(f"inference = [{', '.join(_quoted(n) for n in sorted(inferred - mixed - set(step.losses)))}]")
        lines += [f"reuse = [{', '.join(map(_quoted, step.reuse))}]"] if step.reuse else []
    return "\n".join(lines) + "\n"


def _data_life(recording: Recording, steps: Sequence[LiftedStep]) -> str:
    """Returns: how long a batch lives; where several answers are right, the longest."""
    if len(recording.batch_times) <= 1:
        return "iteration"
    repeats = sum(len(s.repeats) for s in steps if "x" in s.names())
    return "repeat" if len(recording.batch_times) >= repeats else "step"


def _noise_life(steps: Sequence[LiftedStep], draws: _Draws) -> str:
    """Returns: how long noise lives; where several answers are right, the shortest."""
    uses: dict[str, set[tuple[int, int]]] = {}
    for i, step in enumerate(steps):
        for k, repeat in enumerate(step.repeats):
            for name in repeat.names() & set(draws.by_name):
                uses.setdefault(name, set()).add((i, k))
    if any(len({i for i, _ in where}) > 1 for where in uses.values()):
        return "iteration"
    if any(len(where) > 1 for where in uses.values()):
        return "step"
    return "repeat"


def _system_file(
    system: System, base: str, draws: _Draws, optimizers: Mapping[str, Any], source: str, draft: Draft
) -> str:
    lines = [*_head(f"{source}, a draft on the networks of {system.name}", source), f'like = "{base}"', ""]
    lines += ['loss = "loss.toml"', 'schedule = "schedule.toml"', *_left_out(system, draws), ""]
    if "z" in draws.found:
        lines += ["[draws]", f'z = {{ sample = "{draws.sample("z")}", shape = {draws.shape("z")} }}', ""]
    shared: dict[str, str] = {}
    for network in (n for n in system.optimizers if n in optimizers):
        keys, why = _optimizer(optimizers[network])
        if why:
            draft.left.append(f"the optimiser of {network}: {why}")
        if system.optimizers[network].clip is not None:
            keys["clip"] = '"none"'
        own = {k: v for k, v in keys.items() if shared.get(k) != v}
        if own and keys:
            other = shared and own.get("kind")
            lines += [
                f"[optimizers{f'.{network}' if shared else ''}]",
                *(f"{k} = {v}" for k, v in (keys if other else own).items()),
                "",
            ]
        shared = shared or keys
    return "\n".join(lines).rstrip() + "\n"


def _left_out(system: System, draws: _Draws) -> list[str]:
    """Returns: keys by which the draft leaves out what its base has besides."""
    lines = ['learning_rate_decay = "none"'] if system.decay is not None else []
    return lines


def _optimizer(optimizer: Any) -> tuple[dict[str, str], str]:
    """Returns: keys of [optimizers.NETWORK], and what they cannot say."""
    kind, hyper = type(optimizer).__name__, optimizer.hyperparam
    if kind == "Adam":
        keys = {
            "kind": '"adam"', "learning_rate": _text(hyper.alpha), "beta1": _text(hyper.beta1), "beta2": _text(hyper.beta2),
            "epsilon": _text(hyper.eps), "epsilon_place": '"uncorrected"',
        }  # fmt: skip
        extra = [n for n in ("weight_decay_rate", "amsgrad", "adabound") if getattr(hyper, n, False)]
        extra += ["eta"] if getattr(hyper, "eta", 1) != 1 else []
    elif kind == "RMSprop":
        place = '"inside"' if hyper.eps_inside_sqrt else '"outside"'
        keys = {
            "kind": '"rmsprop"', "learning_rate": _text(hyper.lr), "decay": _text(hyper.alpha), "epsilon": _text(hyper.eps),
            "start": "0", "epsilon_place": place,
        }  # fmt: skip
        extra = []
    else:
        return {}, f"chainer.optimizers.{kind} is none of the language's; it has adam and rmsprop"
    hooks = [*(optimizer._pre_update_hooks or ()), *(optimizer._post_update_hooks or ())]
    said = [*(f"its {n}" for n in extra), *(f"its hook {h}" for h in hooks)]
    return keys, f"{', '.join(said)} cannot be written" if said else ""


def _head(title: str, source: str) -> list[str]:
    return [
        "# DRAFT, lifted by `ganspec check-updater` from what one iteration did: look through it before you rely on it.",
        f'title = "{_plain(title)}"',
        f'source = "{_plain(source)}"',
    ]


def _text(value: float) -> str:
    value = float(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _plain(text: str) -> str:
    return re.sub(r"[^ -!#-\[\]-~]", "_", text)


def _short(line: str) -> str:
    return line.rpartition("/")[2] or line
