"""What processes that share a batch exchange while they evaluate a step of a plan.

Each process evaluates the plan on its own rows of the batch. A value whose first axis is the batch is *split* among them; every
other value is *common*, equal in all. Only a reduction over the batch makes a common value of a split one: mean, sum, batch_mean,
and a gradient with respect to a common value. Let R be the number of processes, and l_r the loss as process r has it.

    common mean:  m = (1/R) sum over r of m_r             its derivative is the same operation, so it can be repeated
    loss:         l = (1/R) sum over r of l_r             all l_r are equal
    parameters:   dl/dw = (1/R) sum over r of dl_r/dw     each along process r's own copy of w; one exchange in each step
    formulas:     grad(a, b) is of the sum of a. A common a is there R times: the gradient is divided by R.
                  A common b is there R times: the parts of the gradient are added.

Where nothing split is computed from a mean, its gradient is equal in all processes and needs no exchange; and all these means of
a step, which make its losses and reports, are exchanged together.
"""

from __future__ import annotations

from dataclasses import dataclass

from ganspec.spec.plan.graph import REDUCTIONS, Node
from ganspec.spec.plan.plan import StepPlan

# Reductions of a value over the batch, which is their only coupling of samples; "sample_mean" is of each sample.
BATCH_REDUCTIONS = tuple(op for op in REDUCTIONS if op != "sample_mean")
_SOURCES = ("constant", "draw", "carried", "recall", "kept", "network", "output")


@dataclass(frozen=True)
class Exchange:
    """In which order processes evaluate the nodes of a step, and what they exchange.

    Args:
        early: nodes that are evaluated first, in this order.
        means: those of `early` that are means or sums over the batch, each exchanged by itself, and differentiably.
        totals: means and sums over the batch that come next; they are exchanged together, and their gradients are not.
        late: nodes that are computed from these, last, and in this order.
    """

    early: tuple[int, ...]
    means: frozenset[int]
    totals: tuple[int, ...]
    late: tuple[int, ...]


def exchange_of(planned: StepPlan) -> Exchange:
    """Returns: what the processes exchange in a step."""
    nodes = planned.nodes
    readers: list[list[int]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        for j in node.inputs:
            readers[j].append(i)
    kept, after = set(planned.keeps.values()), set[int]()
    for i in range(len(nodes) - 1, -1, -1):
        movable = is_common(nodes[i]) and nodes[i].op not in (*_SOURCES, "grad") and i not in kept
        if movable and after.issuperset(readers[i]):
            after.add(i)
    reducing = {i for i, node in enumerate(nodes) if reduces_batch(planned, node)}
    return Exchange(
        tuple(i for i in range(len(nodes)) if i not in after),
        frozenset(reducing - after),
        tuple(sorted(reducing & after)),
        tuple(sorted(after - reducing)),
    )


def is_common(node: Node) -> bool:
    """Returns: whether the value of a node has no batch axis, so that all processes have the same."""
    return node.shape is not None and node.shape[:1] != ("N",)


def reduces_batch(planned: StepPlan, node: Node) -> bool:
    """Returns: whether a node is a mean or sum over the batch."""
    return node.op in BATCH_REDUCTIONS and not is_common(planned.nodes[node.inputs[0]])
