"""Systems: one runnable GAN, every number settled.

    title, source
    loss = "wgan_gp"                      or { use = "wgan_gp", penalty_weight = 10 }
    schedule = "critic_repeats"           likewise
    [networks]      G = "mlp_generator"   likewise
    [draws]         z = { sample = "uniform(-1, 1)", shape = "G.z" }
    [optimizers]    shared keys, and G.learning_rate = ... for what differs
    [learning_rate_decay]                 optional
    [data]          shape, range, fit, and optionally labels, skip_grey, embedded
    [run]           batch, epochs, samples_every, checkpoint_every, grid
    [variants.NAME] title, source, and the keys that differ
    [reduced]       the keys that differ when backends are compared quickly

`NAME/VARIANT` names a variant. `load_system` gives a `System`, or raises one `SpecError` with everything that is wrong.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spec.architecture import Architecture, parameter_names, read_architecture
from spec.builder import FUNCTIONS, Symbol
from spec.errors import Problem, Problems, SpecError, did_you_mean, expected_one_of
from spec.graph import Graph
from spec.library import Library, find_system, names
from spec.loss import Draw, Loss, read_draws, read_loss
from spec.optimizers import Adam, read_optimizer
from spec.plan import Plan, make_plan
from spec.schedule import Schedule, read_schedule
from spec.tables import MAX_SIZE, Table, kind_of, read_toml

MAX_PARAMETERS = 10**9  # of one network; the largest of the papers here has under 10**8
FITS = ("exact", "pad", "resize")
EMBEDDED = ("digits",)


@dataclass(frozen=True)
class Data:
    """What the symbols x and y are.

    Args:
        shape: of an image, (channels, height, width).
        range: the values that black and white become.
        fit: how images of another size come to this one: not at all ("exact"), "pad" with black, or "resize".
        labels: how many classes y has; 0 where there is no y.
        skip_grey: whether images whose channels are all equal are left out.
        embedded: the packaged data to train on when none is given, "" for none.
    """

    shape: tuple[int, int, int]
    range: tuple[float, float]
    fit: str
    labels: int
    skip_grey: bool
    embedded: str


@dataclass(frozen=True)
class Run:
    """How a system is trained.

    Args:
        batch: images a batch.
        epochs: how often all of the data is seen.
        samples_every, checkpoint_every: iterations between two grids of samples, and between two checkpoints.
        grid: rows and columns of a grid of samples.
    """

    batch: int
    epochs: int
    samples_every: int
    checkpoint_every: int
    grid: tuple[int, int]


@dataclass(frozen=True)
class Decay:
    """After every epoch in which the mean of a report did not fall below the epoch before, learning rates shrink.

    learning_rate <- max(factor learning_rate, minimum)
    """

    watch: str
    factor: float
    minimum: float


@dataclass(frozen=True)
class System:
    """One runnable GAN. `symbols` is what formulas can draw: data and noise, with their shapes."""

    name: str
    title: str
    source: str
    networks: Mapping[str, Architecture]
    loss: Loss
    schedule: Schedule
    draws: Mapping[str, Draw]
    symbols: Mapping[str, Symbol]
    optimizers: Mapping[str, Adam]
    decay: Decay | None
    data: Data
    run: Run
    plan: Plan


def load_system(name: str, settings: Iterable[str] = (), *, reduced: bool = False) -> System:
    """Read a system, its variant and everything it mentions, and check all of it.

    Args:
        name: a packaged system, the path of a TOML file, or either followed by "/VARIANT".
        settings: "KEY=VALUE" texts, a dotted key of the system file and a TOML value (or bare text), applied last.
        reduced: whether to apply the system's `[reduced]` sizes, before `settings`.

    Returns: the system.

    Raises:
        SpecError: anything is wrong; all problems at once.
    """
    base, variant = _split(name)
    found, library = find_system(base)
    data = copy.deepcopy(found.data)
    variants, small = data.pop("variants", {}), data.pop("reduced", {})
    problems = Problems()
    tables = {"variants": variants, "reduced": small}
    if isinstance(variants, dict):
        tables |= {f"variants.{key}": value for key, value in variants.items()}
    for key, value in tables.items():
        Table(value, found.file, key, problems)  # notes what is not a table
    problems.stop_if_any()
    if variant:
        if variant not in variants:
            message = f"{base} has no variant '{variant}': {expected_one_of(variants)}"
            raise SpecError([Problem(found.file, "variants", message, did_you_mean(variant, variants))])
        data = _merged(data, variants[variant], f"{found.file}: variants.{variant}")
    if reduced:
        data = _merged(data, small, f"{found.file}: reduced")
    for setting in settings:
        data = _merged(data, _parse_setting(setting), f"--set {setting}")
    shown_name = f"{found.name}/{variant}" if variant else found.name
    return _read(shown_name, Table(data, found.file, "", problems), library, problems)


def system_names() -> list[str]:
    """Returns: every packaged system and variant, "NAME" and "NAME/VARIANT"."""
    listed = []
    for name in names("systems"):
        variants = find_system(name)[0].data.get("variants", {})
        listed += [name, *(f"{name}/{variant}" for variant in variants)]
    return listed


def _split(name: str) -> tuple[str, str]:
    if name.endswith(".toml"):
        return name, ""
    base, _, variant = name.rpartition("/")
    return (base, variant) if base and (base.endswith(".toml") or "/" not in base) else (name, "")


def _parse_setting(setting: str) -> dict[str, Any]:
    key, equals, value = setting.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise SpecError([Problem("--set", setting, "expected KEY=VALUE, such as loss.penalty_weight=5")])
    for text in (f"{key} = {value}", f"{key} = {_quoted(value)}"):
        with contextlib.suppress(SpecError):
            return read_toml(text, "--set")
    raise SpecError([Problem("--set", setting, "the key is not a dotted name", "such as loss.penalty_weight=5")])


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _merged(data: Any, changes: Any, where: str) -> Any:
    """Returns: `data` with `changes` laid over it, table by table."""
    if not isinstance(changes, dict):
        return changes
    if isinstance(data, str):
        data = {"use": data}  # loss = "hinge" is short for loss = { use = "hinge" }
    if isinstance(changes.get("use"), str) and isinstance(data, dict) and changes["use"] != data.get("use"):
        data = {}  # another file has other numbers
    if not isinstance(data, dict):
        raise SpecError([Problem(where, "", f"cannot set {', '.join(changes)} inside a value that is not a table")])
    merged = dict(data)
    for key, value in changes.items():
        merged[key] = _merged(data[key], value, where) if key in data else value
    return merged


def _read(name: str, table: Table, library: Library, problems: Problems) -> System:
    title, source = table.text("title"), table.text("source")
    networks = {}
    given = table.table("networks")
    for role in given.data:
        found, overrides = _use(given, role, "architectures", library)
        if found is not None:
            networks[role] = read_architecture(found, library, overrides, problems)
            if networks[role].parameter_count > MAX_PARAMETERS:
                count = networks[role].parameter_count
                given.note(
                    role, f"has {count:,} parameters, at most {MAX_PARAMETERS:,} are allowed", "make its sizes smaller"
                )
    found_loss, constants = _use(table, "loss", "losses", library)
    found_schedule, numbers = _use(table, "schedule", "schedules", library)
    loss = read_loss(found_loss, constants, problems) if found_loss else None
    schedule = read_schedule(found_schedule, numbers, problems) if found_schedule else None
    data = _read_data(table.table("data"))
    run = _read_run(table.table("run"))
    own_draws = read_draws(table)
    optimizers = _read_optimizers(table.table("optimizers"), networks)
    decay = _read_decay(table) if "learning_rate_decay" in table else None
    table.close()
    problems.stop_if_any()  # what follows reads all of it together
    assert loss is not None
    assert schedule is not None
    draws = {**loss.draws, **own_draws}
    _check_roles(table, networks, loss, schedule)
    _check_names(table, networks, loss, draws)
    symbols = _symbols(table, data, draws, networks)
    problems.stop_if_any()
    used: set[str] = set()
    plan = make_plan(loss, schedule, networks, symbols, problems=problems, used=used)
    problems.stop_if_any()
    _check_use(table, loss, own_draws, symbols, used)
    _check_plan(table, plan, loss, decay)
    if any(x.kind == "batch_norm" for a in networks.values() for x in a.layers) and run.batch < 2:
        table.note("run.batch", "batch norm needs at least 2 images a batch")
    problems.stop_if_any()
    symbols = {key: value for key, value in symbols.items() if key in used}
    return System(name, title, source, networks, loss, schedule, draws, symbols, optimizers, decay, data, run, plan)


def _use(table: Table, key: str, kind: str, library: Library) -> tuple[Any, dict[str, float]]:
    """Returns: the file that a key mentions and the numbers that it overrides there."""
    if isinstance(table.data.get(key), str) or key not in table:
        name, rest = table.text(key), None
    elif isinstance(table.data[key], dict):
        rest = table.table(key)
        name = rest.text("use")
    else:
        table.note(key, f"expected a name, or a table with use = and numbers, found {kind_of(table.take(key))}")
        return None, {}
    if not name:
        return None, {}
    try:
        where = table.path(key) if rest is None else rest.path("use")
        found = library.find(kind, name, table.file, where)
    except SpecError as error:
        table.problems.extend(error.problems)
        return None, {}
    if rest is None:
        return found, {}
    section = found.data.get("constants", {}) if kind == "losses" else None
    valid = (list(section) if isinstance(section, dict) else []) if kind == "losses" else parameter_names(found)
    numbers = {k: rest.number(k) for k in rest.data if k in valid}
    rest.read |= set(valid)
    rest.close()
    return found, numbers


def _read_data(table: Table) -> Data:
    shape, span = table.sizes("shape"), table.take("range")
    if "shape" in table and len(shape) != 3:
        table.note("shape", f"expected [channels, height, width], found {len(shape)} sizes")
        shape = (1, 1, 1)
    numbers = isinstance(span, list) and len(span) == 2 and all(type(v) in (int, float) for v in span)
    if not numbers or not -MAX_SIZE < span[0] < span[1] < MAX_SIZE:
        table.note("range", "expected [low, high], the values of black and white, low < high")
        span = [0, 1]
    data = Data(
        (*shape, 1, 1, 1)[:3],  # type: ignore[arg-type]
        (float(span[0]), float(span[1])),
        table.choice("fit", FITS),
        table.size("labels", 0, least=0),
        table.flag("skip_grey", False),
        table.choice("embedded", EMBEDDED) if "embedded" in table else "",
    )
    table.close()
    return data


def _read_run(table: Table) -> Run:
    grid = table.sizes("grid")
    if "grid" in table and len(grid) != 2:
        table.note("grid", f"expected [rows, columns], found {len(grid)} sizes")
    run = Run(
        table.size("batch"),
        table.size("epochs"),
        table.size("samples_every"),
        table.size("checkpoint_every"),
        (grid[0], grid[1]) if len(grid) == 2 else (1, 1),
    )
    table.close()
    return run


def _read_optimizers(table: Table, networks: Iterable[str]) -> dict[str, Adam]:
    """Keys beside the networks' names are shared by all networks."""
    networks = list(networks)
    own = {n: v for n, v in table.data.items() if n in networks or isinstance(v, dict)}
    shared = {k: v for k, v in table.data.items() if k not in own}
    for n in own:
        if n not in networks:
            table.note(n, f"there is no network '{n}': {expected_one_of(networks)}", did_you_mean(n, networks))
    optimizers = {}
    for n in networks:
        mine = own.get(n, {})
        merged = {**shared, **mine} if isinstance(mine, dict) else mine
        key = table.path(n) if n in own else table.key
        optimizers[n] = read_optimizer(Table(merged, table.file, key, table.problems))
    overridden = [k for k in shared if networks and all(isinstance(own.get(n), dict) and k in own[n] for n in networks)]
    for k in overridden:
        table.note(k, "every network has its own value, so this one changes nothing")
    return optimizers


