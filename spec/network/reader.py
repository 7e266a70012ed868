"""Architecture files: a network as a graph of layers with named inputs and outputs.

    title, source
    [constants]        numbers that the system may override
    [inputs]           z = ["latent"] (a shape), or y = { labels = 10 }
    [settings.KIND]    keys shared by all layers of a kind
    [network]
    layers = [ { kind = "linear", name = "l1", units = "width" }, ... ]
    outputs = { feature = "bn7", logit = "l8" }      if left out: one output, the last layer

A layer reads the layer before it, or what `from` names. A layer of kind "network" inlines the architecture that `use` names; its
other keys are constants of that architecture, whose layers are then named NAME/LAYER. All shapes are checked here.

A network can grow, in stages that the system counts from 0; sizes can use the number `stage`. A layer with `stages = [1, 3]` is
present in the stages 1 to 3, with `stages = [1]` from stage 1 on. A reference to an absent layer reads that layer's own input. A
layer without `from` reads the nearest preceding layer that is present.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ganspec.spec.layers import KINDS, Shape, ShapeError
from ganspec.spec.network.architecture import NAME, Architecture, Input, Layer, read_inputs
from ganspec.spec.network.growth import UnusedKeys
from ganspec.spec.network.reserved import reason_to_refuse
from ganspec.spec.parts.settings import MAX_STAGES
from ganspec.spec.text.errors import Problems, SpecError, did_you_mean, expected_one_of
from ganspec.spec.text.files import Library, SpecFile
from ganspec.spec.text.tables import MAX_SIZE, Table

MAX_LAYERS = 1000  # the deepest network in the papers here has under 100
MAX_NESTING = 8  # of architectures inside architectures


def read_architecture(
    file: SpecFile,
    library: Library,
    overrides: Mapping[str, float],
    problems: Problems,
    inside: tuple[str, ...] = (),
    stage: int | None = None,
    unused: UnusedKeys | None = None,
) -> Architecture:
    """Read an architecture file and settle its sizes.

    Args:
        file: architecture file.
        library: library that finds the architectures that the file inlines.
        overrides: values for its constants; the caller has checked their names.
        problems: collection in which problems are noted; after one, the result is only good for finding more.
        inside: names of the files whose networks contain this one.
        stage: stage of a growing network; None for a network that does not grow.
        unused: keys that no stage read so far has used, in this network and in those that contain it.

    Returns: the network.
    """
    # Read the numbers and inputs.
    table = Table(file.data, file.file, "", problems)
    title, source = table.line("title"), table.line("source")
    scope = table.numbers("constants", overrides)
    if stage is not None and "stage" in scope.names:
        table.note("constants.stage", "stage is the number of the stage of growth here", "choose another name")
    if stage is not None:
        scope.names["stage"] = stage
        scope.used.add("stage")
    table.scope = scope
    inputs = read_inputs(table)
    # Add the layers, one after the other.
    settings = table.table("settings", {})
    builder = _Builder(table, settings, inputs, library, problems, (*inside, file.file), stage, unused or UnusedKeys())
    network = table.table("network")
    for i, layer in enumerate(network.tables("layers")):
        builder.unused.layers += 1
        if i >= MAX_LAYERS or builder.unused.layers > MAX_LAYERS * (1 if stage is None else 1 + MAX_STAGES):
            network.note("layers", f"more than {MAX_LAYERS} layers")
            break
        builder.add(layer, file.source("network", "layers", i))
    outputs = builder.outputs(network)
    network.close()
    builder.close_settings()
    table.close()
    # Note what nothing uses.
    read = {name for layer in builder.layers for name in layer.inputs} | set(outputs.values())
    if not problems.found and builder.grows:
        present = {layer.name for layer in builder.layers} & read
        unread = [name for name in builder.listed if name not in present]
        builder.unused.note_use(table, builder.settings, builder.used_settings, unread)
    elif not problems.found:  # after other problems "unused" would mislead
        table.close_numbers("constants", scope)
        _note_unread(table, inputs, builder.layers, read)
    layers = tuple(builder.layers)
    return Architecture(file.name, title, source, inputs, layers, outputs, dict(scope.names), layers)


def _note_unread(table: Table, inputs: Mapping[str, Input], layers: list[Layer], read: set[str]) -> None:
    for name in inputs:
        if name not in read:
            table.note(f"inputs.{name}", "no layer reads this input")
    for layer in layers:
        if layer.name not in read:
            table.note("network.layers", f"nothing reads the layer '{layer.name}'")


@dataclass
class _Builder:
    """Builds the list of layers, and resolves what each layer reads."""

    table: Table
    settings: Table
    inputs: dict[str, Input]
    library: Library
    problems: Problems
    inside: tuple[str, ...]  # this file and those that contain it
    stage: int | None
    unused: UnusedKeys
    grows: bool = False  # whether layers of this file are absent in some stages
    listed: list[str] = field(default_factory=list)  # the layers of this file, absent ones included
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of inputs and layers
    real_names: dict[str, str] = field(
        default_factory=dict
    )  # the layer to read for the name of a network or absent layer
    used_settings: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)  # layers whose shape is unknown because of a noted problem
    broken: bool = False  # whether an inlined network had a problem; then no other is read
    counts: dict[str, int] = field(default_factory=dict)  # of layers, by kind
    previous: str = ""

    def __post_init__(self) -> None:
        self.shapes = {name: value.shape for name, value in self.inputs.items()}
        self.previous = next(iter(self.inputs)) if len(self.inputs) == 1 else ""

    def add(self, layer: Table, source: str) -> None:
        """Add a layer of the file, which stands at `source`."""
        kind = layer.choice("kind", [*KINDS, "network"]) if "kind" in layer else layer.text("kind")
        if not kind or layer.data.get("kind") != kind:
            return
        inputs = self._inputs(layer)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        automatic = f"{kind}_{self.counts[kind]}"
        name = layer.text("name", automatic) if kind in KINDS else layer.text("name")
        if name and not NAME.fullmatch(name):
            layer.note("name", f"'{name}' is not a name: use letters, digits and _")
        if name in self.shapes or name in self.real_names:
            layer.note("name", f"the name '{name}' is taken")
        if kind in KINDS:
            self.listed.append(name)
        elif reason := reason_to_refuse(name):
            layer.note("name", reason, "choose another name")
        if not self._is_present(layer):
            if inputs:
                self.real_names[name] = inputs[0]
            return
        if inputs is None:
            self._hide(name)
        elif kind == "network":
            self._inline(layer, name, inputs)
        else:
            self._make(layer, kind, name, inputs, source)

    def _is_present(self, layer: Table) -> bool:
        """Returns: whether this stage has a layer."""
        if "stages" not in layer:
            layer.read.add("stages")
            return True
        self.grows = True
        first, *last = layer.sizes("stages", least=0) or (0, 0, 0)
        if len(last) > 1 or min([*last, first]) < first:
            layer.note("stages", "expected [first] or [first, last]")
        elif self.stage is None:
            hint = "add the table, such as --set growth.stages=7 --set growth.images=400_000"
            layer.note("stages", "this network grows, but the system has no table [growth]", hint)
        else:
            return first <= self.stage <= min([*last, self.stage])
        return True

    def _make(self, layer: Table, kind: str, name: str, inputs: tuple[str, ...], source: str) -> None:
        # A key that the layer does not have comes from the settings of its kind.
        shared = self.settings.data.get(kind, {})
        data = {**(shared if isinstance(shared, dict) else {}), **layer.data}
        merged = Table(data, layer.file, layer.key, self.problems, layer.scope)
        merged.read |= {"kind", "name", "from", "stages"}
        shapes, noted = [self.shapes[i] for i in inputs], self.problems.noted
        try:
            outline = KINDS[kind].make(merged, shapes)
            if max(outline.shape, default=0) > MAX_SIZE:
                raise ShapeError(f"its output has more than {MAX_SIZE} numbers along one axis")
        except ShapeError as error:
            if self.problems.noted == noted:  # else a harmless size stands for a wrong one
                layer.note("", f"the {kind} layer '{name}' does not fit its input{self._in_stage}: {error}")
            self._hide(name)
            return
        self.used_settings |= {(kind, key) for key in merged.read if key not in layer.data}
        merged.close(layer.data)
        if outline.parameters and "name" not in layer:
            message = f"a {kind} layer has parameters, so it needs a name"
            layer.note("", message, 'add name = "..."; it becomes their path')
        if (outline.parameters or outline.statistics) and (reason := reason_to_refuse(name)):
            layer.note("name", reason, "choose another name")
        if self.problems.noted > noted:
            self._hide(name)
            return
        arrays = outline.parameters, outline.statistics
        self._append(Layer(name, kind, inputs, outline.shape, outline.settings, *arrays, source))

    @property
    def _in_stage(self) -> str:
        return "" if self.stage is None else f" in stage {self.stage} of growth"

    def _hide(self, name: str) -> None:
        """Mark a layer's output as unknown, for a reason that is noted; then layers that read it are not checked."""
        self.shapes[name], self.previous = (), name
        self.unknown.add(name)

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.shape
        self.previous = layer.name

    def _inputs(self, layer: Table) -> tuple[str, ...] | None:
        """Returns: the checked names of what the layer reads; None where they are unknown."""
        if "from" in layer:
            names = layer.names("from")
        elif self.previous:
            names = (self.previous,)
        else:
            message = f"the first layer must say which input it reads: {expected_one_of(self.inputs)}"
            layer.note("", message, 'add from = "..."')
            return None
        valid = {*self.shapes, *self.real_names}
        for name in names:
            if name not in valid:
                message = f"no layer or input '{name}' precedes this layer: {expected_one_of(valid)}"
                layer.note("from", message, did_you_mean(name, valid))
                return None
        if not self.unknown.isdisjoint(names):
            return None
        names = tuple(self.real_names.get(name, name) for name in names)
        kind = layer.data["kind"]
        if kind in KINDS and not KINDS[kind].least <= len(names) <= KINDS[kind].most:
            least, most = KINDS[kind].least, KINDS[kind].most
            takes = "1 input" if most == 1 else f"{least} inputs" if least == most else f"{least} to {most} inputs"
            layer.note("from", f"{kind} takes {takes}, found {len(names)}")
            return None
        for i, name in enumerate(names if kind in KINDS else ()):
            wanted, found = KINDS[kind].dtype(i), self._dtype(name)
            if wanted != found:
                words, place = {"float": "numbers", "label": "a label"}, f" as input {i + 1}" * (len(names) > 1)
                layer.note("from", f"{kind} takes {words[wanted]}{place}, '{name}' is {words[found]}")
                return None
        return names

    def _dtype(self, name: str) -> str:
        return self.inputs[name].dtype if name in self.inputs else "float"

    def _inline(self, layer: Table, name: str, inputs: tuple[str, ...]) -> None:
        # Read the inner network.
        noted, inner = self.problems.noted, None
        try:
            inner = None if self.broken else self._read_inner(layer)
        except SpecError as error:
            self.problems.extend(error.problems)
        if inner is None or self.problems.noted > noted:
            self.broken = True
            self._hide(name)
            return
        # Compare its inputs and outputs with what is here.
        expected = ", ".join(str(i) for i in inner.inputs.values())
        found = ", ".join(str(Input(self.shapes[i], self._dtype(i))) for i in inputs)
        if expected != found:
            message = f"the network '{inner.name}' takes inputs of shape {expected}, found {found}{self._in_stage}"
            layer.note("from", message)
        if len(inner.outputs) != 1:
            message = f"the network '{inner.name}' has several outputs; only one with a single output can be inlined"
            layer.note("use", message)
        # Append its layers under its name.
        outer = dict(zip(inner.inputs, inputs, strict=False))
        for x in inner.layers:
            reads = tuple(outer.get(i, f"{name}/{i}") for i in x.inputs)
            self._append(replace(x, name=f"{name}/{x.name}", inputs=reads))
        out = next(iter(inner.outputs.values()))
        self.previous = outer.get(out, f"{name}/{out}")  # a block that is empty in this stage passes its input on
        self.real_names[name] = self.previous

    def _read_inner(self, layer: Table) -> Architecture | None:
        if len(self.inside) > MAX_NESTING:
            layer.note("use", f"networks are nested more than {MAX_NESTING} deep")
            return None
        use = layer.text("use")
        file = self.library.find("architectures", use, layer.file, layer.path("use"))
        if file.file in self.inside:
            layer.note("use", f"a network cannot contain itself: {' contains '.join([*self.inside, file.file])}")
            return None
        valid = file.constant_names
        overrides = {key: layer.number(key) for key in layer.data if key in valid}
        layer.read |= {"name", "from", "stages", *valid}
        layer.close()
        return read_architecture(file, self.library, overrides, self.problems, self.inside, self.stage, self.unused)

    def outputs(self, network: Table) -> dict[str, str]:
        """Returns: the layer behind each output, by the output's name."""
        own = network.table("outputs", {})
        outputs = {}
        for output in own.data:
            if not NAME.fullmatch(output):
                own.note(output, f"'{output}' is not a name: use letters, digits and _")
            name = own.text(output)
            name = self.real_names.get(name, name)
            if name not in self.shapes:
                own.note(output, f"there is no layer '{name}'", did_you_mean(name, self.shapes))
            elif self._dtype(name) == "label":
                own.note(output, f"'{name}' is a label; an output is numbers")
            outputs[output] = name
        if not self.layers and not self.grows and not self.problems.found:
            network.note("layers", "a network needs at least one layer")
        if (not outputs and self._dtype(self.previous) == "label") or not (
            outputs or self.previous or self.problems.found
        ):
            network.note("layers", f"the network has no layer, and so no output{self._in_stage}")
        return outputs or {"out": self.previous}

    def close_settings(self) -> None:
        """Note settings that changed nothing."""
        if self.grows:
            self.settings.read |= set(self.settings.data)
            return
        for kind in self.settings.data:
            if kind not in KINDS:
                message = f"no layer here is of the kind '{kind}': {expected_one_of(self.counts)}"
                self.settings.note(kind, message, did_you_mean(kind, self.counts))
                continue
            shared = self.settings.table(kind)
            used = {key for k, key in self.used_settings if k == kind}
            for key in shared.data:
                if key not in used and not self.problems.found:
                    shared.note(key, f"no {kind} layer takes this key from here", did_you_mean(key, used))
