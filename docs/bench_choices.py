"""Time what ganspec does against what it could do instead: python docs/bench_choices.py CHOICE SYSTEM [SYSTEM ...]

CHOICE is one of

    sharing      what is provably the same is computed once                      against  each use by itself
    passes       real and fake images in one pass, of any size                   against  a pass each
    vectors      vectors that would be joined are multiplied one by one          against  joined
    products     convolutions of few pixels as products of matrices              against  PyTorch's own
    updates      an update as one operation                                      against  one after the other, piece by piece
    gradients    large gradients go into an update as they lie                   against  all copied into one vector
    penalties    our rules for gradients that are differentiated again           against  PyTorch's own
    memory       freed memory stays with the process                             against  it goes back to the system
    draws        random numbers are drawn on the host                            against  on the device

Both sides train the same system from the same state, in one process, and take turns: a round times some iterations of each, so
that whatever else the machine does falls on both. (Of `memory`, each round of each side has a process of its own.) The table has
the medians of milliseconds per iteration, and other / ours with its quartiles, which is above 1 where our choice is faster.
Where a system has nothing to choose, such as no penalty, both sides are equal, and the ratio shows what chance does.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import Any
from unittest import mock

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan import passes
from ganspec.spec.text.errors import SpecError, did_you_mean, expected_one_of
from ganspec.tools.backends import NAMES, load
from ganspec.tools.benchmarks import sides
from ganspec.tools.benchmarks.fresh import in_fresh_process
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.tables import LEAST_QUARTILES, Table, milliseconds
from ganspec.tools.benchmarks.timing import quartiles
from ganspec.tools.errors import FAILED, UserError
from ganspec.tools.programs.options import device, positive
from ganspec.tools.run.memory import keep_freed_memory

Rounds = list[list[float]]
WARM_UP = 3  # iterations, after which the same memory is used again and again
Iterate = Callable[[], Any]
Sides = tuple[Iterate, Iterate]  # one iteration of our choice, and of the other


def trained(request: Request) -> Iterate:
    """Returns: what does one iteration."""
    system = request.load()
    return sides.ours(request, system, sides.dataset_for(system))


def sharing(request: Request) -> Sides:
    """What is computed once, and each use by itself."""
    return trained(request), trained(replace(request, sharing=False))


def one_pass(request: Request) -> Sides:
    """In one pass all evaluations that may share one, however large they are; and none."""

    def where(pays: bool) -> Iterate:
        with mock.patch.object(passes, "pays", return_value=pays):
            return trained(request)

    return where(True), where(False)


def _without(request: Request, where: Any, name: str, value: Any) -> Sides:
    """Ours, and training with another value of a name in a module or class."""
    ours, other = trained(request), trained(request)

    def without() -> Any:
        with mock.patch.object(where, name, value):
            return other()

    return ours, without


def vectors(request: Request) -> Sides:
    """Products with each vector, where that pays, and with the joined one everywhere."""
    return _without(request, Architecture, "unjoined", lambda self, rows: frozenset())


def penalties(request: Request) -> Sides:
    """Our rules of `impl_torch.double_backward`, and PyTorch's."""
    evaluation = import_module("ganspec.impl_torch.evaluation")
    mode = evaluation.Mode
    return _without(request, evaluation, "Mode", lambda *given, **named: replace(mode(*given, **named), twice=False))


def products(request: Request) -> Sides:
    """Products of `impl_torch.patches` where they pay, and PyTorch's convolutions everywhere."""
    return _without(request, import_module("ganspec.impl_torch.patches"), "pay", lambda w, rows: False)


def updates(request: Request) -> Sides:
    """Updates of `impl_torch.optimizers` as one operation, and as many in pieces."""
    return _without(request, import_module("ganspec.impl_torch.optimizers"), "FUSED", False)


def gradients(request: Request) -> Sides:
    """Gradients of large arrays by themselves in updates, and all in one vector."""
    return _without(request, import_module(f"ganspec.impl_{request.backend}.trained"), "OWN", sys.maxsize)


def draws(request: Request) -> Sides:
    """Random numbers of the host, and of the device."""
    return trained(replace(request, draws="host")), trained(replace(request, draws="device"))


CHOICES = {
    "sharing": sharing,
    "passes": one_pass,
    "vectors": vectors,
    "products": products,
    "updates": updates,
    "gradients": gradients,
    "penalties": penalties,
    "draws": draws,
}
OF_TORCH = {
    "products": "PyTorch's backend alone chooses",
    "updates": "PyTorch's backend alone chooses",
    "penalties": "these rules are PyTorch's alone",
}
MEMORY = "memory"


