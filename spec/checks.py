"""Checks of what must hold between the parts of a system: networks, loss, schedule, draws, data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganspec.spec.layers import per_sample
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.network.reserved import reason_to_refuse
from ganspec.spec.parts.loss import Draw, Loss
from ganspec.spec.parts.optimizers import Optimizer
from ganspec.spec.parts.schedule import DATA, Schedule
from ganspec.spec.parts.settings import Data, Decay, Manifold, Run
from ganspec.spec.plan.builder import FUNCTIONS, Symbol
from ganspec.spec.plan.graph import Graph, Node
from ganspec.spec.plan.plan import Plan, StepPlan
from ganspec.spec.text.arithmetic import unknown_part
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import Table

# Layers whose third derivatives are wrong in PyTorch or in Chainer, by central differences; the second ones are right in both.
NOT_THRICE = ("batch_norm", "conditional_batch_norm", "max_pool")
MAX_NUMBERS = 10**10  # in what one layer makes of a batch: 40 GB in float32
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_roles(table: Table, networks: Mapping[str, Architecture], loss: Loss, schedule: Schedule) -> None:
    """Note networks that are missing, that nothing trains, or that no step updates."""
    for role in loss.losses:
        if role not in networks:
            hint = f'add networks.{role} = "NAME", or --set networks.{role}=NAME'
            table.note("networks", f"the loss '{loss.name}' needs a network {role}", hint)
    trained = [role for role, network in networks.items() if network.parameter_count]
    for role in networks:
        if role in loss.losses and role not in trained:
            table.note(f"networks.{role}", f"has no parameters, and the loss '{loss.name}' trains it")
        if role in trained and role not in loss.losses:
            message = f"the loss '{loss.name}' does not train it: {expected_one_of(loss.losses)}"
            table.note(f"networks.{role}", message, f"delete it, or --set networks.{role}=none")
    updated = {n for step in schedule.steps for n in step.update}
    for n in sorted(updated | {n for step in schedule.steps for n in (*step.inference, *step.reuse)}):
        if n not in networks and n not in loss.losses:  # else it is noted that the loss needs it
            verb = "updates" if n in updated else "lists"
            message = f"the schedule '{schedule.name}' {verb} the network '{n}', which this system does not have"
            hint = did_you_mean(n, networks) or f"choose another schedule: --set schedule=NAME, or add networks.{n}"
            table.note("schedule", message, hint)
    for n in trained:
        if n not in updated and n in loss.losses:
            table.note("schedule", f"no step of the schedule '{schedule.name}' updates {n}")


def check_reuse(table: Table, schedule: Schedule, optimizers: Mapping[str, Optimizer]) -> None:
    """Note steps that train a network through an evaluation that was made before its weights are clipped."""
    for step in schedule.steps:
        for n in step.update:
            clip = optimizers[n].clip if n in optimizers else None
            if n in step.reuse and clip and clip.when == "before":
                message = (
                    f"the step {step.name} reuses an evaluation of {n} that was made before {n}'s weights are clipped, so its "
                    "gradient would be that of other weights"
                )
                table.note(f"optimizers.{n}.clip", message, 'clip after each update: when = "after"')


def check_names(table: Table, networks: Iterable[str], loss: Loss, draws: Iterable[str]) -> None:
    """Note names that are not names, or that mean two things."""
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
            own = table.data.get(key, {}) if key in ("networks", "draws") else ()
            file = table.file if name in own else loss.file
            if key == "networks" and (reason := reason_to_refuse(name)):
                table.note(f"networks.{name}", reason, "choose another name")
            if not NAME.fullmatch(name):
                table.problems.add(file, f"{key}.{name}", f"'{name}' is not a name: use letters, digits and _")
            if name in meanings:
                message = f"the name '{name}' means both {meanings[name]} and {meaning}"
                table.problems.add(file, f"{key}.{name}", message, "choose another name")
            meanings[name] = meaning


def _symbols_by_place(data: Data, networks: Mapping[str, Architecture]) -> dict[str, Symbol]:
    """Returns: everything that has a shape by name: the images "x", inputs such as "G.z", outputs such as "D.out"."""
    places = {"x": Symbol(data.shape, "float")}
    places |= {f"{n}.{o}": Symbol(a.output_shape(o), "float") for n, a in networks.items() for o in a.outputs}
    return places | {f"{n}.{i}": Symbol(v.shape, v.dtype) for n, a in networks.items() for i, v in a.inputs.items()}


def check_outputs(table: Table, loss: Loss, data: Data, networks: Mapping[str, Architecture]) -> None:
    """Note outputs of networks whose shape is not the one that the loss requires."""
    places = _symbols_by_place(data, networks)
    for name, shape in loss.outputs.items():
        key = f'outputs."{name}"' if "." in name else f"outputs.{name}"
        if isinstance(shape, str) and shape not in places:
            message = f"there is no '{shape}': {expected_one_of(places)}, or a list of sizes"
            table.problems.add(loss.file, key, message, did_you_mean(shape, places))
            continue
        required = places[shape].shape if isinstance(shape, str) else shape
        role, _, output = name.partition(".")
        if role not in networks:
            if role not in loss.losses:  # else it is noted that the network is missing
                table.problems.add(loss.file, key, f"there is no network '{role}': {expected_one_of(networks)}")
            continue
        outputs, hint = networks[role].outputs, f"choose another network: --set networks.{role}=NAME"
        if (not output and len(outputs) > 1) or (output and output not in outputs):
            required_outputs = f"an output '{output}'" if output else "a single output"
            message = f"the loss '{loss.name}' requires {required_outputs} of {role}, found {', '.join(outputs)}"
            table.note(f"networks.{role}", message, hint)
            continue
        shape_of_output = networks[role].output_shape(output or next(iter(outputs)))
        if shape_of_output != required and not math.prod(shape_of_output) == math.prod(required) == 1:
            of_what = f" (like {shape})" if isinstance(shape, str) else ""
            message = f"the loss '{loss.name}' requires {per_sample(required)}{of_what} from {name}"
            if len(shape_of_output) == len(required) == 3 and "size" in table.scope.names:
                hint += ", or change the size of all that belongs together: --set constants.size=NUMBER"
            table.note(f"networks.{role}", f"{message}, found {per_sample(shape_of_output)}", hint)


def read_symbols(
    table: Table, data: Data, draws: Mapping[str, Draw], networks: Mapping[str, Architecture]
) -> dict[str, Symbol]:
    """Returns: every symbol that formulas may draw, with the shape of one sample; unknown shapes are noted."""
    like = _symbols_by_place(data, networks)
    symbols = {"x": like["x"]}
    if data.labels:
        symbols["y"] = Symbol((data.labels,), "label")
    for name, draw in draws.items():
        if not isinstance(draw.shape, str):
            symbols[name] = Symbol(draw.shape, "float")
        elif draw.shape in like:
            symbols[name] = like[draw.shape]
            if symbols[name].dtype == "label":
                _check_label_draw(table, name, draw, symbols[name].shape[0])
        else:
            message = f"there is no '{draw.shape}': {expected_one_of(like)}, or a list of sizes"
            table.note(f"draws.{name}.shape", message, did_you_mean(draw.shape, like))
    return symbols


def check_use(
    table: Table, loss: Loss, own_draws: Mapping[str, Draw], symbols: Mapping[str, Symbol], used: set[str]
) -> None:
    """Note what no formula uses: constants, definitions, draws, carried numbers, labels."""
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
            hint = did_you_mean(name, used) or f"delete it, or --set draws.{name}=none"
            table.note(f"draws.{name}", f"no formula of the loss '{loss.name}' uses it", hint)
    if "y" in symbols and "y" not in used:
        hint = "delete the key, or --set data.labels=0"
        table.note("data.labels", f"no formula of the loss '{loss.name}' uses labels", hint)


def _check_label_draw(table: Table, name: str, draw: Draw, labels: int) -> None:
    d = draw.distribution
    if not 0 <= d.a < labels or (d.kind == "uniform" and d.b > labels) or d.kind == "normal":
        hint = f"such as --set 'draws.{name}.sample=uniform(0, {labels})'"
        table.note(f"draws.{name}.sample", f"labels are from 0 to {labels - 1}: expected uniform(0, {labels})", hint)


def check_manifold(table: Table, manifold: Manifold | None, networks: Mapping[str, Architecture]) -> None:
    """Note a manifold of a G whose latent is not two numbers."""
    latents = [v.shape for v in networks["G"].inputs.values() if v.dtype == "float"] if "G" in networks else []
    if manifold and latents != [(2,)]:
        hint = "delete it, or --set manifold=none"
        table.note("manifold", "a manifold requires a network G with one latent of two numbers", hint)


def check_plan(
    table: Table, plan: Plan, networks: Mapping[str, Architecture], loss: Loss, decay: Decay | None, run: Run
) -> None:
    """Note what only the plan of an iteration shows: unused networks, sizes of batches, gates, losses, the decay."""
    for name, architecture in networks.items():
        if not any(node.op == "network" and node.value == name for step in plan.steps for node in step.nodes):
            table.note(f"networks.{name}", f"no formula of the loss '{loss.name}' evaluates it")
        largest = max((math.prod(layer.shape) for layer in architecture.layers), default=0)
        if largest * run.batch > MAX_NUMBERS:
            size = f"a layer makes {largest * run.batch:,} numbers of a batch of {run.batch:,}"
            smaller = f", or --set run.batch={MAX_NUMBERS // largest}" if largest <= MAX_NUMBERS else ""
            message = f"{size}; at most {MAX_NUMBERS:,} are allowed"
            table.note(f"networks.{name}", message, f"make its sizes smaller{smaller}")
        if any(layer.kind.endswith("batch_norm") for layer in architecture.layers) and run.batch < 2:
            table.note("run.batch", "batch norm needs at least 2 images per batch", "such as --set run.batch=2")
    for step in plan.steps:
        # The report that a gate waits for.
        until = step.step.until
        if until and until.report not in step.reports:
            message = f"the step {step.step.name} does not report '{until.report}': {expected_one_of(step.reports)}"
            table.note("schedule", message, did_you_mean(until.report, step.reports))
        # The loss of each network that moves.
        graph = Graph(list(step.nodes))
        for network, node in step.losses.items():
            places = (i for i, x in enumerate(step.nodes) if _evaluates(x, network))
            if not any(node in graph.dependants(i) for i in places):
                formula = loss.losses[network]
                message = f"the loss does not depend on {network}, the network that it trains"
                table.problems.add(formula.file, formula.key, message, text=formula.text, span=(0, len(formula.text)))
        # The networks that the step lists under a mode.
        evaluated = {node.value for node in step.nodes if node.op == "network"}
        kept = {node.value.network for node in step.nodes if node.op == "kept"}
        for network in step.step.reuse:
            if network not in kept:
                table.note("schedule", f"the step {step.step.name} does not evaluate {network}, listed under reuse")
        for network in step.step.inference:
            if network not in evaluated:
                table.note("schedule", f"the step {step.step.name} does not evaluate {network}, listed under inference")
        # Derivatives that the frameworks get wrong.
        thrice = _differentiated_thrice(step, graph)
        for network in sorted({step.nodes[i].value for i in thrice if step.nodes[i].op == "network"}):
            wrong = next((layer for layer in networks[network].layers if layer.kind in NOT_THRICE), None)
            if wrong is not None:
                message = f"a grad of a grad has '{wrong.name}' of {network} differentiated three times, and PyTorch or Chainer "
                message += f"computes the third derivative of {wrong.kind} wrong"
                table.note(
                    "loss", message, "take another layer there, such as instance_norm or avg_pool, or one grad less"
                )
    if decay and decay.watch not in plan.columns():
        valid = plan.columns()
        table.note(
            "learning_rate_decay.watch",
            f"nothing reports '{decay.watch}': {expected_one_of(valid)}",
            did_you_mean(decay.watch, valid) or "delete the table, or --set learning_rate_decay=none",
        )


def check_telling(table: Table, loss: Loss, columns: Iterable[str]) -> None:
    """Note what is called telling and is not arithmetic on recorded numbers and constants."""
    known = dict.fromkeys((*columns, *loss.constants), 1.0)
    for name, formula in loss.telling.items():
        if not NAME.fullmatch(name):
            message = f"'{name}' is not a name: use letters, digits and _"
            table.problems.add(loss.file, f"telling.{name}", message)
        if error := unknown_part(formula.tree, known):
            text, span = formula.text, error.span
            table.problems.add(formula.file, formula.key, error.message, error.hint, text=text, span=span)


def _evaluates(node: Node, network: str) -> bool:
    """Returns: whether a node is an evaluation of a network, made in this step or kept from an earlier one."""
    return (node.op == "network" and node.value == network) or (node.op == "kept" and node.value.network == network)


def _differentiated_thrice(step: StepPlan, graph: Graph) -> set[int]:
    """Returns: the nodes through which a gradient goes, through it another, and back through this one a third."""

    def through(gradient: int) -> set[int]:
        of, to = step.nodes[gradient].inputs
        return (graph.dependants(to) & graph.sources({of})) - {to}  # it begins behind what it is taken with respect to

    gradients = {i for i, node in enumerate(step.nodes) if node.op == "grad"}
    outer = set().union(*(through(i) for i in gradients & step.tracked))
    return set().union(*(through(i) for i in gradients & outer))
