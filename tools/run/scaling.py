"""What training by many processes would take: counted exchanges and operations, and a model of their time.

    seconds of an iteration on N devices = compute + exchange
    compute  = max(FLOPs of a device's rows / FLOP rate, operations x launch time)
    exchange = sum over exchanges of  2 log2(N) latency + 2 (N - 1) / N bytes / bandwidth

Exchanges, bytes, operations and FLOPs are counted in an iteration of the system itself, in PyTorch, which a group of imagined
processes takes part in. Rates are assumptions, and arguments. Bytes go round a ring (Patarasuk and Yuan 2009, "Bandwidth
optimal all-reduce algorithms for clusters of workstations"), latency is that of a tree. Nothing is taken to overlap: the
gradient of a step is exchanged when all of it is there.

`python -m ganspec.tools.run.scaling` prints the table of docs/scale.md.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganspec.spec import load_system
from ganspec.spec.training.ranks import Share
from ganspec.spec.training.state import initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

FAMILIES = (
    "gan_mlp_mnist", "wgan_gp_mlp_mnist", "began_mnist", "dcgan_cifar10", "minibatch_cifar10", "cramer_cifar10",
    "wgan_gp_cifar10", "wgan_gp_cifar10/resnet", "progressive_cifar10",
)  # fmt: skip
DEVICES = (1, 8, 32, 128, 512)
_ROWS = 2  # of each imagined process, in which operations are counted


@dataclass(frozen=True)
class Machine:
    """Rates of a machine with many devices.

    Args:
        flops: floating-point operations per second that a device sustains.
        launch: seconds from one operation to the next where they are small.
        bandwidth: bytes per second that leave a device.
        latency: seconds that a message of no length takes.
    """

    flops: float = 20e12
    launch: float = 5e-6
    bandwidth: float = 25e9
    latency: float = 5e-6


@dataclass(frozen=True)
class Counts:
    """What one iteration of a system does, in float32.

    Args:
        batch: the system's own batch.
        flops: floating-point operations for each row of a batch, of matrix products and convolutions.
        operations: operations that are launched, whatever the number of rows.
        exchanges: number of exchanges.
        fixed: bytes of all exchanges whose length does not depend on the number of processes.
        for_each: further bytes for each process: batch norm gathers a mean and a variance of each.
        for_each_row: further bytes for each row of each process: minibatch discrimination gathers rows.
    """

    batch: int
    flops: float
    operations: int
    exchanges: int
    fixed: int
    for_each: int
    for_each_row: int

    def seconds(self, devices: int, rows: float, machine: Machine) -> tuple[float, float]:
        """Returns: the time to compute, and the time to exchange, in one iteration.

        Args:
            devices: number of devices.
            rows: rows of the batch on each of them.
            machine: rates.
        """
        compute = max(self.flops * rows / machine.flops, self.operations * machine.launch)
        if devices == 1:
            return compute, 0.0
        size = self.fixed + devices * (self.for_each + self.for_each_row * rows)
        waiting = self.exchanges * 2 * math.log2(devices) * machine.latency
        return compute, waiting + 2 * (devices - 1) / devices * size / machine.bandwidth


class _Imagined:
    """A group whose other processes have what this one has, and which counts what is exchanged."""

    rank = 0

    def __init__(self, size: int) -> None:
        self.size = size
        self.bytes: list[int] = []

    def total(self, array: Any) -> Any:
        self.bytes.append(array.numel() * array.element_size())
        return array * self.size

    def exchange(self, text: str) -> list[str]:
        return [text] * self.size


def count(name: str) -> Counts:
    """Count what an iteration of a system does; of a growing one in its last stage.

    Args:
        name: name of the system.

    Raises:
        UserError: PyTorch is not there.
    """
    backends.load("torch")
    counter = importlib.import_module("torch.utils.flop_counter").FlopCounterMode(display=False)
    with counter, _Launched() as launched:
        two = _iterate(name, 2, _ROWS)
    # bytes(processes, rows) = fixed + processes (for_each + for_each_row rows)
    four, longer = _iterate(name, 4, _ROWS), _iterate(name, 2, 2 * _ROWS)
    of_row = (sum(longer) - sum(two)) // (2 * _ROWS)
    of_process = (sum(four) - sum(two)) // 2 - of_row * _ROWS
    return Counts(
        load_system(name).run.batch,
        counter.get_total_flops() / _ROWS,
        launched.count,
        len(two),
        sum(two) - 2 * (of_process + of_row * _ROWS),
        of_process,
        of_row,
    )


def _iterate(name: str, size: int, rows: int) -> list[int]:
    """Train one iteration as the first of some imagined processes, of so many rows each. Returns: the bytes of each exchange."""
    system, group = load_system(name, [f"run.batch={size * rows}"]), _Imagined(size)
    state = initial_state(system, 0)
    if system.growth:
        state.iteration = -(-(system.growth.stages - 1) * system.growth.images // system.run.batch)
    trainer = backends.make_trainer("torch", system, 0, state, dtype="float32", ranks=group)
    trainer.iterate(Share(0, size).batches(random_feed(system, 0)))
    return group.bytes


class _Launched:
    """Counts the operations that PyTorch does while it is in force, but for views."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> _Launched:
        counted = self
        mode = importlib.import_module("torch.utils._python_dispatch").TorchDispatchMode

        class Counting(mode):  # type: ignore[misc,valid-type]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                counted.count += not func.is_view
                return func(*args, **(kwargs or {}))

        self._mode = Counting()
        self._mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)


def table(names: Sequence[str], machine: Machine) -> list[str]:
    """Returns: lines of Markdown: for each system what is counted, and the efficiency of many devices.

    Efficiency is what a device does of what it would do alone: time to compute, over the time of an iteration. Of the two in a
    cell, the first is with the system's own batch on each device, the second with one batch split among all, both in percent;
    there is no second where the batch has fewer rows than there are devices.
    """
    header = [
        "system",
        "batch",
        "GFLOP per image",
        "operations",
        "exchanges",
        "MB at N = 8",
        *(f"N = {n}" for n in DEVICES[1:]),
    ]
    lines = [" | ".join(["", *header, ""]).strip(), "|---" * len(header) + "|"]
    for name in names:
        c = count(name)
        cells = [
            f"`{name}`",
            f"{c.batch}",
            f"{c.flops / 1e9:.3g}",
            f"{c.operations:,}",
            f"{c.exchanges}",
            f"{(c.fixed + 8 * (c.for_each + c.for_each_row * c.batch)) / 1e6:.3g}",
        ]
        alone = sum(c.seconds(1, c.batch, machine))
        for n in DEVICES[1:]:
            own = alone / sum(c.seconds(n, c.batch, machine))
            split = alone / (n * sum(c.seconds(n, c.batch / n, machine))) if n <= c.batch else None
            cells.append(f"{own:.0%}, {split:.0%}" if split is not None else f"{own:.0%}")
        lines.append(" | ".join(["", *cells, ""]).strip())
    return lines


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1:] or FAMILIES, Machine())))
