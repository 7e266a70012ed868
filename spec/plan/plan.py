"""The plan: one iteration as lists of evaluations that any backend can execute.

For each step the plan says which nodes are evaluated in which order, which are evaluated with a graph for gradients
(and so which are not: a generator in the critic's step, a report), which become leaves because a formula
differentiates with respect to them, and what is minimised, reported and carried along. It is pure data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.loss import Loss
from ganspec.spec.parts.schedule import Schedule, Step
from ganspec.spec.plan.builder import Builder, Symbol
from ganspec.spec.plan.graph import NON_DIFFERENTIABLE, Graph, Node, format_axes
from ganspec.spec.plan.passes import Order, one_by_one
from ganspec.spec.plan.reuse import Kept
from ganspec.spec.plan.sharing import Lasting
from ganspec.spec.text.errors import Problems


@dataclass(frozen=True)
class StepPlan:
    """One step of an iteration.

    Args:
        step: the step of the schedule: which networks it updates, how often, in which modes.
        nodes: operations, each after those that it reads.
        losses: node that each updated network minimises, by network.
        reports: node of each recorded number, the losses ("loss_D") and the carried numbers' next values among them.
        carried: node of each carried number's next value.
        tracked: nodes that are evaluated with a graph for gradients.
        leaves: nodes with respect to which a gradient is taken and beyond which none flows.
        occurrences: for each network node, which evaluation of that network in this step it is, from 0.
        keeps: nodes whose values later steps of the iteration reuse, by the names that "kept" nodes have for them.
        trained_later: those of them whose graph a later step's gradient needs; this step itself sees them as constants.
        named: node of each definition that the step uses, by its name ("x_hat") or its call in a formula ("L(G(z))").
        sources: for each node the file and line of the formula in which it is first written, "losses/wgan_gp.toml:21".
        lasting: nodes whose values are computed once for several repeats and steps, with the names of these values.
        order: nodes in the order in which they are evaluated; several of one entry in one pass of their network.
        echoes: evaluations that were made before in this step; what they move of running statistics is thrown away.
    """

    step: Step
    nodes: tuple[Node, ...]
    losses: Mapping[str, int]
    reports: Mapping[str, int]
    carried: Mapping[str, int]
    tracked: frozenset[int]
    leaves: frozenset[int]
    occurrences: Mapping[int, int]
    keeps: Mapping[Kept, int]
    trained_later: frozenset[int]
    named: Mapping[str, int]
    sources: tuple[str, ...] = field(compare=False)
    lasting: Mapping[int, Lasting] = field(default_factory=dict)
    order: Order = ()
    echoes: frozenset[int] = frozenset()

    @cached_property
    def differentiated(self) -> frozenset[int]:
        """The nodes through which gradients in formulas flow."""
        return self._behind_gradients(range(len(self.nodes)))

    @cached_property
    def differentiated_twice(self) -> frozenset[int]:
        """Those of them whose gradients are differentiated again, as a gradient penalty's is; that of a report may not be."""
        return self._behind_gradients(self.tracked)

    def _behind_gradients(self, among: Iterable[int]) -> frozenset[int]:
        graph, pairs = Graph(list(self.nodes)), [self.nodes[i].inputs for i in among if self.nodes[i].op == "grad"]
        return frozenset().union(*(graph.dependants(to) & graph.sources({of}) for of, to in pairs))

    def draws(self) -> tuple[str, ...]:
        """Returns: the symbols that this step reads."""
        return tuple(node.value for node in self.nodes if node.op == "draw")