def _read_decay(outer: Table) -> Decay:
    table = outer.table("learning_rate_decay")
    decay = Decay(table.text("watch"), table.number("factor", least=0, most=1), table.number("minimum", least=0))
    table.close()
    return decay


def _check_roles(table: Table, networks: Mapping[str, Architecture], loss: Loss, schedule: Schedule) -> None:
    for role in loss.losses:
        if role not in networks:
            table.note("networks", f"the loss '{loss.name}' needs a network {role}", f"add networks.{role}")
    for role in networks:
        if role not in loss.losses:
            table.note(f"networks.{role}", f"the loss '{loss.name}' does not train it: {expected_one_of(loss.losses)}")
    updated = {n for step in schedule.steps for n in step.update}
    for n in sorted(updated | {n for step in schedule.steps for n in step.inference}):
        if n not in networks:
            message = f"the schedule '{schedule.name}' speaks of the network '{n}', which this system has not"
            table.note("schedule", message, did_you_mean(n, networks))
    for n in networks:
        if n not in updated:
            table.note("schedule", f"no step of the schedule '{schedule.name}' updates {n}")


def _check_names(table: Table, networks: Iterable[str], loss: Loss, draws: Iterable[str]) -> None:
    """A name means one thing."""
    meanings: dict[str, str] = dict.fromkeys(FUNCTIONS, "a function") | dict.fromkeys(("x", "y"), "the data")
    meanings |= dict.fromkeys((f"loss_{n}" for n in loss.losses), "a recorded loss")
    groups: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("networks", "a network", networks),
        ("constants", "a constant", loss.constants),
        ("draws", "a draw", draws),
        ("define", "a definition", loss.definitions),
        ("state", "a state", loss.states),
        ("report", "a report", loss.reports),
    )
    for key, meaning, group in groups:
        for name in group:
            if name in meanings:
                file = table.file if name in table.data.get(key, {}) else loss.file
                message = f"the name '{name}' means both {meanings[name]} and {meaning}"
                table.problems.add(file, f"{key}.{name}", message, "choose another name")
            meanings[name] = meaning


