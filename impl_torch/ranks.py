"""Training by several processes in PyTorch: exchanges that can be differentiated, and the group that torchrun starts.

`spec.plan.exchange` says what is exchanged, and why the gradients are those of one process.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.operations import evaluate as evaluate_operation
from ganspec.spec.plan.exchange import Exchange, exchange_of, is_common
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.training.ranks import Group, Share

_TIMEOUT = datetime.timedelta(minutes=30)  # of waiting for the others; the first of them may draw pictures in this time


# Kinds of layer that look at a whole batch, and exchange what they take (in `normalising`).
EXCHANGED = ("batch_norm", "conditional_batch_norm", "minibatch_std", "minibatch_discrimination")


class Ranks:
    """What a trainer does with the other processes of its group.

    Args:
        group: the group.
    """

    def __init__(self, group: Group) -> None:
        self.group, self.size, self.share = group, group.size, Share(group.rank, group.size)
        self._exchanges: dict[int, tuple[StepPlan, Exchange]] = {}

    def exchange(self, planned: StepPlan) -> Exchange:
        """Returns: what is exchanged in a step."""
        if id(planned) not in self._exchanges:
            self._exchanges[id(planned)] = planned, exchange_of(planned)
        return self._exchanges[id(planned)][1]

    def fill(self, values: list[Any], planned: StepPlan, finish: Callable[[int], Any]) -> None:
        """Evaluate all nodes of a step, in an order in which as much as can be is exchanged at once.

        Args:
            values: list of the values, which this fills.
            planned: plan of the step.
            finish: function that evaluates a node, puts its value into the list, and returns it.
        """
        exchange = self.exchange(planned)
        for i in exchange.early:
            finish(i)
        parts = [finish(i) for i in exchange.totals]
        for i, total in zip(exchange.totals, self.together(planned, parts), strict=True):
            values[i] = total
        for i in exchange.late:
            finish(i)

    def evaluate(self, planned: StepPlan, i: int, a: list[Any]) -> Any:
        """Evaluate an operation of a plan, as `operations.evaluate` does, over the rows of all processes.

        Of one of the `totals` of the exchange this gives the process's own part.

        Args:
            planned: plan of the step.
            i: its node.
            a: values of the node's inputs.
        """
        node = planned.nodes[i]
        value = evaluate_operation(node, a, i in planned.tracked)
        if i in self.exchange(planned).means:
            return self.total(value) if node.op == "sum" else self.mean(value)
        if node.op == "grad":
            of, to = (planned.nodes[j] for j in node.inputs)
            value = value / self.size if is_common(of) else value
            return self.total(value) if is_common(to) else value
        return value

    def total(self, a: Array) -> Array:
        """Returns: the sum of an array over all processes."""
        return _Total.apply(a, self.group)

    def mean(self, a: Array) -> Array:
        """Returns: the mean of an array over all processes."""
        return _Total.apply(a / self.size, self.group)

    def gather(self, a: Array) -> Array:
        """Returns: the rows of all processes, in the order of ranks."""
        before, after = self.share.rank * len(a), (self.size - 1 - self.share.rank) * len(a)
        return self.total(torch.cat([a.new_zeros(before, *a.shape[1:]), a, a.new_zeros(after, *a.shape[1:])]))

    def pooled(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Pool the mean and the biased variance of each process's rows, in one exchange.

        With m_r and v_r of process r: mean = (1/R) sum of m_r, variance = (1/R) sum of v_r + (m_r - mean)^2.

        Returns: mean and variance of the rows of all processes.
        """
        of_each = self.gather(torch.stack([mean, variance])[None])
        means, variances = of_each[:, 0], of_each[:, 1]
        pooled = means.mean(dim=0)
        apart = means - pooled
        return pooled, (variances + apart * apart).mean(dim=0)

    def together(self, planned: StepPlan, parts: list[Array]) -> list[Array]:
        """Exchange the totals of a step.

        Args:
            planned: plan of the step.
            parts: this process's part of each.

        Returns: the totals; the gradient of each is taken to be equal in all processes.
        """
        if not parts:
            return []
        common = self.group.total(torch.cat([part.detach().reshape(-1) for part in parts]))
        values, start = [], 0
        for i, part in zip(self.exchange(planned).totals, parts, strict=True):
            value = common[start : start + part.numel()].reshape(part.shape)
            start += part.numel()
            factor = self.size if planned.nodes[i].op == "sum" else 1
            values.append(_Replaced.apply(part * factor, value * (factor / self.size)))
        return values

    def average(self, gradients: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
        """Returns: the mean over all processes of each network's gradient; all are exchanged in one call."""
        arrays = [a for gradient in gradients.values() for a in gradient.values()]
        if not arrays:
            return gradients
        mean = self.group.total(torch.cat([a.reshape(-1) for a in arrays])) / self.size
        parts = iter(torch.split(mean, [a.numel() for a in arrays]))
        return {
            name: {path: next(parts).view(a.shape) for path, a in gradient.items()}
            for name, gradient in gradients.items()
        }

    def first(self, value: Array) -> Array:
        """Returns: the value that the first process has."""
        return self.group.total(value if self.share.rank == 0 else torch.zeros_like(value))


class _Total(torch.autograd.Function):
    # A sum over processes; every process's cotangent comes back to each summand: the same sum.
    @staticmethod
    def forward(ctx: Any, a: Array, group: Group) -> Array:
        ctx.group = group
        return group.total(a)

    @staticmethod
    def backward(ctx: Any, gradient: Array) -> tuple[Array, None]:
        return _Total.apply(gradient, ctx.group), None


class _Replaced(torch.autograd.Function):
    # Another value; the gradient passes.
    @staticmethod
    def forward(ctx: Any, a: Array, value: Array) -> Array:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Array) -> tuple[Array, None]:
        return gradient, None


