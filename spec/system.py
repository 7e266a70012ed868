"""Systems: one runnable GAN, every number settled.

    title, source
    like = "dcgan_cifar10"                optional: a base, or a variant of one; its keys hold where this file has none
    [constants]           optional: numbers by name, such as size = 32, which all arithmetic in this file may use
    loss = "wgan_gp"                      or { use = "wgan_gp", penalty_weight = 10 }
    schedule = "critic_repeats"           likewise
    [networks]      G = "mlp_generator"   likewise, { use = "mlp_generator", size = "size" }; "none" leaves out one of a base
    [draws]         z = { sample = "uniform(-1, 1)", shape = "G.z" }
    [carried]             optional: k = 0.4, where carried numbers start instead of where the loss says
    [optimizers]    shared keys, and G.learning_rate = ... for what differs
    [learning_rate_decay] optional: watch, factor, minimum; see `settings.Decay`
    [averages]            optional: G = 0.999, moving averages of networks, from which samples are drawn
    [growth]              optional: stages, images, start = { stage = 2, fade = 0.5 }; see `settings.Growth`
    [manifold]            optional: side, low, high; a picture for a latent of two numbers
    [data]          shape, range, fit, and optionally labels, skip_grey, embedded, dataset, leftover, first_pass
    [run]           batch, epochs or iterations, samples_every, samples_from, samples_later, checkpoint_every, grid,
                    moving_average
    [variants.NAME] title, source, and the keys that differ, those of [reduced] among them
    [reduced]       the keys that differ when backends are compared quickly

`NAME/VARIANT` names a variant. `load_system` returns a `System`, or raises one `SpecError` with everything that is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ganspec.spec import checks
from ganspec.spec.merging import blame_settings, whole_system
from ganspec.spec.network.architecture import Architecture, stages_of
from ganspec.spec.network.growth import UnusedKeys
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.parts.learning_rates import LearningRateSchedule
from ganspec.spec.parts.loss import Draw, Loss, read_draws, read_loss, with_own_starts
from ganspec.spec.parts.optimizers import Optimizer, read_optimizers
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
    read_run,
)
from ganspec.spec.plan.apart import without_sharing
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.plan.plan import Plan, make_plan
from ganspec.spec.plan.sharing import share
from ganspec.spec.text.errors import Problem, Problems, SpecError, did_you_mean, expected_one_of, printable
from ganspec.spec.text.files import Library, SpecFile
from ganspec.spec.text.tables import Table, kind_of

MAX_PARAMETERS = 10**9  # of one network; the largest in the papers here has under 10**8


@dataclass(frozen=True)
class Stage:
    """What a stage of growth computes; a system that does not grow has one stage.

    Args:
        networks: networks as they are in this stage.
        symbols: symbols that formulas draw, data and noise, with their shapes.
        plan: plan of one iteration.
    """

    networks: Mapping[str, Architecture]
    symbols: Mapping[str, Symbol]
    plan: Plan


@dataclass(frozen=True)
class System:
    """One runnable GAN.

    Args:
        stages: what each stage of growth computes, in order.
        averages: decay of each network's moving average, where it has one.
        constants: numbers of the system file by name, from which its other numbers were computed.
        learning_rate_schedules: how the learning rate of a network changes, for each that has a schedule.
        optimizer_sources: for each trained network the file and line of its optimiser, "systems/began_mnist.toml:17".
    """

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
    constants: Mapping[str, float]
    learning_rate_schedules: Mapping[str, LearningRateSchedule] = field(default_factory=dict)
    optimizer_sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def networks(self) -> Mapping[str, Architecture]:
        """The networks as they are in the last stage; they hold the parameters of every stage."""
        return self.stages[-1].networks

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """The symbols as they are in the last stage."""
        return self.stages[-1].symbols

    @property
    def plan(self) -> Plan:
        """The plan of one iteration in the last stage."""
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
        """Returns: the stage of an iteration, and the part of that stage that is over, from 0 to 1, for layers that fade."""
        return self.growth.at(iteration, self.run.batch) if self.growth else (0, 0.0)

    def rate_factor(self, network: str, iteration: int) -> float:
        """Returns: what a network's learning rate is multiplied by in an iteration, counted from 0; 1 without a schedule."""
        schedule = self.learning_rate_schedules.get(network)
        return schedule.factor(iteration) if schedule else 1.0

    def without_sharing(self) -> System:
        """Returns: the same system, whose plans compute nothing once for several uses: the same numbers in more time."""
        stages = (replace(stage, plan=without_sharing(stage.plan, stage.networks)) for stage in self.stages)
        return replace(self, stages=tuple(stages))


def load_system(name: str, settings: Iterable[str] = (), *, reduced: bool = False) -> System:
    """Read a system, its variant and everything it mentions, and check all of it.

    Args:
        name: packaged system, or path of a TOML file, or either followed by "/VARIANT".
        settings: texts "KEY=VALUE": a dotted key of the system file, and a TOML value or a bare text; they are applied last.
        reduced: whether to apply the system's `[reduced]` sizes, before `settings`.

    Returns: the system.

    Raises:
        SpecError: anything is wrong; all problems at once.
    """
    settings = list(settings)
    file, variant, library = whole_system(name, settings, reduced=reduced)
    problems = Problems()
    try:
        full_name = printable(f"{file.name}/{variant}" if variant else file.name)
        system = _read(full_name, Table(file.data, file.file, "", problems), library, problems)
        return replace(system, optimizer_sources={n: file.source_of_optimizer(n) for n in system.optimizers})
    except SpecError as error:
        raise SpecError(blame_settings(error.problems, file.file, settings)) from None