def _symbols(
    table: Table, data: Data, draws: Mapping[str, Draw], networks: Mapping[str, Architecture]
) -> dict[str, Symbol]:
    symbols = {"x": Symbol(data.shape, "float")}
    if data.labels:
        symbols["y"] = Symbol((data.labels,), "label")
    inputs = {f"{n}.{i}": v for n, a in networks.items() for i, v in a.inputs.items()}
    for name, draw in draws.items():
        if not isinstance(draw.shape, str):
            symbols[name] = Symbol(draw.shape, "float")
        elif draw.shape == "x":
            symbols[name] = symbols["x"]
        elif draw.shape in inputs:
            symbols[name] = Symbol(inputs[draw.shape].shape, inputs[draw.shape].dtype)
        else:
            valid = ["x", *inputs]
            message = f"there is no '{draw.shape}' to be shaped like: {expected_one_of(valid)}, or a list of sizes"
            table.note(f"draws.{name}.shape", message, did_you_mean(draw.shape, valid))
    return symbols


def _check_use(
    table: Table, loss: Loss, own_draws: Mapping[str, Draw], symbols: Mapping[str, Symbol], used: set[str]
) -> None:
    groups: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("constants", loss.constants),
        ("define", loss.definitions),
        ("draws", loss.draws),
        ("state", loss.states),
    )
    for kind, group in groups:
        for name in group:
            if name not in used and not (kind == "constants" and name in loss.behind):
                table.problems.add(loss.file, f"{kind}.{name}", "no formula uses it", "use it or delete it")
    for name in own_draws:
        if name not in used and name not in loss.draws:
            table.note(f"draws.{name}", f"no formula of the loss '{loss.name}' uses it", did_you_mean(name, used))
    if "y" in symbols and "y" not in used:
        table.note("data.labels", f"no formula of the loss '{loss.name}' uses labels", "delete the key")


def _check_plan(table: Table, plan: Plan, loss: Loss, decay: Decay | None) -> None:
    for step in plan.steps:
        graph = Graph(list(step.nodes))
        for network, node in step.losses.items():
            places = (i for i, x in enumerate(step.nodes) if x.op == "network" and x.value == network)
            if not any(node in graph.dependants(i) for i in places):
                formula = loss.losses[network]
                message = f"it does not depend on {network}, the network that it trains"
                table.problems.add(formula.file, formula.key, message, text=formula.text, span=(0, len(formula.text)))
        evaluated = {node.value for node in step.nodes if node.op == "network"}
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
