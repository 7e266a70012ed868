"""Print a system: its sources, networks, formulas, schedule, the plan of one iteration, and every number."""

from __future__ import annotations

import argparse
from typing import Any

from ganspec.spec import System, load_system
from ganspec.spec.layers import format_shape, per_sample
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.keep import NEWEST
from ganspec.spec.parts.settings import Data, Growth
from ganspec.spec.plan.plan import describe_plan
from ganspec.spec.text.errors import counted, printable
from ganspec.spec.text.formula import render
from ganspec.spec.text.values import as_typed
from ganspec.tools.programs import options as shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", help="a name (see 'ganspec systems') or the path of a TOML file")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the system")
    parser.add_argument(
        "--reduced", action="store_true", help="show the small sizes with which backends are compared quickly"
    )
    shared.add_sharing(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    system = shared.as_asked(load_system(arguments.system, arguments.set, reduced=arguments.reduced), arguments)
    print("\n".join(map(printable, lines(system))))
    return 0


def lines(system: System) -> list[str]:
    """Returns: everything about a system, for people."""
    # Title and networks.
    loss, schedule = system.loss, system.schedule
    text = [system.name, f"  {system.title}", f"  source: {system.source}", ""]
    if system.constants:
        constants = ", ".join(f"{name} = {value:g}" for name, value in system.constants.items())
        text += [f"constants (change with --set constants.NAME=VALUE): {constants}", ""]
    if system.growth:
        text += [*_growth(system, system.growth), ""]
    for name, network in system.networks.items():
        text += [*_network(name, network), ""]
    # Loss.
    text += [f"loss {loss.name}: {loss.title}", f"  source: {loss.source}"]
    text += [f"  {name} = {value:g}" for name, value in loss.constants.items()]
    for name, shape in loss.outputs.items():
        required = f"have the shape of {shape}" if isinstance(shape, str) else f"give {per_sample(shape)}"
        text.append(f"  {name} must {required}")
    for name, definition in loss.definitions.items():
        signature = f"{name}({', '.join(definition.parameters)})" if definition.parameters else name
        text.append(f"  {signature} = {render(definition.formula.tree)}")
    text += [f"  loss of {name} = {render(formula.tree)}" for name, formula in loss.losses.items()]
    for name, carried in loss.carried.items():
        text.append(f"  {name}: from {carried.start:g}, with {carried.network}: {name} <- {render(carried.next.tree)}")
    for name, report in loss.reports.items():
        text.append(f"  report {name}, with {' and '.join(report.networks)} = {render(report.value.tree)}")
    text += [f"  telling: {name} = {render(formula.tree)}" for name, formula in loss.telling.items()]
    # Schedule, draws and optimisers.
    text += ["", f"schedule {schedule.name}: {schedule.title}", f"  source: {schedule.source}"]
    text += [f"  {name} = {value:g}" for name, value in schedule.constants.items()]
    text += ["", "draws"]
    for name, symbol in system.symbols.items():
        what = str(system.draws[name].distribution) if name in system.draws else "data"
        shape = format_shape(symbol.shape) if symbol.dtype == "float" else "a label"
        text.append(f"  {name} ~ {what}, {shape} per sample")
    text += ["", "optimisers"]
    for name, optimizer in system.optimizers.items():
        numbers = (f"{key} = {value}" for key, value in vars(optimizer).items() if key != "clip")
        text.append(f"  {name}: {optimizer.kind}, {', '.join(numbers)}")
        if rates := system.learning_rate_schedules.get(name):
            text += [f"  {name}: {rates}", f"  {name}.learning_rate_schedule = {as_typed(rates.as_data())}"]
        if clip := optimizer.clip:
            when = "after each update" if clip.when == "after" else "before each step that updates it"
            text.append(f"  {name}: every parameter is clipped to [{-clip.bound:g}, {clip.bound:g}] {when}")
    if system.decay:
        text.append(
            f"  after an epoch whose mean {system.decay.watch} did not fall, learning rates are multiplied by "
            f"{system.decay.factor:g}, down to {system.decay.minimum:g}"
        )
    for name, decay in system.averages.items():
        text.append(f"  {name}: average <- {decay:g} average + {1 - decay:g} value, after each iteration")
    if "G" in system.averages:
        text.append("  samples are drawn from the average of G")
    # Data, run and plan.
    text += ["", *_data(system.data), "", *_run(system)]
    of_what = "plan of one iteration" + ", in the last stage" * bool(system.growth)
    return [*text, "", of_what, *(f"  {line}" for line in describe_plan(system.plan, schedule))]


def _growth(system: System, growth: Growth) -> list[str]:
    text = [f"growth: {growth.stages} stages, each for {growth.images:,} images, the last one without end"]
    if growth.start_stage or growth.start_fade:
        text.append(f"  training starts in stage {growth.start_stage}, of which {growth.start_fade:g} counts as done")
    for number, stage in enumerate(system.stages):
        first = growth.first_iteration(number, system.run.batch)
        text.append(f"  stage {number}, " + ("before the start" if first is None else f"from iteration {first:,}"))
        for name, network in stage.networks.items():
            inputs = ", ".join(f"{key}: {value}" for key, value in network.inputs.items())
            outputs = ", ".join(f"{key}: {format_shape(network.output_shape(key))}" for key in network.outputs)
            fading = ", fading in" * any(layer.kind == "fade" for layer in network.layers)
            text.append(f"    {name:<3} {inputs} -> {outputs}, {counted(len(network.layers), 'layer')}{fading}")
    return [*text, "  what follows is the last stage; networks hold the parameters of all stages"]


def _data(data: Data) -> list[str]:
    text = ["data", f"  {format_shape(data.shape)} in [{data.range[0]:g}, {data.range[1]:g}], other sizes: {data.fit}"]
    text += [f"  {data.labels} labels"] if data.labels else []
    text += ["  cut to the largest part in the centre of the shape's ratio"] if data.crop == "centre" else []
    text += ["  each image is mirrored with probability 1/2"] if data.flip else []
    text += ["  grey images are skipped"] if data.skip_grey else []
    order = "; the first epoch in the order of the data" if data.first_pass == "in_order" else ""
    text.append(f"  images left over at an epoch's end: {data.leftover}{order}")
    text += [f"  --download fetches {data.dataset}, which the source trains on"] if data.dataset else []
    text += [f"  when no data is given: the {data.embedded} that ship with ganspec"] if data.embedded else []
    return text


def _run(system: System) -> list[str]:
    run, manifold = system.run, system.manifold
    length = f"{run.iterations:,} iterations" if run.iterations else f"{run.epochs:,} epochs"
    since = f" from iteration {run.samples_from:,} on" if run.samples_from else ""
    later = f", every {run.samples_later[1]:,} after {run.samples_later[0]:,}" if run.samples_later else ""
    text = [
        "run",
        f"  {length}, in batches of {run.batch}",
        f"  samples every {run.samples_every:,} iterations{since}{later}, {run.grid[0]} rows of {run.grid[1]}",
        f"  a checkpoint every {run.checkpoint_every:,}; plots show means of {run.moving_average:,}",
    ]
    kept = [f"the newest {run.keep.last if run.keep else NEWEST}"]
    if run.keep and run.keep.every:
        kept.append(f"those of every {run.keep.every:,} iterations")
    if run.keep and run.keep.best:
        kept.append(f"the best {run.keep.best}")
    text.append(f"  of the checkpoints are kept: {' and '.join(kept)}")
    if metrics := run.metrics:
        names, features = ", ".join(metrics.measure), metrics.extractor or "digits, where the data are digits"
        text.append(
            f"  measured every {metrics.every:,} iterations: {names}, of {metrics.images:,} samples, features from {features}"
        )
    if manifold:
        text.append(
            f"  with the samples, the manifold of G: {manifold.side}x{manifold.side} quantiles of its latent, "
            f"from {manifold.low:g} to {manifold.high:g}"
        )
    return text


def _network(name: str, network: Architecture) -> list[str]:
    inputs = ", ".join(f"{key}: {value}" for key, value in network.inputs.items())
    numbers = ", ".join(f"{key} = {value:g}" for key, value in network.constants.items())
    text = [
        f"network {name}: {network.name}, {network.parameter_count:,} parameters",
        f"  {network.title}",
        f"  source: {network.source}",
        f"  {numbers}",
        f"  {inputs}",
    ]
    columns = zip(*((layer.name, layer.kind, format_shape(layer.shape)) for layer in network.layers), strict=True)
    widths = [max(map(len, column)) for column in columns]
    for layer in network.layers:
        settings = [f"{key} {_setting(value)}" for key, value in layer.settings.items() if value is not None]
        weights = [f"{p.name} {format_shape(p.shape)} ~ {_short(str(p.initial))}" for p in layer.parameters]
        details = "; ".join([", ".join(settings)] * bool(settings) + weights)
        cells = zip((layer.name, layer.kind, format_shape(layer.shape)), widths, strict=True)
        text.append("  ".join(["", *(cell.ljust(width) for cell, width in cells), details]).rstrip())
    if list(network.outputs) != ["out"]:
        text.append(f"  outputs: {', '.join(f'{key} = {layer}' for key, layer in network.outputs.items())}")
    return text


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return f"({', '.join(f'{key} {_setting(v)}' for key, v in value.items())})"
    return str(list(value)) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _short(distribution: str) -> str:
    """Returns: the same with six digits per number; the description in a run's record has all digits."""
    kind, _, rest = distribution.partition("(")
    numbers = [f"{float(number):.6g}" for number in (rest.rstrip(")") or kind).split(", ")]
    return f"{kind}({', '.join(numbers)})" if rest else numbers[0]
