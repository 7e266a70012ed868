"""The architecture as a file of the spec, lifted from the functions that ran, where the kinds of layer allow it.

A network that is lifted is evaluated by ganspec with his numbers, and compared with his own; only then is the file written.
So the model can be trained by `ganspec train` and checked by `ganspec crosscheck` as every other network is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems, SpecError
from ganspec.spec.text.files import Library
from ganspec.tools.porting.architecture_layers import CannotLift, Lifting

BOUND = 1e-12  # of the relative difference between his outputs and the network's, in float64


@dataclass(frozen=True)
class Lifted:
    """An architecture that was lifted.

    Args:
        text: its TOML.
        error: the largest relative difference between his outputs and the network's.
    """

    text: str
    error: float


def lift(link: chainer.Link, call: Any, inputs: Mapping[str, np.ndarray], title: str, source: str) -> Lifted:
    """Write his model as an architecture file.

    Args:
        link: an instance of his class, in float64.
        call: function of the link, inputs (variables or labels) and whether it trains, that calls it.
        inputs: arrays by name, of one batch, in float64 or whole numbers.
        title: the file's title.
        source: the file's source.

    Raises:
        CannotLift: there is no form for something in it.
    """
    lifting = Lifting(link, inputs)
    with lifting.recording():
        returned = call(link, lifting.given, True)
    text = _text(lifting, returned, title, source)
    return Lifted(text, _compared(text, lifting, link, call, inputs))


def _text(lifting: Lifting, returned: Any, title: str, source: str) -> str:
    """Write the file."""
    outputs = returned if isinstance(returned, tuple | list) else (returned,)
    if isinstance(returned, dict):
        outputs = tuple(returned.values())
    named = list(returned) if isinstance(returned, dict) else [f"out{i}" for i in range(len(outputs))]
    behind = [lifting.source(v, "the output") for v in outputs]
    if any(b in lifting.given for b in behind):
        raise CannotLift("an output that is an input")
    _drop_unused(lifting, set(behind))
    lines = [f"title = {json.dumps(title)}", f"source = {json.dumps(source)}", "", "[inputs]"]
    for name, value in lifting.given.items():
        if value.dtype.kind == "f":
            lines.append(f"{name} = {list(value.shape[1:])}")
        elif name in lifting.labels and value.ndim == 1:
            lines.append(f"{name} = {{ labels = {lifting.labels[name]} }}")
        else:
            raise CannotLift(f"the input {name}, whole numbers that no embedding reads")
    lines += ["", "[network]", "layers = ["]
    before = next(iter(lifting.given)) if len(lifting.given) == 1 else ""
    for layer in lifting.layers:
        keys = {"kind": layer.kind, "name": layer.name}
        if layer.inputs != [before]:
            keys["from"] = layer.inputs[0] if len(layer.inputs) == 1 else layer.inputs
        lines.append("  { " + ", ".join(f"{k} = {_toml(v)}" for k, v in {**keys, **layer.keys}.items()) + " },")
        before = layer.name
    lines.append("]")
    if len(behind) > 1 or behind[0] != lifting.layers[-1].name:
        lines.append(
            "outputs = { " + ", ".join(f"{n} = {json.dumps(b)}" for n, b in zip(named, behind, strict=True)) + " }"
        )
    return "\n".join(lines) + "\n"


def _drop_unused(lifting: Lifting, used: set[str]) -> None:
    for layer in reversed(list(lifting.layers)):
        if layer.name in used:
            used |= set(layer.inputs)
        else:
            lifting.layers.remove(layer)


def _toml(value: Any) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _compared(text: str, lifting: Lifting, link: chainer.Link, call: Any, inputs: Mapping[str, np.ndarray]) -> float:
    """Evaluate the file with his numbers, in ganspec. Returns: the largest relative difference of the outputs."""
    import torch

    from ganspec.impl_torch.network import Network

    architecture = _read(text)
    network = Network(architecture, "N", dtype="float64")
    state = {
        f"{layer.name}.{n}": torch.tensor(np.array(getattr(a, "array", a)))
        for layer in lifting.layers
        for n, a in layer.arrays.items()
    }
    network.load_state_dict(state)
    worst = 0.0
    dropped = any(layer.kind == "dropout" for layer in lifting.layers)
    for training in (False,) if dropped else (False, True):
        network.train(training)
        own = network(*(torch.tensor(v) for v in inputs.values()))
        his = call(link, lifting.given, training)
        ours = list(own.values()) if isinstance(own, dict) else [own]
        theirs = list(his.values()) if isinstance(his, dict) else list(his) if isinstance(his, tuple | list) else [his]
        for a, b in zip(ours, theirs, strict=True):
            found = np.asarray(b.array)
            size = max(float(np.abs(found).max(initial=0)), 1e-300)
            worst = max(worst, float(np.abs(a.detach().numpy() - found).max(initial=0)) / size)
    if not worst <= BOUND:
        raise CannotLift(f"the network that was lifted differs from his by {worst:.1e}")
    return worst


def _read(text: str) -> Architecture:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lifted.toml").write_text(text, encoding="utf-8")
        problems, library = Problems(), Library(Path(folder))
        try:
            architecture = read_architecture(
                library.find("architectures", "lifted.toml", "", ""), library, {}, problems
            )
            problems.stop_if_any()
        except SpecError as error:
            raise CannotLift(f"the language of architectures refuses it: {error}") from None
    return architecture


__all__ = ["CannotLift", "Lifted", "lift"]
