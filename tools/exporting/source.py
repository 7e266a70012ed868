"""A network as the source of a class of a framework: what reads well, imports the framework alone, and computes the same.

A dialect, PyTorch's or Chainer's, has a row for each kind of layer. A row gets a `Place` and returns what it wrote: an expression
for the layer's value, the members of the class that the expression uses with their arrays, and functions that it calls. Names and
texts come from specs, perhaps a stranger's: names become identifiers, texts become comments of printable characters.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.layers import Shape, format_shape
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.network.reserved import OWNED
from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError
from ganspec.tools.exporting.model import Model

_OWNED = {name for owned in OWNED.values() for name in owned.split()}
_LOCAL = {"self", "h", "dtype", "load", "F", "L", "nn", "torch", "chainer", "numpy", "os", "pathlib"}  # names of a file
_WIDTH = 100  # columns of a comment


@dataclass(frozen=True)
class Member:
    """A member of the class, such as `self.l1 = nn.Linear(3, 6)`.

    Args:
        suffix: what follows the layer's name, "" or "_gamma".
        made: source that makes it.
        arrays: arrays by their names in the member; "" is the member itself.
    """

    suffix: str
    made: str
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Written:
    """What a row writes of a layer.

    Args:
        expression: source of the layer's value.
        members: members of the class that it uses.
        functions: names of the functions that it calls; the dialect has their sources.
    """

    expression: str
    members: tuple[Member, ...] = ()
    functions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """What a row is told.

    Args:
        layer: the layer.
        x: source of each value that it reads.
        shapes: shape of each, for one sample.
        me: source of the layer's member, "self.l1"; with a suffix that of another.
        arrays: the layer's arrays by short names.
        fade: progress of the stage of growth.
    """

    layer: Layer
    x: list[str]
    shapes: list[Shape]
    me: str
    arrays: Mapping[str, np.ndarray]
    fade: float

    @property
    def settings(self) -> Mapping[str, Any]:
        """The layer's settings."""
        return self.layer.settings

    @property
    def channels(self) -> int:
        """The number of channels of the first value that it reads."""
        return self.shapes[0][0]

    def array(self, name: str, otherwise: float) -> np.ndarray:
        """Returns: an array of one number for each channel, which the layer may lack."""
        return self.arrays.get(name, np.full(self.channels, otherwise, self.dtype))

    @property
    def dtype(self) -> Any:
        """The dtype of the layer's arrays."""
        return next((array.dtype for array in self.arrays.values()), np.dtype(np.float32))

    def spread(self, name: str) -> np.ndarray:
        """Returns: an array whose axes are the first ones of a sample, such that it is broadcast against samples."""
        array = self.arrays[name]
        return array.reshape(*array.shape, *(1,) * (len(self.shapes[0]) - array.ndim)) if array.ndim else array


Row = Callable[[Place], Written]


@dataclass(frozen=True)
class Dialect:
    """How a framework writes a network.

    Args:
        rows: a row for each kind of layer.
        functions: source of each function that rows call.
        separator: what stands between a member and its array, in names of weights.
        copy: form of a copy of x, for an output that is an input: a network of no layers.
    """

    rows: Mapping[str, Row]
    functions: Mapping[str, str]
    separator: str
    copy: str


@dataclass
class Source:
    """A network as source.

    Args:
        class_name: name of the class.
        functions: source of the functions that it calls.
        members: source of its members.
        forward: lines of its function `forward`.
        inputs: names of the arguments of `forward`.
        arrays: arrays by their names in the framework.
    """

    class_name: str
    functions: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def call(name: str, *settings: str) -> Row:
    """Returns: a row that calls a function of the file with settings of the layer."""

    def row(p: Place) -> Written:
        values = "".join(f", {p.settings[key]!r}" for key in settings)
        return Written(f"{name}({p.x[0]}{values})", functions=(name,))

    return row


def form(text: str) -> Row:
    """Returns: a row that fills settings of the layer, and its first value as x, into a form."""
    return lambda p: Written(text.format(**{key: repr(v) for key, v in p.settings.items()}, x=p.x[0]))


def folded(sign: str) -> Row:
    """Returns: a row that puts a sign between all of its values."""
    return lambda p: Written(f" {sign} ".join(p.x))


