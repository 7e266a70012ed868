"""Architectures: what a network is once it is read: inputs, layers with settled sizes, outputs, what it holds.

`architecture_reader` makes them of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ganspec.spec.layers import Parameter, Shape, Statistic, format_shape
from ganspec.spec.text.tables import Table


@dataclass(frozen=True)
class Input:
    """An input of a network: "float" numbers of a shape without the batch axis, or one "label" a sample.

    A label is a whole number from 0; layers see it by the shape (labels,) of its one-hot code.
    """

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.shape[0]} labels" if self.dtype == "label" else format_shape(self.shape)


@dataclass(frozen=True)
class Layer:
    """One layer: what it reads, what it makes, and the arrays it owns."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: Shape
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    statistics: tuple[Statistic, ...]


@dataclass(frozen=True)
class Architecture:
    """A network whose every size is a number.

    Args:
        inputs: in the order in which a formula gives them.
        layers: each after those it reads.
        outputs: the layer behind each output; the one output of most networks is called "out".
        holds: the layers whose parameters and statistics it holds: of a growing network, those of its other stages too.
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
        return self.shape_of(self.outputs[output])

    def parameter_paths(self) -> dict[str, Parameter]:
        """Returns: each parameter by its path inside the network, such as "dc1/W", in layer order."""
        return {f"{layer.name}/{p.name}": p for layer in self.holds for p in layer.parameters}

    def statistic_paths(self) -> dict[str, Statistic]:
        """Returns: each running statistic by its path, such as "bn1/mean", in layer order."""
        return {f"{layer.name}/{s.name}": s for layer in self.holds for s in layer.statistics}

    @property
    def parameter_count(self) -> int:
        return sum(p.count for p in self.parameter_paths().values())


def stages_of(architectures: list[Architecture], table: Table, role: str) -> list[Architecture]:
    """Returns: the stages of one growing network, each holding the parameters of all; layers keep their shapes (noted)."""
    held: dict[str, Layer] = {}
    for architecture in architectures:
        for layer in architecture.layers:
            arrays = layer.parameters, layer.statistics
            if (layer.parameters or layer.statistics) and held.setdefault(layer.name, layer) is not layer:
                first = held[layer.name]
                if arrays != (first.parameters, first.statistics):
                    table.note(role, f"the parameters of its layer '{layer.name}' differ from one stage to another")
    return [replace(a, holds=tuple(held.values())) for a in architectures]
