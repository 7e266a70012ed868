"""What must hold between the parts of a system: networks, loss, schedule, draws, data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.loss import Draw, Loss
from ganspec.spec.parts.schedule import DATA, Schedule
from ganspec.spec.parts.settings import Data, Decay, Manifold, Run
from ganspec.spec.plan.builder import FUNCTIONS, Symbol
from ganspec.spec.plan.graph import Graph, Node
from ganspec.spec.plan.plan import Plan
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import Table

MAX_NUMBERS = 10**10  # that one layer makes of a batch: 40 GB in float32
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_roles(table: Table, networks: Mapping[str, Architecture], loss: Loss, schedule: Schedule) -> None:
    for role in loss.losses:
        if role not in networks:
            table.note("networks", f"the loss '{loss.name}' needs a network {role}", f"add networks.{role}")
    trained = [role for role, network in networks.items() if network.parameter_count]
    for role in networks:
        if role in loss.losses and role not in trained:
            table.note(f"networks.{role}", f"has no parameters, and the loss '{loss.name}' trains it")
        if role in trained and role not in loss.losses:
            table.note(f"networks.{role}", f"the loss '{loss.name}' does not train it: {expected_one_of(loss.losses)}")
    updated = {n for step in schedule.steps for n in step.update}
    for n in sorted(updated | {n for step in schedule.steps for n in (*step.inference, *step.reuse)}):
        if n not in networks:
            message = f"the schedule '{schedule.name}' speaks of the network '{n}', which this system has not"
            table.note("schedule", message, did_you_mean(n, networks))
    for n in trained:
        if n not in updated:
            table.note("schedule", f"no step of the schedule '{schedule.name}' updates {n}")


def check_names(table: Table, networks: Iterable[str], loss: Loss, draws: Iterable[str]) -> None:
    """A name means one thing."""
    meanings: dict[str, str] = dict.fromkeys(FUNCTIONS, "a function") | dict.fromkeys(DATA, "the data")
    meanings |= dict.fromkeys((f"loss_{n}" for n in loss.losses), "a recorded loss")
    meanings |= dict.fromkeys(("iteration", "epoch"), "a column of the log")
    groups: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("networks", "a network", networks),
        ("constants", "a constant", loss.constants),
        ("draws", "a draw", draws),
        ("define", "a definition", loss.definitions),
        ("carried", "a carried number", loss.carried),
        ("report", "a report", loss.reports),
    )
    for key, meaning, group in groups:
        for name in group:
            file = table.file if name in table.data.get(key, {}) else loss.file
            if not NAME.fullmatch(name):
                table.problems.add(file, f"{key}.{name}", f"'{name}' is not a name: use letters, digits and _")
            if name in meanings:
                message = f"the name '{name}' means both {meanings[name]} and {meaning}"
                table.problems.add(file, f"{key}.{name}", message, "choose another name")
            meanings[name] = meaning


def read_symbols(
    table: Table, data: Data, draws: Mapping[str, Draw], networks: Mapping[str, Architecture]
) -> dict[str, Symbol]:
    symbols = {"x": Symbol(data.shape, "float")}
    if data.labels:
        symbols["y"] = Symbol((data.labels,), "label")
    like = {f"{n}.{o}": Symbol(a.output_shape(o), "float") for n, a in networks.items() for o in a.outputs}
    like |= {f"{n}.{i}": Symbol(v.shape, v.dtype) for n, a in networks.items() for i, v in a.inputs.items()}
    for name, draw in draws.items():
        if not isinstance(draw.shape, str):
            symbols[name] = Symbol(draw.shape, "float")
        elif draw.shape == "x":
            symbols[name] = symbols["x"]
        elif draw.shape in like:
            symbols[name] = like[draw.shape]
            if symbols[name].dtype == "label":
                _check_label_draw(table, name, draw, symbols[name].shape[0])
        else:
            valid = ["x", *like]
            message = f"there is no '{draw.shape}' to be shaped like: {expected_one_of(valid)}, or a list of sizes"
            table.note(f"draws.{name}.shape", message, did_you_mean(draw.shape, valid))
    return symbols


def check_use(
    table: Table, loss: Loss, own_draws: Mapping[str, Draw], symbols: Mapping[str, Symbol], used: set[str]
) -> None:
    groups: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("constants", loss.constants),
        ("define", loss.definitions),
        ("draws", loss.draws),
        ("carried", loss.carried),
    )
    for kind, group in groups:
        for name in group:
            if name not in used and not (kind == "constants" and name in loss.used_by_constants):
                table.problems.add(loss.file, f"{kind}.{name}", "no formula uses it", "use it or delete it")
    for name in own_draws:
        if name not in used and name not in loss.draws:
            table.note(f"draws.{name}", f"no formula of the loss '{loss.name}' uses it", did_you_mean(name, used))
    if "y" in symbols and "y" not in used:
        table.note("data.labels", f"no formula of the loss '{loss.name}' uses labels", "delete the key")


def _check_label_draw(table: Table, name: str, draw: Draw, labels: int) -> None:
    d = draw.distribution
    if not 0 <= d.a < labels or (d.kind == "uniform" and d.b > labels) or d.kind == "normal":
        table.note(f"draws.{name}.sample", f"labels are from 0 to {labels - 1}: expected uniform(0, {labels})")


def check_manifold(table: Table, manifold: Manifold | None, networks: Mapping[str, Architecture]) -> None:
    latents = [v.shape for v in networks["G"].inputs.values() if v.dtype == "float"] if "G" in networks else []
    if manifold and latents != [(2,)]:
        table.note("manifold", "a manifold is of a network G with one latent of two numbers")


def check_plan(
    table: Table, plan: Plan, networks: Mapping[str, Architecture], loss: Loss, decay: Decay | None, run: Run
) -> None:
    for name, architecture in networks.items():
        if not any(node.op == "network" and node.value == name for step in plan.steps for node in step.nodes):
            table.note(f"networks.{name}", f"no formula of the loss '{loss.name}' evaluates it")
        largest = max((math.prod(layer.shape) for layer in architecture.layers), default=0) * run.batch
        if largest > MAX_NUMBERS:
            message = (
                f"a layer makes {largest:,} numbers of a batch of {run.batch:,}; at most {MAX_NUMBERS:,} are allowed"
            )
            table.note(f"networks.{name}", message, "make its sizes or run.batch smaller")
        if any(layer.kind == "batch_norm" for layer in architecture.layers) and run.batch < 2:
            table.note("run.batch", "batch norm needs at least 2 images a batch")
    for step in plan.steps:
        until = step.step.until
        if until and until.report not in step.reports:
            message = f"the step {step.step.name} does not report '{until.report}': {expected_one_of(step.reports)}"
            table.note("schedule", message, did_you_mean(until.report, step.reports))
        graph = Graph(list(step.nodes))
        for network, node in step.losses.items():
            places = (i for i, x in enumerate(step.nodes) if _evaluates(x, network))
            if not any(node in graph.dependants(i) for i in places):
                formula = loss.losses[network]
                message = f"it does not depend on {network}, the network that it trains"
                table.problems.add(formula.file, formula.key, message, text=formula.text, span=(0, len(formula.text)))
        evaluated = {node.value for node in step.nodes if node.op == "network"}
        kept = {node.value.network for node in step.nodes if node.op == "kept"}
        for network in step.step.reuse:
            if network not in kept:
                table.note("schedule", f"the step {step.step.name} does not evaluate {network}, listed under reuse")
        for network in step.step.inference:
            if network not in evaluated:
                table.note("schedule", f"the step {step.step.name} does not evaluate {network}, listed under inference")
    if decay and decay.watch not in plan.columns():
        valid = plan.columns()
        table.note(
            "learning_rate_decay.watch",
            f"nothing reports '{decay.watch}': {expected_one_of(valid)}",
            did_you_mean(decay.watch, valid),
        )


def _evaluates(node: Node, network: str) -> bool:
    """Returns: whether a node is an evaluation of a network, made in this step or kept from an earlier one."""
    return (node.op == "network" and node.value == network) or (node.op == "kept" and node.value.network == network)