def short(sizes: tuple[int, ...]) -> Any:
    """Returns: one number for equal ones."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def written_source(model: Model, dialect: Dialect) -> Source:
    """Write a network.

    Args:
        model: network to write.
        dialect: rows of a framework.

    Raises:
        UserError: a layer is of a kind, or of a shape, that the dialect has no row for.
    """
    network, taken = model.architecture, _LOCAL | set(dialect.functions)
    source = Source(identifier(model.name, set(taken)))
    values = {name: identifier(name, taken) for name in network.inputs}
    source.inputs = list(values.values())
    readers, members, functions = _readers(network), set(_OWNED), list[str]()
    for i, layer in enumerate(network.layers):
        if layer.kind not in dialect.rows:
            raise UserError(
                f"the layer {layer.name} of {model.name} is of the kind {layer.kind}, which cannot be exported"
            )
        attribute = identifier(layer.name, members)
        own = {p.name: model.arrays[f"{layer.name}/{p.name}"] for p in (*layer.parameters, *layer.statistics)}
        place = Place(
            layer, [values[x] for x in layer.inputs], [network.shape_of(x) for x in layer.inputs], f"self.{attribute}", own,
            model.fade,
        )  # fmt: skip
        row = dialect.rows[layer.kind](place)
        # A value that only the next layer reads is "h"; others have names of their own.
        values[layer.name] = "h" if readers[layer.name] <= {i + 1} else identifier(layer.name, taken)
        comment = f"  # {format_shape(layer.shape)}" if layer.shape != place.shapes[0] else ""
        if values[layer.name] != row.expression:
            source.forward.append(f"{values[layer.name]} = {row.expression}{comment}")
        functions += [name for name in row.functions if name not in functions]
        for member in row.members:
            full = attribute + member.suffix
            members.add(full)
            source.members.append(f"self.{full} = {member.made}")
            for name, array in member.arrays.items():
                source.arrays[f"{full}{dialect.separator}{name}" if name else full] = array
    outputs = {
        name: dialect.copy.format(x=values[layer]) if layer in network.inputs else values[layer]
        for name, layer in network.outputs.items()
    }
    one = next(iter(outputs.values()))
    pairs = ", ".join(f'"{name}": {value}' for name, value in outputs.items())
    source.forward.append(f"return {one}" if len(outputs) == 1 else f"return {{{pairs}}}")
    source.functions = [dialect.functions[name] for name in functions]
    return source


def identifier(name: str, taken: set[str]) -> str:
    """Returns: an identifier like a name of a spec, such as "encoder/c1", that is not taken yet; it is taken from now on."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_") or "layer"
    plain = f"n{plain}" if plain[0].isdigit() else plain
    found = plain
    while found in taken or keyword.iskeyword(found) or keyword.issoftkeyword(found) or hasattr(builtins, found):
        found += "_"
    taken.add(found)
    return found


def comments(lines: Iterable[str]) -> list[str]:
    """Returns: lines as comments, each on one line, of printable characters of bounded number."""
    texts = (printable(line).encode("ascii", "backslashreplace").decode() for line in lines)
    return [f"# {text if len(text) <= 5 * _WIDTH else text[: 5 * _WIDTH] + '...'}".rstrip() for text in texts]


def described(model: Model) -> list[str]:
    """Returns: what is said of a network at the head of a file, line by line, as plain text."""
    facts = model.facts
    low, high = facts["range"]
    lines = [
        f"{facts['network']} of {facts['system']}, after {facts['iteration']:,} iterations: {facts['title']}",
        f"source: {facts['source']}",
        f"weights: {'moving average' if facts['weights'] == 'averaged' else 'as trained'}; exported by ganspec "
        f"{facts['ganspec']} from the run {facts['run']}",
        "",
    ]
    for name, known in facts["inputs"].items():
        if "labels" in known:
            lines.append(f"{name}: (N,), int64, labels from 0 to {known['labels'] - 1}")
        else:
            sample = known.get("sample", "")
            of = f", images from {low:g} to {high:g}" if sample == "images" else f", drawn from {sample}" * bool(sample)
            lines.append(f"{name}: ({', '.join(['N', *map(str, known['shape'])])}), {known['dtype']}{of}")
    for name, shape in facts["outputs"].items():
        image = f", images from {low:g}, black, to {high:g}, white" if len(shape) == 3 else ""
        lines.append(f"{name}: ({', '.join(['N', *map(str, shape)])}), {facts['dtype']}{image}")
    if classes := facts.get("classes"):
        lines.append(f"classes: {', '.join(f'{i} {name}' for i, name in enumerate(classes))}")
    return lines


def _readers(network: Architecture) -> dict[str, set[int]]:
    """Returns: numbers of the layers that read each layer; an output that is returned counts as a layer after the last."""
    found: dict[str, set[int]] = {layer.name: set() for layer in network.layers}
    for i, layer in enumerate(network.layers):
        for name in layer.inputs:
            found.get(name, set()).add(i)
    for name in network.outputs.values():
        found.get(name, set()).add(len(network.layers))
    return found