@dataclass(frozen=True)
class Plan:
    """One iteration: its steps in order, and the names of all recorded numbers."""

    steps: tuple[StepPlan, ...]

    def repeats(self, iteration: int, report: Callable[[str], float]) -> Iterator[tuple[int, int]]:
        """Count through one iteration, in order.

        Args:
            iteration: which one, from 0.
            report: gives the newest value of a report, which ends the repeats of a gated step.

        Yields: (step, repeat) of every repeat, both from 0; each must be done before the next is asked for.
        """
        for number, planned in enumerate(self.steps):
            until = planned.step.until
            for repeat in range(planned.step.repeats(iteration)):
                yield number, repeat
                if until and until.reached(report(until.report)):
                    break

    def check_place(self, step: int, repeat: int, iteration: int) -> None:
        """Raises: ValueError: the iteration has no such step, or the step no such repeat, both counted from 0."""
        if not 0 <= step < len(self.steps):
            raise ValueError(f"step is {step}, expected a number from 0 to {len(self.steps) - 1}")
        repeats = self.steps[step].step.repeats(iteration)
        if not 0 <= repeat < repeats:
            name = self.steps[step].step.name
            raise ValueError(f"repeat is {repeat}, but iteration {iteration} repeats the step {name} {repeats} times")

    def columns(self) -> tuple[str, ...]:
        """Returns: the names of the recorded numbers, in the order in which they are first computed."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.reports))


def make_plan(
    loss: Loss,
    schedule: Schedule,
    networks: Mapping[str, Architecture],
    symbols: Mapping[str, Symbol],
    *,
    problems: Problems,
    used: set[str],
) -> Plan:
    """Plan one iteration of a schedule; names that the formulas use are added to `used`."""
    builders: list[Builder] = []
    made: list[tuple[Builder, dict[str, int], dict[str, int], dict[str, int]]] = []
    computed_before: list[str] = []

    for step in schedule.steps:
        builder = Builder(loss, networks, symbols, problems, used, step, list(builders), schedule)
        builders.append(builder)
        losses = {n: builder.build_scalar(loss.losses[n]) for n in step.update if n in loss.losses}
        reports = {f"loss_{n}": node for n, node in losses.items()}
        for name, report in loss.reports.items():
            if not set(report.networks).isdisjoint(step.update):
                builder.recalled = (*computed_before, *builder.computed)
                reports[name] = builder.build_scalar(report.value)
                if (node := reports[name]) is not None:
                    builder.computed[name] = node
                else:
                    builder.failed.add(name)
        builder.recalled = tuple(loss.reports)
        carried = {n: builder.build_scalar(s.next) for n, s in loss.carried.items() if s.network in step.update}
        computed_before += builder.computed
        reports |= carried  # a carried number is recorded as the value that this step gives it
        made.append((builder, _known(losses), _known(reports), _known(carried)))
    return Plan(tuple(_finish(*each) for each in made))  # last, for a step may keep values for a later one


def _known(nodes: Mapping[str, int | None]) -> dict[str, int]:
    return {name: node for name, node in nodes.items() if node is not None}


def _finish(builder: Builder, losses: dict[str, int], reports: dict[str, int], carried: dict[str, int]) -> StepPlan:
    """Prune to what is needed, renumber, and mark what needs gradients."""
    step, graph = builder.step, builder.graph
    roots = {i for group in (losses, reports, carried, builder.keeps) for i in group.values()}
    needed = sorted(graph.ancestors(roots))
    place = {old: new for new, old in enumerate(needed)}
    nodes = tuple(replace(n, inputs=tuple(place[i] for i in n.inputs)) for n in (graph.nodes[old] for old in needed))
    losses, reports, carried = ({k: place[v] for k, v in group.items()} for group in (losses, reports, carried))
    keeps = {k: place[v] for k, v in builder.keeps.items()}
    trained_later = frozenset(place[i] for i in builder.trained_later)
    named = {k: place[v] for k, v in builder.named.items() if v in place}
    tracked, leaves = gradient_nodes(step, nodes, set(losses.values()))
    counts: dict[str, int] = {}
    occurrences = {}
    for i, node in enumerate(nodes):
        if node.op == "network":
            occurrences[i] = counts.get(node.value, 0)
            counts[node.value] = occurrences[i] + 1
    sources = tuple(builder.sources[old] for old in needed)
    return StepPlan(
        step, nodes, losses, reports, carried, tracked, leaves, occurrences, keeps, trained_later, named, sources,
        order=one_by_one(len(nodes)),
    )  # fmt: skip


def gradient_nodes(step: Step, nodes: tuple[Node, ...], losses: set[int]) -> tuple[frozenset[int], frozenset[int]]:
    """Returns: the nodes that need a graph for gradients, and those that become leaves of it."""
    trained = {i for i, node in enumerate(nodes) if _is_trained(node, step)}
    # Which values depend, differentiably, on a parameter that moves?
    trains: list[bool] = []
    for i, node in enumerate(nodes):
        through = node.op not in NON_DIFFERENTIABLE and any(trains[j] for j in node.inputs)
        trains.append(through or i in trained)
    # A graph is needed from the losses back to these parameters, and from each gradient in a formula back to its variable.
    graph = Graph(list(nodes))
    tracked = {i for i in graph.sources({i for i in losses if trains[i]}) if trains[i]}
    variables = set()
    for node in nodes:
        if node.op == "grad":
            of, to = node.inputs
            variables.add(to)
            tracked |= graph.dependants(to) & graph.sources({of})
    # A variable becomes a leaf, unless a gradient flows on from it.
    leaves: set[int] = set()
    alive: set[int] = set()  # nodes from which a gradient flows back to a parameter or to a leaf
    for i, node in enumerate(nodes):
        if i in tracked and node.op not in NON_DIFFERENTIABLE and (i in trained or not alive.isdisjoint(node.inputs)):
            alive.add(i)
        if i in variables and i not in alive:
            leaves.add(i)
            alive.add(i)
    return frozenset(tracked), frozenset(leaves)


def _is_trained(node: Node, step: Step) -> bool:
    """Returns: whether a node is an evaluation of a network that the step updates, made here or kept from an earlier step."""
    if node.op == "kept":
        return node.value.network in step.update
    return node.op == "network" and node.value in step.update


def describe_plan(plan: Plan, schedule: Schedule) -> list[str]:
    """Returns: the plan as lines for people, one evaluation each."""
    lines = [f"draws live for: data one {schedule.data}, noise one {schedule.noise}"]
    for number, planned in enumerate(plan.steps, 1):
        step = planned.step
        lines.append(f"step {number}: update {' and '.join(step.update)}{_times(step)}")
        for i, node in enumerate(planned.nodes):
            if node.op != "constant":
                what, remarks = describe_node(i, planned), _remarks(i, node, planned)
                lines.append(f"  {f'%{i}':>5} = {what:<34} {format_axes(node.shape):<18} {remarks}".rstrip())
        for network, i in planned.losses.items():
            lines.append(f"  minimise %{i} over {network}'s parameters")
        for name, i in planned.carried.items():
            lines.append(f"  {name} <- %{i}")
        lines += [f"  keep %{i} as {_kept(name)}" for name, i in planned.keeps.items()]
        lines.append(f"  report {', '.join(f'{name} = %{i}' for name, i in planned.reports.items())}")
    return lines


def _times(step: Step) -> str:
    times = f", {step.repeat} times" if step.repeat != 1 else ""
    if step.repeat_override:
        first, every = step.repeat_override.first, step.repeat_override.every
        times += f", {step.repeat_override.repeat} times in the first {first} iterations and every {every}th"
    if step.until:
        times += f", at most, until {step.until.report} is {step.until.side} {step.until.value:g}"
    return times


def describe_node(i: int, planned: StepPlan) -> str:
    """Returns: what a node computes, in the plan's own words: "subtract(%3, %5)"."""
    node = planned.nodes[i]
    inputs = [f"{planned.nodes[j].value:g}" if planned.nodes[j].op == "constant" else f"%{j}" for j in node.inputs]
    match node.op:
        case "draw" | "carried" | "recall":
            return f"{node.op} {node.value}"
        case "kept":
            return f"kept {_kept(node.value)}"
        case "network":
            return f"{node.value}({', '.join(inputs)})"
        case "output":
            return f"{inputs[0]}.{node.value}"
        case "power" | "expand" | "norm":
            return f"{node.op}({inputs[0]}, {node.value:g})"
        case "cross_entropy" | "correct" if node.value is not None:
            return f"{node.op}({inputs[0]}, {node.value})"
        case "clip":
            return f"clip({inputs[0]}, {node.value[0]:g}, {node.value[1]:g})"
    return f"{node.op}({', '.join(inputs)})"