class Processes:
    """The processes that torchrun started, as a `Group`.

    Raises:
        OSError: the others cannot be reached.
    """

    def __init__(self) -> None:
        try:
            dist.init_process_group("gloo", timeout=_TIMEOUT)
        except (RuntimeError, ValueError) as error:
            raise OSError(None, str(error).splitlines()[0]) from None
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self._group: Any = None  # of arrays; the default one if None

    @property
    def first_here(self) -> bool:
        """Whether this is the first process of its machine."""
        return self._here[0] == 0

    def use(self, device: str) -> str:
        """Take a device for the arrays: of several CUDA devices each process of a machine takes its own.

        Args:
            device: "cpu", or "cuda".

        Returns: a remark for the user, "" where there is none.
        """
        count = torch.cuda.device_count() if device == "cuda" else 0
        if not count:
            return ""
        torch.cuda.set_device(self._here[0] % count)
        if self._here[1] > count:  # NCCL wants a device for each process; Gloo goes by the way of the host
            return (
                f"{self._here[1]} processes share {count} CUDA devices of this machine, which is slower than one each"
            )
        self._group = dist.new_group(backend="nccl", timeout=_TIMEOUT)
        return ""

    def total(self, array: Array) -> Array:
        """Returns: the sum of every process's array, as `spec.training.ranks.Group` says."""
        whole = array.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole, group=self._group)
        return whole

    def exchange(self, text: str) -> list[str]:
        """Returns: the text that each process gave, as `spec.training.ranks.Group` says."""
        own = torch.tensor([*text.encode()], dtype=torch.uint8)
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = len(own)
        dist.all_reduce(counts)
        longest = int(counts.max())
        if not longest:
            return [""] * self.size
        padded = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        dist.all_gather(padded, torch.nn.functional.pad(own, (0, longest - len(own))))
        return [bytes(p[:n].tolist()).decode() for p, n in zip(padded, counts.tolist(), strict=True)]

    def is_lost(self, error: BaseException) -> bool:
        """Returns: whether an error says that another process cannot be reached any more."""
        text = str(error).lower()
        return isinstance(error, RuntimeError) and any(word in text for word in ("gloo", "nccl", "connection", "peer"))

    def leave(self, code: int = 0) -> None:
        """Leave the group.

        Args:
            code: 0 where all leave; otherwise the exit code of a process that fails alone, which ends the others, too.
        """
        if not code:
            dist.destroy_process_group()
