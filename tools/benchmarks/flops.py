"""The floating-point operations of a plan: those of its products of matrices and its convolutions.

The plan is gone through as a backend's evaluation does, on a `Tape` in place of arrays: each layer with a weight is one product
for each evaluation, and gradients, those of gradient penalties too, are taken by the rules of the tape. So what is counted is

    linear    y (N, u) = x (N, f) W^T                                   2 N f u
    conv      each of N P output pixels with its patch, g groups        2 N P (C / g kh kw) c
    deconv    each of N P input pixels with the kernels                 2 N P C (c kh kw)
    matmul    each sample's two matrices, (a, b) and (b, c)             2 N a b c

with P pixels, C channels in and c channels out; as much again for the gradient with respect to the input, where one is wanted,
and for that with respect to the weights; and likewise for gradients of gradients. Zeros of a padding count, as in PyTorch's own
counter, `torch.utils.flop_counter`, with which tests/benchmarks/test_flops.py compares. All else is not counted: what acts
number by number, normalisations, optimisers, products of a matrix and a vector (spectral norm). It costs memory traffic rather
than arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ganspec.spec import System
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.plan.graph import NON_DIFFERENTIABLE, Node
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.training.lasting import LastingValues
from ganspec.spec.training.streams import Position
from ganspec.tools.benchmarks.tape import Bend, Product, Tape, Value

# Layers and operations whose second derivative is 0 wherever they have one.
STRAIGHT = {
    "dropout", "reshape", "flatten", "transpose", "slice", "mean", "sum", "max", "broadcast", "pad", "upsample", "max_pool",
    "avg_pool", "planes", "concat", "add", "subtract", "fade", "scale", "bias", "clip", "hard_sigmoid", "embedding", "one_hot",
    "negative", "expand", "batch_mean", "sample_mean", "output", "leaky_relu", "relu", "abs",
}  # fmt: skip
TIMES = {"multiply", "trained_scale", "prelu"}


@dataclass
class Count:
    """Counts the products of an iteration. Evaluations in one pass count as if they were apart: the work is the same.

    Args:
        system: system.
        iteration: iteration whose stage of growth is counted.
    """

    system: System
    iteration: int = 0
    tape: Tape = field(default_factory=Tape)
    _kept: dict[Any, Any] = field(default_factory=dict)
    _lasting: LastingValues = field(default_factory=LastingValues)

    def __post_init__(self) -> None:
        self.stage = self.system.stages[self.system.at(self.iteration)[0]]
        self.plan = self.stage.plan
        self._variables = {name: self._parameters(a, wanted=True) for name, a in self.stage.networks.items()}
        self._constants = {name: self._parameters(a, wanted=False) for name, a in self.stage.networks.items()}

    def _parameters(self, architecture: Architecture, *, wanted: bool) -> dict[str, Value]:
        return {path: self.tape.leaf(wanted=wanted) for path in architecture.parameter_paths()}

    def repeats(self, steps: Sequence[int]) -> list[list[Product]]:
        """Count one iteration.

        Args:
            steps: number of the step of each repeat, in order, such as (0, 0, 0, 1).

        Returns: the products of each repeat.
        """
        self._lasting.forget()
        return [self._repeat(step, sum(each == step for each in steps[:i])) for i, step in enumerate(steps)]

    def _repeat(self, step: int, repeat: int) -> list[Product]:
        before, planned = len(self.tape.products), self.plan.steps[step]
        self._lasting.start_repeat(Position(self.iteration, step, repeat))
        values: list[Any] = []
        for i in range(len(planned.nodes)):
            name = planned.lasting.get(i)  # of a value that an earlier repeat may have computed
            value = self._lasting.get(name)
            values.append(self._finished(i, planned, values) if value is None else value)
            if name is not None:
                self._lasting.put(name, values[i])
        for network, i in planned.losses.items():
            with self.tape.recording(False):
                self.tape.gradients(values[i], list(self._variables[network].values()), create_graph=False)
        return self.tape.products[before:]

    def _finished(self, i: int, planned: StepPlan, values: list[Any]) -> Any:
        with self.tape.recording(i in planned.tracked or i in planned.trained_later):
            value = self._value(i, planned, values)
        for name in (name for name, node in planned.keeps.items() if node == i):
            self._kept[name] = value if i in planned.trained_later else self._each(value, self.tape.detach)
        if i not in planned.tracked:
            value = self._each(value, self.tape.detach)
        if i in planned.leaves:
            value = self.tape.detach(value, wanted=True)
        return value

    def _each(self, value: Any, function: Callable[[Value], Value]) -> Any:
        """Returns: what a function makes of a value, or of each output of a network."""
        return {key: function(v) for key, v in value.items()} if isinstance(value, dict) else function(value)

    def _value(self, i: int, planned: StepPlan, values: list[Any]) -> Any:
        node = planned.nodes[i]
        inputs = [values[j] for j in node.inputs]
        match node.op:
            case "constant" | "draw" | "carried" | "recall":
                return self.tape.leaf(self.system.run.batch if (node.shape or ("",))[0] == "N" else 0)
            case "kept":
                return self._kept[node.value]
            case "network":
                trained = node.value in planned.step.update or i in planned.trained_later
                outputs = self._network(
                    node.value, inputs, (self._variables if trained else self._constants)[node.value]
                )
                return outputs if node.shape is None else next(iter(outputs.values()))
            case "output":
                return inputs[0][node.value]
            case "grad":
                of, to = inputs
                (found,) = self.tape.gradients(of, [to], create_graph=i in planned.tracked)
                return found or self.tape.leaf(to.rows)
        return self._other(node, inputs)

    def _other(self, node: Node, inputs: list[Value]) -> Value:
        rows = None if node.shape and node.shape[0] == "N" else 0
        if node.op in NON_DIFFERENTIABLE:
            return self.tape.detach(inputs[0])
        return self.tape.apply(inputs, self._bend(node.op), rows)

    def _bend(self, kind: str) -> Bend:
        if kind in TIMES:
            return Bend.TIMES
        return Bend.NONE if kind in STRAIGHT else Bend.CURVED

    def _network(self, name: str, inputs: list[Value], parameters: Mapping[str, Value]) -> dict[str, Value]:
        architecture = self.stage.networks[name]
        values = dict(zip(architecture.inputs, inputs, strict=True))
        unjoined = {x.name: x.inputs for x in architecture.layers if x.name in architecture.unjoined(inputs[0].rows)}
        for layer in architecture.layers:
            own = [parameters[f"{layer.name}/{p.name}"] for p in layer.parameters]
            read = [part for each in layer.inputs for part in unjoined.get(each, (each,))]
            shapes = [architecture.shape_of(each) for each in read]
            if layer.name not in unjoined:
                values[layer.name] = self._layer(name, layer, [values[each] for each in read], shapes, own)
        return {output: values[layer] for output, layer in architecture.outputs.items()}

    def _layer(
        self, network: str, layer: Layer, inputs: list[Value], shapes: Sequence[Sequence[int]], own: list[Value]
    ) -> Value:
        sizes = product_sizes(layer, shapes, inputs[0].rows)
        if sizes is None:
            return self.tape.apply([*inputs, *own], self._bend(layer.kind))
        m, k, n, groups = sizes
        product = Product((network, layer.name), "forward", m, k, n, groups)
        if layer.kind == "matmul":
            return self.tape.multiply(inputs[0], inputs[1], product)
        weight = own[0]
        if "spectral_norm" in layer.settings:
            weight = self.tape.apply([weight], Bend.CURVED)
        result = [self.tape.multiply(inputs[0], weight, product)]
        for part, shape in zip(inputs[1:], shapes[1:], strict=True):  # of vectors that are not joined
            result.append(self.tape.multiply(part, weight, product._replace(k=shape[0])))
        return self.tape.apply([*result, *own[1:]], Bend.NONE) if len(result) + len(own) > 2 else result[0]


def product_sizes(layer: Layer, shapes: Sequence[Sequence[int]], rows: int) -> tuple[int, int, int, int] | None:
    """Settle the product of matrices that a layer is.

    Args:
        layer: layer.
        shapes: shape of each of its inputs, for one sample.
        rows: number of samples.

    Returns: m, k, n and the number of groups: (m, k) times (k, n) in each group. None for a layer that is no product.
    """
    if layer.kind == "linear":
        return rows, shapes[0][0], layer.shape[0], 1
    if layer.kind == "matmul":
        return shapes[0][0], shapes[0][1], shapes[1][1], rows
    weight = next((p.shape for p in layer.parameters if p.name == "W"), ())
    if layer.kind == "conv":
        groups = layer.settings.get("groups", 1)
        return rows * prod(layer.shape[1:]), prod(weight[1:]), layer.shape[0] // groups, groups
    if layer.kind == "deconv":
        return rows * prod(shapes[0][1:]), weight[0], prod(weight[1:]), 1
    return None
