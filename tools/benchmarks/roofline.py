"""Which share of the machine's rate training reaches.

An iteration has W operations (`flops`) and takes t seconds. The machine does R operations a second in products of large matrices,
and the products of the plan, each at the rate of its own size, take s seconds (`rates`). Then

    share of the large rate = W / R / t          share at the plan's own sizes = s / t

What is missing to 1 is everything that is no product of matrices: what acts number by number, moving patches, optimisers, random
numbers, data, and what a framework spends on each operation. An implementation that does these products, in this library, takes s
at least. A convolution can be done by fewer multiplications (Winograd), so there s is a measure and not a bound.
Source of the idea: Williams, Waterman, Patterson 2009, "Roofline", Communications of the ACM 52(4).
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganspec.spec import System
from ganspec.tools.backends import load, make_trainer
from ganspec.tools.benchmarks import sides
from ganspec.tools.benchmarks.flops import Count
from ganspec.tools.benchmarks.machine import machine, one_line
from ganspec.tools.benchmarks.rates import Multiplier
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.tables import Table
from ganspec.tools.benchmarks.tape import Product
from ganspec.tools.benchmarks.timing import Effort
from ganspec.tools.run.feed import Feed

KINDS = {"forward": "forward", "inputs": "to inputs", "weights": "to weights", "second": "second order"}


@dataclass(frozen=True)
class Roofline:
    """What was counted and measured.

    Args:
        request: what was asked for.
        batch: number of images of a batch.
        steps: how often each step of the schedule ran in the iterations that were timed, per iteration.
        operations: floating-point operations per iteration, by network, layer and kind.
        seconds: seconds per iteration, for each round.
        large: operations per second in products of large matrices, the best of those between the rounds.
        own: seconds that the products of an iteration take at the rates of their own sizes.
        machine: what it was measured on.
    """

    request: Request
    batch: int
    steps: tuple[float, ...]
    operations: Mapping[tuple[str, str, str], float]
    seconds: tuple[float, ...]
    large: float
    own: float
    machine: Mapping[str, Any]

    @property
    def work(self) -> float:
        """Floating-point operations per iteration."""
        return sum(self.operations.values())

    def share(self) -> float:
        """Returns: the time at the large rate over the median time of an iteration."""
        return self.work / self.large / statistics.median(self.seconds)

    def own_share(self) -> float:
        """Returns: the time at the rates of the plan's own sizes over the median time of an iteration."""
        return self.own / statistics.median(self.seconds)

    def as_data(self) -> dict[str, Any]:
        """Returns: all of it, as JSON has it."""
        return {
            "system": self.request.system,
            "backend": self.request.backend,
            "device": self.request.device,
            "settings": list(self.request.settings),
            "reduced": self.request.reduced,
            "batch": self.batch,
            "steps": list(self.steps),
            "operations": [
                {"network": n, "layer": layer, "kind": kind, "operations": each}
                for (n, layer, kind), each in self.operations.items()
            ],
            "operations_per_iteration": self.work,
            "seconds": list(self.seconds),
            "large_rate": self.large,
            "own_seconds": self.own,
            "share": self.share(),
            "own_share": self.own_share(),
            "machine": dict(self.machine),
        }


