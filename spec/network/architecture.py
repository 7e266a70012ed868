"""Architectures: networks as they are once they are read, with inputs, layers of settled sizes, and outputs.

`reader` makes them from files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ganspec.spec.layers import Parameter, Shape, Statistic, format_shape
from ganspec.spec.text.tables import Table

NAME = re.compile(r"_*[A-Za-z0-9][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Input:
    """An input of a network: numbers ("float"), or one "label" per sample.

    Args:
        shape: shape of one sample; for a label, which is a whole number from 0, the shape (labels,) of its one-hot code.
        dtype: "float" or "label".
    """

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.shape[0]} labels" if self.dtype == "label" else format_shape(self.shape)


@dataclass(frozen=True)
class Layer:
    """One layer: what it reads, what it makes, and the arrays that it owns.

    Args:
        inputs: names of the inputs and layers that it reads.
        shape: shape of its output, for one sample.
        source: file and line on which it stands, "architectures/mlp_generator.toml:27"; layers of other lines can be equal.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: Shape
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    statistics: tuple[Statistic, ...]
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class Architecture:
    """A network whose sizes are all numbers.

    Args:
        inputs: inputs by name, in the order in which a formula gives them.
        layers: layers, each after those that it reads.
        outputs: name of the layer behind each output; most networks have one output, called "out".
        constants: numbers of the file, with the values that the system gives them.
        holds: layers whose parameters and statistics it holds; those of a growing network's other stages are among them.
    """

    name: str
    title: str
    source: str
    inputs: Mapping[str, Input]
    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]
    constants: Mapping[str, float]
    holds: tuple[Layer, ...]

    def shape_of(self, name: str) -> Shape:
        """Returns: the shape of a layer's output or of an input."""
        return self.inputs[name].shape if name in self.inputs else next(x.shape for x in self.layers if x.name == name)

    def output_shape(self, output: str) -> Shape:
        """Returns: the shape of an output."""
        return self.shape_of(self.outputs[output])

    def parameter_paths(self) -> dict[str, Parameter]:
        """Returns: each parameter by its path inside the network, such as "dc1/W", in layer order."""
        return {f"{layer.name}/{p.name}": p for layer in self.holds for p in layer.parameters}

    def evaluated_parameters(self) -> frozenset[str]:
        """Returns: the paths of the parameters that are read here; a growing network has others in other stages."""
        return frozenset(f"{layer.name}/{p.name}" for layer in self.layers for p in layer.parameters)

    def statistic_paths(self) -> dict[str, Statistic]:
        """Returns: each running statistic by its path, such as "bn1/mean", in layer order."""
        return {f"{layer.name}/{s.name}": s for layer in self.holds for s in layer.statistics}

    def unjoined(self, rows: int) -> frozenset[str]:
        """Find vectors that need not be joined: a product with the joined one is the sum of products with each, W_a a + W_b b.

        So nothing is copied, and no gradient is computed that nobody wants, such as that of pixels beside the code of a label. In
        return the gradients of W_a and W_b are joined. It pays where these have fewer numbers than all joined vectors.

        Args:
            rows: number of samples in a batch.

        Returns: names of the layers that join vectors and are read by linear layers alone, where that pays.
        """
        return frozenset(name for name, units in self._joins.items() if rows >= units)

    @cached_property
    def _joins(self) -> Mapping[str, int]:
        """Layers that join vectors and are read by linear layers alone, with the number of these layers' units."""
        joins = {}
        for layer in self.layers:
            readers = [x for x in self.layers if layer.name in x.inputs]
            products = {x.kind for x in readers} == {"linear"} and layer.name not in self.outputs.values()
            if layer.kind == "concat" and len(layer.shape) == 1 and products:
                joins[layer.name] = sum(x.shape[0] for x in readers)
        return joins

    @property
    def parameter_count(self) -> int:
        """The number of all trained numbers."""
        return sum(p.count for p in self.parameter_paths().values())


def read_inputs(table: Table) -> dict[str, Input]:
    """Read the table `[inputs]` of an architecture file."""
    inputs = {}
    own = table.table("inputs")
    for name in own.data:
        if not NAME.fullmatch(name):
            own.note(name, f"'{name}' is not a name: use letters, digits and _")
        if isinstance(own.data[name], dict):
            label = own.table(name)
            inputs[name] = Input((label.size("labels", least=2),), "label")
            label.close()
        else:
            inputs[name] = Input(own.sizes(name), "float")
    if not inputs:
        table.note("inputs", "a network needs at least one input")
    return inputs


def stages_of(architectures: list[Architecture], table: Table, role: str) -> list[Architecture]:
    """Let each stage of a growing network hold the parameters of all stages.

    Args:
        architectures: stages, in order.
        table: table in which it is noted that the parameters of a layer change.
        role: name of the network.

    Returns: the stages.
    """
    held: dict[str, Layer] = {}
    first_stages: dict[str, int] = {}
    for stage, architecture in enumerate(architectures):
        for layer in architecture.layers:
            arrays = layer.parameters, layer.statistics
            if (layer.parameters or layer.statistics) and held.setdefault(layer.name, layer) is not layer:
                first = held[layer.name]
                if arrays != (first.parameters, first.statistics):
                    stages = f"stages {first_stages[layer.name]} and {stage} of growth"
                    table.note(role, f"the parameters of its layer '{layer.name}' differ between {stages}")
            first_stages.setdefault(layer.name, stage)
    return [replace(a, holds=tuple(held.values())) for a in architectures]
