"""Systems: one runnable GAN, every number settled.

    title, source
    like = "dcgan_cifar10"                optional: all keys of that system hold that are not given here
    loss = "wgan_gp"                      or { use = "wgan_gp", penalty_weight = 10 }
    schedule = "critic_repeats"           likewise
    [networks]      G = "mlp_generator"   likewise; "none" leaves out one that a base or variant would have
    [draws]         z = { sample = "uniform(-1, 1)", shape = "G.z" }
    [optimizers]    shared keys, and G.learning_rate = ... for what differs
    [learning_rate_decay]                 optional
    [averages]            optional: G = 0.999, moving averages of networks, which samples are drawn from
    [growth]              optional: stages, images; see `running.Growth`
    [manifold]            optional: side, low, high; a picture for a latent of two numbers
    [data]          shape, range, fit, and optionally labels, skip_grey, embedded, dataset, leftover, first_pass
    [run]           batch, epochs or iterations, samples_every, samples_from, samples_later, checkpoint_every, grid,
                    moving_average
    [variants.NAME] title, source, and the keys that differ, those of [reduced] among them
    [reduced]       the keys that differ when backends are compared quickly

`NAME/VARIANT` names a variant. `load_system` gives a `System`, or raises one `SpecError` with everything that is wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ganspec.spec import checks
from ganspec.spec.merging import merged, parse_setting, with_base
from ganspec.spec.network.architecture import Architecture, stages_of
from ganspec.spec.network.growth import UnusedKeys
from ganspec.spec.network.reader import constant_names, read_architecture
from ganspec.spec.parts.loss import Draw, Loss, read_draws, read_loss
from ganspec.spec.parts.optimizers import Optimizer
from ganspec.spec.parts.schedule import Schedule, read_schedule
from ganspec.spec.parts.settings import (
    Data,
    Decay,
    Growth,
    Manifold,
    Run,
    read_averages,
    read_data,
    read_decay,
    read_growth,
    read_manifold,
    read_optimizers,
    read_run,
)
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.plan.plan import Plan, make_plan
from ganspec.spec.text.errors import Problem, Problems, SpecError, did_you_mean, expected_one_of
from ganspec.spec.text.files import Library, find_system, names
from ganspec.spec.text.tables import Table, kind_of

MAX_PARAMETERS = 10**9  # of one network; the largest of the papers here has under 10**8


@dataclass(frozen=True)
class Stage:
    """What a stage of growth computes; a system that does not grow has one.

    Args:
        networks: as they are in this stage.
        symbols: what formulas draw, data and noise, with their shapes.
        plan: of one iteration.
    """

    networks: Mapping[str, Architecture]
    symbols: Mapping[str, Symbol]
    plan: Plan


@dataclass(frozen=True)
class System:
    """One runnable GAN. `averages` are the decays of the moving averages of networks."""

    name: str
    title: str
    source: str
    loss: Loss
    schedule: Schedule
    draws: Mapping[str, Draw]
    stages: tuple[Stage, ...]
    optimizers: Mapping[str, Optimizer]
    averages: Mapping[str, float]
    decay: Decay | None
    growth: Growth | None
    data: Data
    run: Run
    manifold: Manifold | None

    @property
    def networks(self) -> Mapping[str, Architecture]:
        """The networks, of a system that grows in the last stage; they hold the parameters of every stage."""
        return self.stages[-1].networks

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        return self.stages[-1].symbols

    @property
    def plan(self) -> Plan:
        return self.stages[-1].plan

    def network(self, name: str, stage: int = -1) -> Architecture:
        """Returns: a network by its name, in a stage of growth.

        Raises:
            SpecError: there is no such network.
        """
        networks = self.stages[stage].networks
        if name not in networks:
            message = f"{self.name} has no network '{name}': {expected_one_of(networks)}"
            raise SpecError([Problem("", "", message, did_you_mean(name, networks))])
        return networks[name]

    def at(self, iteration: int) -> tuple[int, float]:
        """Returns: the number of the stage of an iteration, and how far that is, from 0 to 1, for layers that fade."""
        return self.growth.at(iteration, self.run.batch) if self.growth else (0, 0.0)


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
    data = with_base(copy.deepcopy(found.data), found.file, library)
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
        own = dict(variants[variant])
        small = merged(small, own.pop("reduced", {}), f"{found.file}: variants.{variant}.reduced")
        data = merged(data, own, f"{found.file}: variants.{variant}")
    if reduced:
        data = merged(data, small, f"{found.file}: reduced")
    for setting in settings:
        data = merged(data, parse_setting(setting), f"--set {setting}")
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


def _read(name: str, table: Table, library: Library, problems: Problems) -> System:
    title, source = table.text("title"), table.text("source")
    growth = read_growth(table)
    stages = _read_networks(table.table("networks"), growth, library)
    networks = stages[-1]
    trained = [role for role, network in networks.items() if network.parameter_count]
    found_loss, constants = _use(table, "loss", "losses", library)
    found_schedule, numbers = _use(table, "schedule", "schedules", library)
    loss = read_loss(found_loss, constants, problems) if found_loss else None
    schedule = read_schedule(found_schedule, numbers, problems) if found_schedule else None
    data = read_data(table.table("data"))
    run = read_run(table.table("run"))
    own_draws = read_draws(table)
    optimizers = read_optimizers(table.table("optimizers"), trained)
    decay, manifold, averages = read_decay(table), read_manifold(table), read_averages(table, trained)
    table.close()
    problems.stop_if_any()  # what follows reads all of it together
    assert loss is not None
    assert schedule is not None
    draws = {**loss.draws, **own_draws}
    checks.check_roles(table, networks, loss, schedule)
    checks.check_names(table, networks, loss, draws)
    used: set[str] = set()
    planned = []
    for stage in stages:
        symbols = checks.read_symbols(table, data, draws, stage)
        problems.stop_if_any()
        plan = make_plan(loss, schedule, stage, symbols, problems=problems, used=used)
        problems.stop_if_any()
        planned.append(Stage(stage, {key: value for key, value in symbols.items() if key in used}, plan))
    checks.check_use(table, loss, own_draws, symbols, used)
    for each in planned:
        checks.check_plan(table, each.plan, each.networks, loss, decay, run)
    checks.check_manifold(table, manifold, networks)
    problems.stop_if_any()
    return System(
        name,
        title,
        source,
        loss,
        schedule,
        draws,
        tuple(planned),
        optimizers,
        averages,
        decay,
        growth,
        data,
        run,
        manifold,
    )


def _read_networks(given: Table, growth: Growth | None, library: Library) -> list[dict[str, Architecture]]:
    """Returns: the networks by role, in each stage of growth."""
    stages: list[dict[str, Architecture]] = [{} for _ in range(growth.stages if growth else 1)]
    for role in given.data:
        if given.data[role] == "none":
            given.read.add(role)  # a variant leaves it out
            continue
        found, overrides = _use(given, role, "architectures", library)
        if found is None:
            continue
        noted, unused = given.problems.noted, UnusedKeys()
        read: list[Architecture] = []
        for stage in reversed(range(len(stages))):
            if given.problems.noted == noted:
                number = stage if growth else None
                one = read_architecture(found, library, overrides, given.problems, stage=number, unused=unused)
                read.insert(0, one)
        if given.problems.noted == noted:
            read = stages_of(read, given, role)
            unused.close(given.problems)
        count = read[-1].parameter_count
        if count > MAX_PARAMETERS:
            message = f"has {count:,} parameters, at most {MAX_PARAMETERS:,} are allowed"
            given.note(role, message, "make its sizes smaller")
        for networks, architecture in zip(stages, read, strict=False):
            networks[role] = architecture
        stages[-1][role] = read[-1]
    return stages


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
    valid = (list(section) if isinstance(section, dict) else []) if kind == "losses" else constant_names(found)
    numbers = {k: rest.number(k) for k in rest.data if k in valid}
    rest.read |= set(valid)
    rest.close()
    return found, numbers
