"""Draws architectures: graphs of layers of every kind, with several inputs and outputs.

Every layer is read by something: what is left over in the end is joined, and becomes an output. Sizes are tiny, so that thousands
of networks are trained in an hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ganspec.tools.fuzzing.kinds import (
    ACTIVATIONS,
    ANY,
    KEEPING,
    OF_IMAGES,
    OF_MATRICES,
    OF_VECTORS,
    WEIGHTS,
    Draw,
    Shape,
    outline,
    weights,
)

MOST_NUMBERS = 32  # in what one layer makes of a sample
MOST_LAYERS = 5
JOINING = ("add", "subtract", "multiply", "concat", "matmul")


@dataclass(frozen=True)
class Label:
    """An input that is one label per sample."""

    count: int


@dataclass(frozen=True)
class Network:
    """An architecture that was drawn.

    Args:
        data: its file.
        inputs: shape of each input for one sample, or its labels.
        outputs: shape of each output for one sample, by the words that follow an evaluation: "" or ".feature".
        blocks: files of the networks that are inlined, by name.
    """

    data: Mapping[str, Any]
    inputs: Mapping[str, Shape | Label]
    outputs: Mapping[str, Shape]
    blocks: Mapping[str, Mapping[str, Any]]


@dataclass
class Sketch:
    """A network while it is drawn.

    Args:
        draw: hypothesis' function that draws from a strategy.
        name: name of the network, for the files of its blocks.
        growing: whether layers may be absent in stage 0 of 2.
        batched: whether batches have two samples or more, which batch norm needs.
        labels: names of the inputs that are labels.
    """

    draw: Draw
    name: str
    growing: bool = False
    batched: bool = True
    shapes: dict[str, Shape] = field(default_factory=dict)  # of everything that a layer can read
    unread: list[str] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    previous: str = ""

    def add(self, kind: str, sources: list[str], made: Shape, **keys: Any) -> str:
        """Add a layer. Returns: its name."""
        name = f"{kind[:2]}{len(self.layers)}"
        layer: dict[str, Any] = {"kind": kind, "name": name}
        if sources != [self.previous]:  # else the layer before it is read anyway
            layer["from"] = sources[0] if len(sources) == 1 else sources
        self.layers.append(layer | keys)
        self.unread = [n for n in self.unread if n not in sources] + [name]
        self.shapes[name] = made
        # A layer that is absent passes on what it reads, which need not be the nearest layer before it.
        self.previous = "" if "stages" in keys and "from" in layer else name
        return name

    def one(self, options: Any) -> Any:
        """Returns: one of the options; the first is the simplest."""
        return self.draw(st.sampled_from(options))

    def some_layer(self) -> None:
        """Add a layer of some kind that takes what is there."""
        names = [*reversed(self.unread), *reversed([n for n in self.shapes if n not in self.unread])]
        source = self.one(names)
        shape = self.shapes[source]
        kinds = [*({1: OF_VECTORS, 2: OF_MATRICES, 3: OF_IMAGES}.get(len(shape), ())), *ANY]
        kinds += ["conditional_batch_norm"] * 4 * (len(shape) > 0)  # few networks have labels
        unfit = {"conditional_batch_norm"} if not self.labels else set()
        unfit |= {"batch_norm", "conditional_batch_norm"} if not self.batched else set()
        kinds = [kind for kind in kinds if kind not in unfit]
        self.layer(self.one(kinds), source, shape)

    def layer(self, kind: str, source: str, shape: Shape) -> str:
        """Add a layer of this kind, unless it would be too large. Returns: its name, or that of its source."""
        if kind in ("log", "sqrt") and self.draw(st.integers(0, 9)) < 9:  # else nothing but NaN is compared
            source = self.layer(self.one(("softplus", "sigmoid")), source, shape)
        made, keys, sources = self._outline(kind, source, shape)
        if made is None or math.prod(made) > MOST_NUMBERS:
            return source
        if kind == "network":
            return self._block(source, shape)
        if self.growing and kind in KEEPING and self.draw(st.integers(0, 3)) == 3:
            return self._fading(kind, source, shape, keys)
        return self.add(kind, sources, made, **keys)

    def _fading(self, kind: str, source: str, shape: Shape, keys: Mapping[str, Any]) -> str:
        """Add a layer of stage 1, which fades in or is there at once."""
        layer = self.add(kind, [source], shape, **keys, stages=[1])
        return self.add("fade", [source, layer], shape, stages=[1]) if self.draw(st.booleans()) else layer

    def _outline(self, kind: str, source: str, shape: Shape) -> tuple[Shape | None, dict[str, Any], list[str]]:
        """Returns: shape of the output, None where the layer does not fit; keys; what it reads."""
        if kind in JOINING:
            return self._joined(kind, source, shape)
        made, keys = outline(self.draw, kind, shape)
        return made, keys, [source, self.one(sorted(self.labels))] if kind == "conditional_batch_norm" else [source]

    def _joined(self, kind: str, source: str, shape: Shape) -> tuple[Shape | None, dict[str, Any], list[str]]:
        if kind == "matmul":
            fits = [n for n, s in self.shapes.items() if len(s) == 2 and s[0] == shape[1]]
            second = self.one(fits or [None]) or self.add("transpose", [source], shape[::-1], axes=[1, 0])
            return (shape[0], self.shapes[second][1]), {}, [source, second]
        fits = [n for n, s in self.shapes.items() if (s[1:] == shape[1:] and s if kind == "concat" else s == shape)]
        if kind == "concat" and not shape:
            return None, {}, []
        most = 1 if kind == "subtract" else 2
        sources = [source, *self.draw(st.lists(st.sampled_from(fits), min_size=1, max_size=most))]
        return (sum(self.shapes[n][0] for n in sources), *shape[1:]) if kind == "concat" else shape, {}, sources

    def _block(self, source: str, shape: Shape) -> str:
        """Inline a network of one or two layers from a file of its own."""
        inner = Sketch(self.draw, self.name, batched=self.batched, shapes={"v": shape}, unread=["v"], previous="v")
        kinds = [*({1: ("linear",), 3: ("conv",)}.get(len(shape), ())), *ACTIVATIONS, "flatten"]
        for kind in self.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2)):
            inside = inner.shapes[inner.previous]
            if len(inside) == {"linear": 1, "conv": 3}.get(kind, len(inside)):
                inner.layer(kind, inner.previous, inside)
        if not inner.layers:
            return source
        file = f"{self.name}_block{len(self.blocks)}.toml"
        inputs = {"v": list(shape)}
        self.blocks[file] = {
            "title": "a block",
            "source": "drawn",
            "inputs": inputs,
            "network": {"layers": inner.layers},
        }
        return self.add("network", [source], inner.shapes[inner.previous], use=file)

    def finish(self, shape: Shape) -> str:
        """Join all that is not read yet, and give it the shape of an output. Returns: the last layer."""
        if (
            len(self.unread) == 1
            and self.shapes[self.unread[0]] == shape
            and self.has_weights
            and self.draw(st.booleans())
        ):
            return self.unread[0]
        flat = [n if len(self.shapes[n]) == 1 else self.layer("flatten", n, self.shapes[n]) for n in list(self.unread)]
        joined = self.add("concat", flat, (sum(self.shapes[n][0] for n in flat),)) if len(flat) > 1 else flat[0]
        units = math.prod(shape)
        last = self.add("linear", [joined], (units,), units=units, **weights(self.draw))
        return self.add("reshape", [last], shape, shape=list(shape)) if shape != (units,) else last

    @property
    def has_weights(self) -> bool:
        return any("weight" in layer for layer in self.layers)


def network(
    draw: Draw,
    name: str,
    inputs: Mapping[str, Shape | Label],
    output: Shape,
    *,
    growing: bool,
    batched: bool,
    heads: bool,
) -> Network:
    """Draw a network.

    Args:
        draw: hypothesis' function that draws from a strategy.
        name: its name, which is also that of its file.
        inputs: shape of each input for one sample, or its labels.
        output: shape of its main output.
        growing: whether layers may be absent in stage 0 of 2.
        batched: whether batches have two samples or more.
        heads: whether it may have further outputs.

    Returns: the network.
    """
    floats = {n: s for n, s in inputs.items() if not isinstance(s, Label)}
    sketch = Sketch(draw, name, growing, batched, dict(floats), list(floats))
    sketch.labels = [n for n in inputs if n not in floats]
    sketch.previous = next(iter(inputs)) if len(inputs) == 1 else ""
    for label, value in inputs.items():
        if isinstance(value, Label) and draw(st.booleans()):
            sketch.add("embedding", [label], (2,), units=2, weight=sketch.one(WEIGHTS[:3]))
        elif isinstance(value, Label):
            sketch.add("one_hot", [label], (value.count,), on=1, off=sketch.one((0, -1)))
    for _ in range(draw(st.integers(0, MOST_LAYERS))):
        sketch.some_layer()
    last = sketch.finish(output)
    outputs = {"": output}
    body: dict[str, Any] = {"layers": sketch.layers}
    if heads and draw(st.integers(0, 2)) == 2:
        body["outputs"] = {"logit": last, "feature": sketch.one(list(reversed(sketch.shapes)))}
        outputs = {".logit": output, ".feature": sketch.shapes[body["outputs"]["feature"]]}
    _name_sparingly(sketch, set(body.get("outputs", {}).values()))
    sizes = {n: {"labels": s.count} if isinstance(s, Label) else list(s) for n, s in inputs.items()}
    data = {"title": f"the network {name}", "source": "drawn", "inputs": sizes, "network": body}
    return Network(data, inputs, outputs, sketch.blocks)


def _name_sparingly(sketch: Sketch, outputs: set[str]) -> None:
    """Leave out the names of layers that nothing mentions and that have no weights."""
    mentioned = set(outputs)
    for layer in sketch.layers:
        source = layer.get("from", [])
        mentioned |= {source} if isinstance(source, str) else set(source)
    for layer in sketch.layers:
        if {"weight", "gamma", "beta", "per", "use", "spectral_norm"}.isdisjoint(layer) and layer[
            "name"
        ] not in mentioned:
            del layer["name"]