def measure(request: Request, effort: Effort) -> Roofline:
    """Count a system's operations, time its iterations and the products, all in this process.

    Raises:
        UserError: the framework or the device is not there.
    """
    system = request.load()
    load(request.backend)
    sides.use_threads(request.backend, request.threads)
    trainer = make_trainer(request.backend, system, sides.SEED, **request.trainer_options())
    feed = Feed(system, sides.dataset_for(system), sides.SEED, "float32")
    wait, multiplier = sides.synchroniser(request.backend, request.device), Multiplier(request.backend, request.device)
    ran: Counter[tuple[int, ...]] = Counter()

    def iterate() -> float:
        steps: list[int] = []
        wait()
        start = time.perf_counter()
        trainer.iterate(feed, lambda result: steps.append(result.step))
        wait()
        ran[tuple(steps)] += 1
        return time.perf_counter() - start

    warm = min(iterate() for _ in range(2))
    ran.clear()
    iterations = effort.iterations or max(1, round(1 / warm))
    rates, rounds, start = [], [], time.perf_counter()
    for number in range(effort.rounds):
        if effort.seconds and number >= 2 and time.perf_counter() - start >= effort.seconds:
            break
        rounds.append(sum(iterate() for _ in range(iterations)) / iterations)
        multiplier = Multiplier(request.backend, request.device)  # measured anew, beside the iterations
        rates.append(multiplier.large())
    parts = {steps: times / ran.total() for steps, times in ran.items()}
    products = products_of(system, parts, trainer.iteration - 1)
    shapes = {(p.m, p.k, p.n, p.groups): p for p, _ in products}
    own = {key: multiplier.seconds(p) for key, p in shapes.items()}
    found: dict[tuple[str, str, str], float] = {}
    for p, times in products:
        key = p.place[0], p.place[1], p.kind
        found[key] = found.get(key, 0) + times * p.operations
    seconds = sum(times * own[p.m, p.k, p.n, p.groups] for p, times in products)
    number = range(len(system.plan.steps))
    steps = tuple(sum(part * each.count(step) for each, part in parts.items()) for step in number)
    return Roofline(request, system.run.batch, steps, found, tuple(rounds), max(rates), seconds, machine(request))


def products_of(
    system: System, iterations: Mapping[tuple[int, ...], float], iteration: int = 0
) -> list[tuple[Product, float]]:
    """Count an iteration.

    Args:
        system: system.
        iterations: parts of iterations, 1 in all, by the steps that ran in them, in order: {(0, 0, 1): 1.0} where all are alike.
        iteration: iteration whose stage of growth they have.

    Returns: each product, and how often it is done in an iteration.
    """
    found = []
    for steps, part in iterations.items():
        count = Count(system, iteration)
        found += [(product, part) for products in count.repeats(steps) for product in products]
    return found


def planned_steps(system: System) -> tuple[int, ...]:
    """Returns: the steps of an iteration in order, each repeated as often as the schedule says; gates stay open."""
    return tuple(number for number, planned in enumerate(system.plan.steps) for _ in range(planned.step.repeat))


def report(found: Roofline, *, markdown: bool = False) -> None:
    """Print the operations by layer, and the shares."""
    unit, size = unit_of(found.work)
    table = Table(
        ["network", "layer", *KINDS.values(), unit, "of all"], [-8, -16, 9, 9, 10, 12, 9, 7], markdown=markdown
    )
    for network, layer in dict.fromkeys(key[:2] for key in found.operations):
        parts = [found.operations.get((network, layer, kind), 0.0) for kind in KINDS]
        figures = [f"{part / size:.3f}" if part else "" for part in parts]
        table.row([network, layer, *figures, f"{sum(parts) / size:.3f}", f"{100 * sum(parts) / found.work:.1f} %"])
    totals = [sum(v for key, v in found.operations.items() if key[2] == kind) for kind in KINDS]
    table.row(["all", "", *(f"{total / size:.3f}" for total in totals), f"{found.work / size:.3f}", "100 %"])
    print("\n" + "\n".join(lines(found)), flush=True)


def unit_of(operations: float) -> tuple[str, float]:
    """Returns: the unit in which so many floating-point operations are no row of zeros, and how many operations it is."""
    return ("GFLOP", 1e9) if operations >= 1e8 else ("MFLOP", 1e6) if operations >= 1e5 else ("kFLOP", 1e3)


def lines(found: Roofline) -> list[str]:
    """Returns: the shares in sentences."""
    seconds = statistics.median(found.seconds)
    at_large = found.work / found.large
    unit, size = unit_of(found.work)
    busy = "  the plan's own products were faster, so other work ran beside the large one: use a quiet machine"
    return [
        f"{found.request.system}, {found.request.backend}, batch {found.batch}: an iteration is {found.work / size:.3f} {unit} "
        f"in products of matrices, and takes {1000 * seconds:.1f} ms",
        f"  the machine at a large size: {found.large / 1e9:.0f} GFLOP/s, so {1000 * at_large:.1f} ms: "
        f"{100 * found.share():.0f} % of the time of an iteration",
        f"  the same products at their own sizes: {found.work / found.own / 1e9:.0f} GFLOP/s, so {1000 * found.own:.1f} ms: "
        f"{100 * found.own_share():.0f} %",
        *([busy] if found.work / found.own > found.large else []),
        f"  {one_line(dict(found.machine))}",
    ]