def in_turns(make: Callable[[Request], Sides], request: Request, rounds: int, iterations: int) -> Rounds:
    """Returns: for each round, seconds per iteration of our choice and of the other."""
    load(request.backend)
    keep_freed_memory()
    both, synchronise = make(request), sides.synchroniser(request.backend, request.device)
    for side in both:
        sides.seconds_per_iteration(side, 1, synchronise)
    return [[sides.seconds_per_iteration(side, iterations, synchronise) for side in both] for _ in range(rounds)]


def with_memory(request: Request, kept: bool, iterations: int) -> tuple[float, float]:
    """Returns: seconds and page faults per iteration, in a process that keeps freed memory or gives it back."""
    load(request.backend)
    if kept and not keep_freed_memory():
        raise UserError(
            f"{MEMORY}: only the GNU C library keeps it, where no variable such as MALLOC_TRIM_THRESHOLD_ is set"
        )
    iterate, synchronise = trained(request), sides.synchroniser(request.backend, request.device)
    for _ in range(WARM_UP):
        iterate()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = sides.seconds_per_iteration(iterate, iterations, synchronise)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / iterations


def measure(choice: str, request: Request, rounds: int, iterations: int) -> tuple[Rounds, str]:
    """Returns: for each round, seconds per iteration of our choice and of the other; and what else is to be said."""
    if choice != MEMORY:
        return in_turns(CHOICES[choice], request, rounds, iterations), ""
    found = [
        [in_fresh_process(with_memory, request, kept, iterations, what=MEMORY) for kept in (True, False)]
        for _ in range(rounds)
    ]
    kept, given_back = (statistics.median(each[side][1] for each in found) for side in (0, 1))
    return [[seconds for seconds, _ in each] for each in found], f"page faults {kept:,.0f}, {given_back:,.0f}"


def arguments_of(given: list[str] | None) -> argparse.Namespace:
    """Returns: the checked arguments. Raises: UserError: one of them cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted([*CHOICES, MEMORY])
    parser.add_argument("choice", metavar="CHOICE", help=f"of {', '.join(known)}")
    parser.add_argument("systems", metavar="SYSTEM", nargs="+", help="packaged systems, or TOML files")
    parser.add_argument("--backend", choices=NAMES, nargs="+", help="backends (default: all that it is about)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--batch", metavar="N", type=positive, nargs="+", help="batch sizes (default: the system's)")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the systems; may be repeated"
    )
    parser.add_argument("--rounds", metavar="N", type=positive, default=5, help="timed rounds (default: 5)")
    parser.add_argument(
        "--iterations", metavar="N", type=positive, default=1, help="of each side in a round (default: 1)"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    found = parser.parse_args(given)
    if found.choice not in known:
        hint = did_you_mean(found.choice, known)
        message = f"no choice '{found.choice}': {expected_one_of(known)}"
        raise UserError(f"{message}; {hint}" if hint else message)
    if found.choice in OF_TORCH:
        if found.backend and found.backend != ["torch"]:
            raise UserError(f"{found.choice}: {OF_TORCH[found.choice]}; leave --backend out")
        found.backend = ["torch"]
    found.backend = found.backend or list(NAMES)
    return found


def main(given: list[str] | None = None) -> None:
    """Print the table. Raises: UserError, SpecError: an argument or a system is wrong."""
    arguments = arguments_of(given)
    batches = [(f"run.batch={n}",) for n in arguments.batch] if arguments.batch else [()]
    requests = [
        Request(system, backend, arguments.device, settings=(*arguments.set, *settings))
        for system, settings, backend in product(arguments.systems, batches, arguments.backend)
    ]
    systems = [request.load() for request in requests]  # says what is wrong before the first minute
    columns = ["system", "backend", "batch", "ours", "other", "other/ours", "quartiles"]
    table = Table(columns, [-20, -8, 5, 9, 9, 10, -11], markdown=arguments.markdown)
    for request, system in zip(requests, systems, strict=True):
        rounds, remark = measure(arguments.choice, request, arguments.rounds, arguments.iterations)
        ours, other = ([each[side] for each in rounds] for side in (0, 1))
        low, middle, high = quartiles([theirs / own for own, theirs in rounds])
        spread = f"{low:.2f}..{high:.2f}" if len(rounds) >= LEAST_QUARTILES else ""
        cells = [request.system, request.backend, str(system.run.batch), milliseconds(ours), milliseconds(other)]
        table.row([*cells, f"{middle:.2f}x", " ".join(filter(None, (spread, remark)))])


if __name__ == "__main__":
    try:
        main()
    except (SpecError, UserError) as error:
        print(error, file=sys.stderr)
        sys.exit(FAILED)
