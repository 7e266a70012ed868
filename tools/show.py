"""Print a system: its sources, networks, formulas, schedule, the plan of one iteration, and every number."""

from __future__ import annotations

import argparse

from spec import System, load_system
from spec.architecture import Architecture
from spec.formula import render
from spec.layers import shown
from spec.plan import describe_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", help="a name (see 'ganspec systems') or the path of a TOML file")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the system")
    parser.add_argument("--reduced", action="store_true", help="at the sizes at which backends are compared quickly")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    print("\n".join(lines(load_system(arguments.system, arguments.set, reduced=arguments.reduced))))
    return 0


def lines(system: System) -> list[str]:
    """Returns: everything about a system, for people."""
    loss, schedule, data, settings = system.loss, system.schedule, system.data, system.run
    text = [system.name, f"  {system.title}", f"  source: {system.source}", ""]
    for name, network in system.networks.items():
        text += [*_network(name, network), ""]
    text += [f"loss {loss.name}: {loss.title}", f"  source: {loss.source}"]
    text += [f"  {name} = {value:g}" for name, value in loss.constants.items()]
    for name, definition in loss.definitions.items():
        signature = f"{name}({', '.join(definition.parameters)})" if definition.parameters else name
        text.append(f"  {signature} = {render(definition.formula.tree)}")
    text += [f"  loss of {name} = {render(formula.tree)}" for name, formula in loss.losses.items()]
    for name, state in loss.states.items():
        text.append(f"  {name}: from {state.start:g}, with {state.network}: {name} <- {render(state.next.tree)}")
    for name, report in loss.reports.items():
        text.append(f"  report {name}, with {report.network} = {render(report.value.tree)}")
    text += ["", f"schedule {schedule.name}: {schedule.title}", f"  source: {schedule.source}"]
    text += [f"  {name} = {value:g}" for name, value in schedule.parameters.items()]
    text += ["", "draws"]
    for name, symbol in system.symbols.items():
        what = str(system.draws[name].distribution) if name in system.draws else "data"
        text.append(f"  {name} ~ {what}, {shown(symbol.shape) if symbol.dtype == 'float' else 'a label'} a sample")
    text += ["", "optimisers"]
    for name, optimizer in system.optimizers.items():
        text.append(f"  {name}: adam, {', '.join(f'{k} = {v}' for k, v in vars(optimizer).items())}")
    if system.decay:
        text.append(
            f"  after an epoch whose mean {system.decay.watch} did not fall, learning rates are multiplied by "
            f"{system.decay.factor:g}, down to {system.decay.minimum:g}"
        )
    text += ["", "data"]
    text.append(f"  {shown(data.shape)} in [{data.range[0]:g}, {data.range[1]:g}], other sizes: {data.fit}")
    text += [f"  {data.labels} labels"] if data.labels else []
    text += ["  grey images are skipped"] if data.skip_grey else []
    text += [f"  when no data is given: the {data.embedded} that ship with ganspec"] if data.embedded else []
    text += ["", "run"]
    text.append(f"  batches of {settings.batch}, {settings.epochs} epochs")
    text.append(
        f"  samples every {settings.samples_every} iterations, {settings.grid[0]} rows of {settings.grid[1]}; "
        f"a checkpoint every {settings.checkpoint_every}"
    )
    return [*text, "", "plan of one iteration", *(f"  {line}" for line in describe_plan(system.plan, schedule))]


def _network(name: str, network: Architecture) -> list[str]:
    inputs = ", ".join(f"{key}: {value}" for key, value in network.inputs.items())
    numbers = ", ".join(f"{key} = {value:g}" for key, value in network.parameters.items())
    text = [
        f"network {name}: {network.name}, {network.parameter_count:,} parameters",
        f"  {network.title}",
        f"  source: {network.source}",
        f"  {numbers}",
        f"  {inputs}",
    ]
    for layer in network.layers:
        settings = [f"{key} {list(v) if isinstance(v, tuple) else f'{v:g}'}" for key, v in layer.settings.items()]
        weights = [f"{p.name} {shown(p.shape)} ~ {_short(str(p.initial))}" for p in layer.parameters]
        details = "; ".join([", ".join(settings)] * bool(settings) + weights)
        text.append(f"  {layer.name:<18} {layer.kind:<11} {shown(layer.shape):<12} {details}".rstrip())
    if list(network.outputs) != ["out"]:
        text.append(f"  outputs: {', '.join(f'{key} = {layer}' for key, layer in network.outputs.items())}")
    return text


def _short(distribution: str) -> str:
    """Returns: the same with six digits a number; the description in a run's record has them all."""
    kind, _, rest = distribution.partition("(")
    numbers = [f"{float(number):.6g}" for number in (rest.rstrip(")") or kind).split(", ")]
    return f"{kind}({', '.join(numbers)})" if rest else numbers[0]
