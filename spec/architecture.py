"""Architectures: a network as a graph of layers with named inputs and outputs.

    title, source
    [parameters]       numbers that the system may override
    [inputs]           z = ["latent"] (a shape), or y = { labels = 10 }
    [settings.KIND]    keys shared by all layers of a kind
    [network]
    layers = [ { kind = "linear", name = "l1", units = "width" }, ... ]
    outputs = { feature = "bn7", logit = "l8" }      left out: one output, the last layer

A layer reads the one before it, or what `from` names. A layer of kind "network" inlines another architecture
(`use`), its further keys being that one's parameters; its layers are named NAME/LAYER. All shapes are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spec.errors import Problems, SpecError, did_you_mean, expected_one_of
from spec.layers import KINDS, Parameter, Shape, ShapeError, Statistic, shown
from spec.library import Found, Library
from spec.tables import Table

MAX_LAYERS = 1000  # the deepest network of the field's papers here has under 100
MAX_NESTING = 8  # of architectures inside architectures


@dataclass(frozen=True)
class Input:
    """An input of a network: "float" numbers of a shape without the batch axis, or one "label" a sample.

    A label is a whole number from 0; layers see it by the shape (labels,) of its one-hot code.
    """

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.shape[0]} labels" if self.dtype == "label" else shown(self.shape)


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
    """

    name: str
    title: str
    source: str
    inputs: Mapping[str, Input]
    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]
    parameters: Mapping[str, float]

    def shape_of(self, name: str) -> Shape:
        """Returns: the shape of a layer's output or of an input."""
        return self.inputs[name].shape if name in self.inputs else next(x.shape for x in self.layers if x.name == name)

    def output_shape(self, output: str) -> Shape:
        return self.shape_of(self.outputs[output])

    def parameter_paths(self) -> dict[str, Parameter]:
        """Returns: each parameter by its path inside the network, such as "dc1/W", in layer order."""
        return {f"{layer.name}/{p.name}": p for layer in self.layers for p in layer.parameters}

    def statistic_paths(self) -> dict[str, Statistic]:
        """Returns: each running statistic by its path, such as "bn1/mean", in layer order."""
        return {f"{layer.name}/{s.name}": s for layer in self.layers for s in layer.statistics}

    @property
    def parameter_count(self) -> int:
        return sum(p.count for p in self.parameter_paths().values())


def read_architecture(
    found: Found, library: Library, overrides: Mapping[str, float], problems: Problems, nesting: int = 0
) -> Architecture:
    """Read an architecture file and settle its sizes.

    Args:
        found: the file.
        library: where the architectures that it inlines are found.
        overrides: values for its parameters; the caller has checked their names.
        problems: where problems are noted; after any, the result is only good for finding more.
    """
    table = Table(found.data, found.file, "", problems)
    title, source = table.text("title"), table.text("source")
    scope = table.numbers("parameters", overrides)
    table.scope = scope
    inputs = _read_inputs(table)
    settings = table.table("settings", {})
    builder = _Builder(table, settings, inputs, library, problems, nesting)
    network = table.table("network")
    for i, layer in enumerate(network.tables("layers")):
        if i >= MAX_LAYERS or len(builder.layers) > MAX_LAYERS:
            network.note("layers", f"more than {MAX_LAYERS} layers")
            break
        builder.add(layer)
    outputs = builder.outputs(network)
    network.close()
    builder.close_settings()
    table.close()
    if not problems.found:  # after other problems "unused" would mislead
        table.close_numbers("parameters", scope)
        _note_unread(table, inputs, builder.layers, outputs)
    return Architecture(
        found.name, title, source, inputs, tuple(builder.layers), outputs, dict(scope.names)
    )


def parameter_names(found: Found) -> list[str]:
    """Returns: the names of an architecture file's parameters, as far as it has them."""
    parameters = found.data.get("parameters")
    return list(parameters) if isinstance(parameters, dict) else []


def _read_inputs(table: Table) -> dict[str, Input]:
    inputs = {}
    given = table.table("inputs")
    for name in given.data:
        if isinstance(given.data[name], dict):
            label = given.table(name)
            inputs[name] = Input((label.size("labels", least=2),), "label")
            label.close()
        else:
            inputs[name] = Input(given.sizes(name), "float")
    if not inputs:
        table.note("inputs", "a network needs at least one input")
    return inputs


def _note_unread(table: Table, inputs: Mapping[str, Input], layers: list[Layer], outputs: Mapping[str, str]) -> None:
    read = {name for layer in layers for name in layer.inputs} | set(outputs.values())
    for name in inputs:
        if name not in read:
            table.note(f"inputs.{name}", "no layer reads this input")
    for layer in layers:
        if layer.name not in read:
            table.note("network.layers", f"nothing reads the layer '{layer.name}'")