def _read(name: str, table: Table, library: Library, problems: Problems) -> System:
    # Read each part on its own, and note all problems.
    title, source = table.line("title"), table.line("source")
    table.scope = table.numbers("constants")
    growth = read_growth(table)
    roles, noted = table.table("networks"), problems.noted
    stages = _read_networks(roles, growth, library)
    networks = stages[-1]
    trained = [role for role, network in networks.items() if network.parameter_count]
    if problems.noted > noted:  # a network that could not be read may well be one that is trained
        trained += [role for role, use in roles.data.items() if use != "none" and role not in trained]
    loss_file, constants = _use(table, "loss", "losses", library)
    schedule_file, numbers = _use(table, "schedule", "schedules", library)
    loss = read_loss(loss_file, constants, problems) if loss_file else None
    schedule = read_schedule(schedule_file, numbers, problems) if schedule_file else None
    table.read.add("carried")
    loss = with_own_starts(loss, table) if loss else None
    data = read_data(table.table("data"))
    run = read_run(table.table("run"))
    own_draws = read_draws(table)
    optimizers, schedules = read_optimizers(table.table("optimizers"), trained)
    decay, manifold, averages = read_decay(table), read_manifold(table), read_averages(table, trained)
    table.close()
    if not problems.found:  # after other problems "unused" would mislead
        table.close_numbers("constants", table.scope)
    problems.stop_if_any()
    # Check that the parts fit together; plan each stage.
    assert loss is not None
    assert schedule is not None
    draws = {**loss.draws, **own_draws}
    checks.check_roles(table, networks, loss, schedule)
    checks.check_names(table, networks, loss, draws)
    checks.check_reuse(table, schedule, optimizers)
    used: set[str] = set()
    planned = []
    for number, stage in enumerate(stages):
        with _naming_stage(problems, number if growth else None):
            checks.check_outputs(table, loss, data, stage)
            symbols = checks.read_symbols(table, data, draws, stage)
        problems.stop_if_any()
        with _naming_stage(problems, number if growth else None):
            plan = make_plan(loss, schedule, stage, symbols, problems=problems, used=used)
        problems.stop_if_any()
        plan = share(plan, schedule, stage, run.batch)
        planned.append(Stage(stage, {key: value for key, value in symbols.items() if key in used}, plan))
    # Check what only plans can tell.
    checks.check_use(table, loss, own_draws, symbols, used)
    for each in planned:
        checks.check_plan(table, each.plan, each.networks, loss, decay, run)
    checks.check_manifold(table, manifold, networks)
    checks.check_telling(table, loss, planned[-1].plan.columns())
    problems.stop_if_any()
    return System(
        name, title, source, loss, schedule, draws, tuple(planned), optimizers, averages, decay, growth, data, run, manifold,
        table.scope.names, schedules,
    )  # fmt: skip


@contextlib.contextmanager
def _naming_stage(problems: Problems, stage: int | None) -> Iterator[None]:
    """Add the stage of growth to the messages about shapes that arise inside; other messages hold in every stage."""
    before = len(problems.found)
    yield
    for i, problem in enumerate(problems.found[before:], before):
        if stage is not None and ("(N" in problem.message or "per sample" in problem.message):
            problems.found[i] = replace(problem, message=f"{problem.message}, in stage {stage} of growth")


def _read_networks(table: Table, growth: Growth | None, library: Library) -> list[dict[str, Architecture]]:
    """Returns: the networks by role, in each stage of growth."""
    stages: list[dict[str, Architecture]] = [{} for _ in range(growth.stages if growth else 1)]
    for role in table.data:
        if table.data[role] == "none":
            table.read.add(role)  # leaves out a network of a base
            continue
        file, overrides = _use(table, role, "architectures", library)
        if file is None:
            continue
        # Read the last stage first: it has most of the layers, and so most of the problems. Stop at the first wrong stage.
        noted, unused = table.problems.noted, UnusedKeys()
        in_stages: list[Architecture] = []
        for stage in reversed(range(len(stages))):
            if table.problems.noted == noted:
                number = stage if growth else None
                one = read_architecture(file, library, overrides, table.problems, stage=number, unused=unused)
                in_stages.insert(0, one)
        if table.problems.noted == noted:
            in_stages = stages_of(in_stages, table, role)
            unused.close(table.problems)
        count = in_stages[-1].parameter_count
        if count > MAX_PARAMETERS:
            message = f"has {count:,} parameters, at most {MAX_PARAMETERS:,} are allowed"
            table.note(role, message, "make its sizes smaller")
        for networks, architecture in zip(stages, in_stages, strict=False):
            networks[role] = architecture
        stages[-1][role] = in_stages[-1]
    return stages


def _use(table: Table, key: str, kind: str, library: Library) -> tuple[SpecFile | None, dict[str, float]]:
    """Returns: the file that a key mentions, and the numbers that the system puts in place of the file's."""
    if isinstance(table.data.get(key), str) or key not in table:
        name, own = table.text(key), None
    elif isinstance(table.data[key], dict):
        own = table.table(key)
        name = own.text("use")
    else:
        table.note(key, f"expected a name, or a table with use = and numbers, found {kind_of(table.take(key))}")
        return None, {}
    if not name:
        return None, {}
    try:
        file = library.find(kind, name, table.file, table.path(key) if own is None else own.path("use"))
    except SpecError as error:
        table.problems.extend(error.problems)
        return None, {}
    if own is None:
        return file, {}
    valid = file.constant_names
    numbers = {k: own.number(k) for k in own.data if k in valid}
    own.read |= set(valid)
    own.close()
    return file, numbers
