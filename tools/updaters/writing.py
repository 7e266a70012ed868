"""The files of a draft, as text: loss, schedule, system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganspec.spec.system import System
from ganspec.spec.text.formula import Call, Expression, Name, render
from ganspec.tools.updaters.carried import Recorded
from ganspec.tools.updaters.recording import Recording
from ganspec.tools.updaters.roles import Draws, short_number
from ganspec.tools.updaters.steps import LiftedStep, terms
from ganspec.tools.updaters.trees import names_in, rewritten, walk


def defined(trees: Sequence[Expression]) -> dict[Expression, str]:
    """Returns: names for what gradients are taken by, unless that has a name of its own."""
    found: dict[Expression, str] = {}
    for tree in trees:
        for t in walk(tree):
            if isinstance(t, Call) and t.function == "grad" and not isinstance(t.arguments[1], Name):
                found.setdefault(t.arguments[1], "x_hat" if not found else f"x_hat{len(found) + 1}")
    return found


@dataclass
class LossParts:
    """What a loss file is made of."""

    recorded: Recorded
    system: System
    steps: Sequence[LiftedStep]
    losses: Mapping[str, tuple[Expression, str]]
    draws: Draws
    source: str
    left: list[str]
    reports: dict[str, str] = field(default_factory=dict)

    def loss_file(self) -> str:
        """Returns: the loss file."""
        defines, draws = defined([tree for tree, _ in self.losses.values()]), self.draws
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
                self.left.append(
                    f"{carried.line}: how self.{name} moves could not be read; write it in [carried.{name}]"
                )
            tree = self.draws.named(following) if following is not None else Name(name)
            lines += ["", f"[carried.{name}]", f"start = {short_number(carried.start)}"]
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
                self.left.append(f"the report '{name}': {why}")
                continue
            own = sorted(map(render, terms(tree)))
            same = next((n for n, (loss, _) in self.losses.items() if own == sorted(map(render, terms(loss)))), None)
            if same is not None:
                self.reports[name] = f"loss_{same}"
            if same is not None or key in known or names_in(tree) & set(self.draws.by_name):
                continue
            self.reports[name] = key
            found.append(
                f'{key} = {{ value = "{render(rewritten(tree, short))}", with = "{network}" }} # {_short(line)}'
            )
        return found


def _share(tree: Expression, other: Expression) -> bool:
    """Returns: whether two formulas read a common evaluation."""
    calls = {t for t in walk(tree) if isinstance(t, Call)}
    return bool(calls & set(walk(other)))


def schedule_file(recording: Recording, steps: Sequence[LiftedStep], draws: Draws, source: str, left: list[str]) -> str:
    lines = [*_head(f"The schedule of {source}, a draft", source), "", "[redraw]"]
    lines += [f'data = "{_data_life(recording, steps)}"', f'noise = "{_noise_life(steps, draws)}"']
    for step in steps:
        lines += ["", "[[steps]]", f"update = [{', '.join(_quoted(n) for n in step.losses)}]"]
        lines += [f"repeat = {step.repeat}"] if step.repeat > 1 else []
        inferred = {e.network for e in step.evaluations if not e.training}
        mixed = inferred & {e.network for e in step.evaluations if e.training}
        for network in sorted(mixed | (inferred & set(step.losses))):
            line = next(e.line for e in step.evaluations if e.network == network and not e.training)
            left.append(f"{_short(line)}: {network} is evaluated in inference mode beside training mode")
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


def _noise_life(steps: Sequence[LiftedStep], draws: Draws) -> str:
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


def system_file(
    system: System, base: str, draws: Draws, optimizers: Mapping[str, Any], source: str, left: list[str]
) -> str:
    kept = ['learning_rate_decay = "none"'] if system.decay is not None else []
    lines = [*_head(f"{source}, a draft on the networks of {system.name}", source), f'like = "{base}"', ""]
    lines += ['loss = "loss.toml"', 'schedule = "schedule.toml"', *kept, ""]
    if "z" in draws.found:
        lines += ["[draws]", f'z = {{ sample = "{draws.sample("z")}", shape = {draws.shape("z")} }}', ""]
    shared: dict[str, str] = {}
    for network in (n for n in system.optimizers if n in optimizers):
        keys, why = _optimizer(optimizers[network])
        if why:
            left.append(f"the optimiser of {network}: {why}")
        if system.optimizers[network].clip is not None:
            keys["clip"] = '"none"'
        if network in system.learning_rate_schedules:
            keys["learning_rate_schedule"] = '"none"'
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


def _optimizer(optimizer: Any) -> tuple[dict[str, str], str]:
    """Returns: keys of [optimizers.NETWORK], and what they cannot say."""
    kind, hyper = type(optimizer).__name__, optimizer.hyperparam
    if kind == "Adam":
        keys = {
            "kind": '"adam"', "learning_rate": short_number(hyper.alpha),
            "beta1": short_number(hyper.beta1), "beta2": short_number(hyper.beta2),
            "epsilon": short_number(hyper.eps), "epsilon_place": '"uncorrected"',
        }  # fmt: skip
        extra = [n for n in ("weight_decay_rate", "amsgrad", "adabound") if getattr(hyper, n, False)]
        extra += ["eta"] if getattr(hyper, "eta", 1) != 1 else []
    elif kind == "RMSprop":
        place = '"inside"' if hyper.eps_inside_sqrt else '"outside"'
        keys = {
            "kind": '"rmsprop"', "learning_rate": short_number(hyper.lr), "decay": short_number(hyper.alpha),
            "epsilon": short_number(hyper.eps), "start": "0", "epsilon_place": place,
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


def _quoted(name: str) -> str:
    return f'"{name}"'


def _plain(text: str) -> str:
    return re.sub(r"[^ -!#-\[\]-~]", "_", text)


def _short(line: str) -> str:
    return line.rpartition("/")[2] or line