@dataclass
class _Builder:
    """Grows the list of layers, resolving what each reads."""

    table: Table
    settings: Table
    inputs: dict[str, Input]
    library: Library
    problems: Problems
    nesting: int
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of inputs and layers
    real_names: dict[str, str] = field(default_factory=dict)  # an inlined network's name: its last layer
    used_settings: set[tuple[str, str]] = field(default_factory=set)
    previous: str = ""

    def __post_init__(self) -> None:
        self.shapes = {name: value.shape for name, value in self.inputs.items()}
        self.previous = next(iter(self.inputs)) if len(self.inputs) == 1 else ""

    def add(self, layer: Table) -> None:
        kind = layer.choice("kind", [*KINDS, "network"]) if "kind" in layer else layer.text("kind")
        if not kind or layer.data.get("kind") != kind:
            return
        inputs = self._inputs(layer)
        automatic = f"{kind}_{1 + sum(x.kind == kind for x in self.layers)}"
        name = layer.text("name", automatic)
        if not name.replace("_", "").isalnum() or not name.isascii():
            layer.note("name", f"'{name}' is not a name: use letters, digits and _")
        if name in self.shapes or name in self.real_names:
            layer.note("name", f"the name '{name}' is taken")
        if inputs is None:
            self.shapes[name], self.previous = (), name  # noted already; later layers may refer to it
        elif kind == "network":
            self._inline(layer, name, inputs)
        else:
            self._make(layer, kind, name, inputs)

    def _make(self, layer: Table, kind: str, name: str, inputs: tuple[str, ...]) -> None:
        shared = self.settings.data.get(kind, {})
        merged = Table({**(shared if isinstance(shared, dict) else {}), **layer.data}, layer.file, layer.key, self.problems, layer.scope)
        merged.read |= {"kind", "name", "from"}
        shapes = [self.shapes[i] for i in inputs]
        try:
            made = KINDS[kind].make(merged, shapes)
        except ShapeError as error:
            layer.note("", f"the {kind} layer '{name}' does not fit its input: {error}")
            self.shapes[name], self.previous = shapes[0], name
            return
        self.used_settings |= {(kind, key) for key in merged.read if key not in layer.data}
        merged.close(layer.data)
        if made.parameters and "name" not in layer:
            layer.note("", f"a {kind} layer has parameters, so it needs a name", 'add name = "..."; it becomes their path')
        self._append(Layer(name, kind, inputs, made.shape, made.settings, made.parameters, made.statistics))

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.shape
        self.previous = layer.name

    def _inputs(self, layer: Table) -> tuple[str, ...] | None:
        """Returns: the names that the layer reads, checked; None where that is not known."""
        if "from" in layer:
            names = layer.names("from")
        elif self.previous:
            names = (self.previous,)
        else:
            layer.note("", f"the first layer must say which input it reads: {expected_one_of(self.inputs)}", 'add from = "..."')
            return None
        valid = {*self.shapes, *self.real_names}
        for name in names:
            if name not in valid:
                layer.note("from", f"no layer or input '{name}' stands before this one", did_you_mean(name, valid))
                return None
        names = tuple(self.real_names.get(name, name) for name in names)
        kind = layer.data["kind"]
        if kind in KINDS and not KINDS[kind].least <= len(names) <= KINDS[kind].most:
            layer.note("from", f"{kind} takes {KINDS[kind].least} to {KINDS[kind].most} inputs, found {len(names)}")
            return None
        for name in names:
            found = self._dtype(name)
            if kind in KINDS and KINDS[kind].takes != found:
                layer.note("from", f"{kind} takes a {KINDS[kind].takes}, '{name}' is a {found}")
                return None
        return names

    def _dtype(self, name: str) -> str:
        return self.inputs[name].dtype if name in self.inputs else "float"

    def _inline(self, layer: Table, name: str, inputs: tuple[str, ...]) -> None:
        try:
            inner = self._read_inner(layer)
        except SpecError as error:
            self.problems.found.extend(error.problems)
            inner = None
        if inner is None:
            self.shapes[name], self.previous = (), name
            return
        wanted = ", ".join(str(i) for i in inner.inputs.values())
        given = ", ".join(str(Input(self.shapes[i], self._dtype(i))) for i in inputs)
        if wanted != given:
            layer.note("from", f"the network '{inner.name}' takes {wanted}, found {given}")
        if len(inner.outputs) != 1:
            layer.note("use", f"the network '{inner.name}' has several outputs; only one with a single output can be inlined")
        outer = dict(zip(inner.inputs, inputs, strict=False))
        for x in inner.layers:
            reads = tuple(outer.get(i, f"{name}/{i}") for i in x.inputs)
            self._append(Layer(f"{name}/{x.name}", x.kind, reads, x.shape, x.settings, x.parameters, x.statistics))
        self.previous = f"{name}/{next(iter(inner.outputs.values()))}"
        self.real_names[name] = self.previous

    def _read_inner(self, layer: Table) -> Architecture | None:
        if self.nesting >= MAX_NESTING:
            layer.note("use", f"networks are nested more than {MAX_NESTING} deep; does one use itself?")
            return None
        use = layer.text("use")
        found = self.library.find("architectures", use, layer.file, layer.path("use"))
        valid = parameter_names(found)
        overrides = {key: layer.number(key) for key in layer.data if key in valid}
        layer.read |= {"name", "from", *valid}
        layer.close()
        return read_architecture(found, self.library, overrides, self.problems, self.nesting + 1)

    def outputs(self, network: Table) -> dict[str, str]:
        given = network.table("outputs", {})
        outputs = {}
        for output in given.data:
            name = given.text(output)
            name = self.real_names.get(name, name)
            if name not in self.shapes:
                given.note(output, f"there is no layer '{name}'", did_you_mean(name, self.shapes))
            outputs[output] = name
        if not self.layers and not self.problems.found:
            network.note("layers", "a network needs at least one layer")
        return outputs or {"out": self.previous}

    def close_settings(self) -> None:
        """Note settings that changed nothing."""
        for kind in self.settings.data:
            shared = self.settings.table(kind)
            used = {key for k, key in self.used_settings if k == kind}
            for key in shared.data:
                if key not in used and not self.problems.found:
                    shared.note(key, f"no {kind} layer takes this key from here", did_you_mean(key, used))