def _sharing(i: int, planned: StepPlan) -> list[str]:
    """Returns: what is said of a node that is computed once for several uses."""
    graph, said = Graph(list(planned.nodes)), []
    if planned.nodes[i].op == "network":
        users = [name for name, root in planned.reports.items() if i in graph.ancestors({root})]
        said += [f"once for {' and '.join(users)}"] * (len(users) > 1)
    said += [f"in one pass with %{j}" for nodes in planned.order if i in nodes for j in nodes if j != i]
    if i in planned.lasting:
        said.append(f"once an iteration, as %{planned.lasting[i].node} of step {planned.lasting[i].step}")
    return [*said, "again"] if i in planned.echoes else said


def _kept(name: Kept) -> str:
    return f"{name.network} of step {name.step}"


def _remarks(i: int, node: Node, planned: StepPlan) -> str:
    remarks = []
    if node.op == "network":
        remarks.append("training" if node.training else "inference")
        if node.value not in planned.step.update:
            remarks.append("constant")
        if i in planned.trained_later:
            remarks.append("its graph is kept for a later step")
    if i in planned.leaves:
        remarks.append("leaf")
    if node.op == "network" and i not in planned.tracked | planned.trained_later:
        remarks.append("no graph")
    remarks += _sharing(i, planned)
    remarks += sorted(name for name, named in planned.named.items() if named == i)
    return ", ".join(remarks)
