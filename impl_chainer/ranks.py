"""Training by several processes in Chainer: exchanges that can be differentiated, and the group that mpiexec starts.

`spec.plan.exchange` says what is exchanged, and why the gradients are those of one process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import numpy as np

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.operations import evaluate as evaluate_operation
from ganspec.spec.plan.exchange import Exchange, exchange_of, is_common
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.training.ranks import Group, Share

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
        return _Total(self.group).apply((a,))[0]

    def mean(self, a: Array) -> Array:
        """Returns: the mean of an array over all processes."""
        return _Total(self.group).apply((a / self.size,))[0]

    def gather(self, a: Array) -> Array:
        """Returns: the rows of all processes, in the order of ranks."""
        zeros = [a.xp.zeros((n * len(a), *a.shape[1:]), a.dtype) for n in (self.share.rank, self.size - 1)]
        return self.total(F.concat([zeros[0], a, zeros[1][len(zeros[0]) :]], axis=0))

    def pooled(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Pool the mean and the biased variance of each process's rows, in one exchange.

        With m_r and v_r of process r: mean = (1/R) sum of m_r, variance = (1/R) sum of v_r + (m_r - mean)^2.

        Returns: mean and variance of the rows of all processes.
        """
        of_each = self.gather(F.expand_dims(F.stack([mean, variance]), axis=0))
        means, variances = of_each[:, 0], of_each[:, 1]
        pooled = F.mean(means, axis=0)
        apart = means - F.broadcast_to(pooled, means.shape)
        return pooled, F.mean(variances + apart * apart, axis=0)

    def together(self, planned: StepPlan, parts: list[Array]) -> list[Array]:
        """Exchange the totals of a step.

        Args:
            planned: plan of the step.
            parts: this process's part of each.

        Returns: the totals; the gradient of each is taken to be equal in all processes.
        """
        if not parts:
            return []
        common = self.group.total(parts[0].xp.concatenate([part.array.reshape(-1) for part in parts]))
        values, start = [], 0
        for i, part in zip(self.exchange(planned).totals, parts, strict=True):
            value = common[start : start + part.size].reshape(part.shape)
            start += part.size
            factor = self.size if planned.nodes[i].op == "sum" else 1
            values.append(_Replaced(value * (factor / self.size)).apply((part * factor,))[0])
        return values

    def average(self, gradients: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
        """Returns: the mean over all processes of each network's gradient; all are exchanged in one call."""
        arrays = [a.array for gradient in gradients.values() for a in gradient.values()]
        if not arrays:
            return gradients
        xp = chainer.backend.get_array_module(*arrays)
        mean = self.group.total(xp.concatenate([a.reshape(-1) for a in arrays])) / self.size
        parts = iter(xp.split(mean, np.cumsum([a.size for a in arrays])[:-1].tolist()))
        return {
            name: {path: Array(next(parts).reshape(a.shape), requires_grad=False) for path, a in gradient.items()}
            for name, gradient in gradients.items()
        }

    def first(self, value: Array) -> Array:
        """Returns: the value that the first process has."""
        own = value.array if self.share.rank == 0 else value.xp.zeros_like(value.array)
        return Array(self.group.total(own), requires_grad=False)


class _Total(chainer.FunctionNode):
    # A sum over processes; every process's cotangent comes back to each summand: the same sum.
    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._group.total(inputs[0]),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        return _Total(self._group).apply((gradients[0],))


class _Replaced(chainer.FunctionNode):
    # Another value; the gradient passes.
    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (chainer.backend.get_array_module(self._value).asarray(self._value, dtype=inputs[0].dtype),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        return (gradients[0],)


class Processes:
    """The processes that mpiexec started, as a `Group`: a communicator of ChainerMN.

    Raises:
        OSError: the others cannot be reached.
        ImportError: mpi4py is not installed, or finds no MPI.
    """

    def __init__(self) -> None:
        try:
            self._mpi = importlib.import_module("mpi4py.MPI").COMM_WORLD
        except RuntimeError as error:
            raise ImportError(str(error).splitlines()[0], name="mpi4py") from None
        self._communicator = importlib.import_module("chainermn").create_communicator("naive", self._mpi)
        self.rank, self.size = self._communicator.rank, self._communicator.size

    @property
    def first_here(self) -> bool:
        """Whether this is the first process of its machine."""
        return self._communicator.intra_rank == 0

    def use(self, device: str) -> str:
        """Take a device for the arrays: of several CUDA devices each process of a machine takes its own.

        Args:
            device: "cpu", or "cuda".

        Returns: a remark for the user, "" where there is none.
        """
        if device != "cuda" or not chainer.backends.cuda.available:
            return ""
        cuda, here = chainer.backends.cuda.cupy.cuda, self._communicator.intra_size
        count = cuda.runtime.getDeviceCount()
        cuda.Device(self._communicator.intra_rank % count).use()
        shared = f"{here} processes share {count} CUDA devices of this machine, which is slower than one each"
        return shared if here > count else ""

    def total(self, array: Any) -> Any:
        """Returns: the sum of every process's array, as `spec.training.ranks.Group` says."""
        # By the way of the host: few installations of MPI reach into a GPU.
        host = chainer.backends.cuda.to_cpu(array)
        whole = self._communicator.allreduce(host.reshape(-1)).reshape(host.shape)
        return chainer.backend.get_array_module(array).asarray(whole)

    def exchange(self, text: str) -> list[str]:
        """Returns: the text that each process gave, as `spec.training.ranks.Group` says."""
        own = np.frombuffer(text.encode(), dtype=np.uint8)
        counts = np.zeros(self.size, dtype=np.int64)
        self._mpi.Allgather(np.array([len(own)], dtype=np.int64), counts)
        longest = int(counts.max())
        if not longest:
            return [""] * self.size
        padded = np.zeros((self.size, longest), dtype=np.uint8)
        self._mpi.Allgather(np.pad(own, (0, longest - len(own))), padded)
        return [row[:n].tobytes().decode() for row, n in zip(padded, counts, strict=True)]

    def is_lost(self, error: BaseException) -> bool:
        """Returns: whether an error says that another process cannot be reached any more."""
        return type(error).__module__.startswith("mpi4py")

    def leave(self, code: int = 0) -> None:
        """Leave the group.

        Args:
            code: 0 where all leave; otherwise the exit code of a process that fails alone, which ends the others, too.
        """
        if code:
            self._mpi.Abort(code)
