"""Pairs of a Chainer class and its port, written by hand, to try the proof on; and a stand-in for what a port knows of names."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAIRS = Path(__file__).resolve().parents[1] / "porting" / "pairs"


@dataclass(frozen=True)
class Pair:
    """One class in both frameworks.

    Args:
        name: name of the files.
        cls: name of the class.
        arguments: what its constructor is given.
        inputs: what it is called with, as `ganspec port --input` takes it.
        mode: name of the argument that says test mode, as in Chainer 1; empty for none.
    """

    name: str
    cls: str
    arguments: tuple[Any, ...]
    inputs: tuple[str, ...]
    mode: str = ""


EVERY = {
    pair.name: pair
    for pair in (
        Pair("generator", "Generator", (), ("z=6",)),
        Pair("spectral", "Critic", (), ("x=3,8,8",)),
        Pair("vae", "Encoder", (5, 3), ("x=5:float:-2..2",)),
        Pair("blocks", "Blocks", (), ("x=2,8,8",)),
        Pair("conditional", "Block", (), ("x=2,4,4", "y=:int32:0..4")),
        Pair("attention", "Attention", (3,), ("x=3,4,4",)),
        Pair("old", "Old", (5,), ("x=5",), mode="test"),
        Pair("lstm", "Cell", (3, 4), ("x=3",)),
    )
}


@dataclass(frozen=True)
class Named:
    """One array that both have."""

    chainer_path: str
    torch_key: str
    shape: tuple[int, ...]
    trained: bool


def load(path: Path, changes: Sequence[tuple[str, str]] = ()) -> types.ModuleType:
    """Returns: a module of a file whose text was changed."""
    text = path.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{path.name} has {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), vars(module))
    return module


@dataclass
class Original:
    """His class, as the proof takes it."""

    cls: type
    arguments: tuple[Any, ...]
    mode: str = ""

    def make(self, dtype: str) -> Any:
        import chainer
        import numpy as np

        with chainer.using_config("dtype", np.dtype(dtype)):
            link = self.cls(*self.arguments)
        for parameter in link.params():
            if parameter.array is not None:
                parameter.array = parameter.array.astype(dtype)
        return link

    def call(self, instance: Any, inputs: Mapping[str, Any], training: bool, dtype: str) -> Any:
        import chainer
        import numpy as np

        with chainer.using_config("dtype", np.dtype(dtype)):
            return instance(**inputs, **({self.mode: not training} if self.mode else {}))


@dataclass
class Ported:
    """The port, as the proof takes it."""

    cls: type
    arguments: tuple[Any, ...]
    mode: str = ""

    def make(self, dtype: str) -> Any:
        import torch

        return self.cls(*self.arguments).to(getattr(torch, dtype))

    def call(self, instance: Any, inputs: Mapping[str, Any], training: bool, dtype: str) -> Any:
        return instance(**inputs, **({self.mode: not training} if self.mode else {}))


def both(pair: Pair, bug: Sequence[tuple[str, str]] = ()) -> tuple[Original, Ported]:
    """Returns: his class and the port, which may have a bug: pieces of text, each with another in its place."""
    import sys

    import ganspec.impl_chainer.compat  # noqa: F401

    his, port = load(PAIRS / f"{pair.name}_chainer.py"), load(PAIRS / f"{pair.name}_torch.py", bug)
    sys.modules[his.__name__] = his
    return (
        Original(getattr(his, pair.cls), pair.arguments, pair.mode),
        Ported(getattr(port, pair.cls), pair.arguments, pair.mode),
    )


def named(link: Any) -> list[Named]:
    """Returns: the arrays of a link and their keys in the port, for the links that the pairs have."""
    import chainer.links as L

    found = []
    for path, child in link.namedlinks():
        prefix = path.strip("/")
        for name in [*child._params, *child._persistent]:
            key = name
            if isinstance(child, L.BatchNormalization):
                key = {"gamma": "weight", "beta": "bias", "avg_mean": "running_mean", "avg_var": "running_var"}.get(
                    name, "num_batches_tracked"
                )
            elif isinstance(child, (L.Linear, L.Convolution2D, L.Deconvolution2D, L.EmbedID)):
                key = {"W": "weight", "b": "bias"}[name]
            value = getattr(child, name)
            where = f"{prefix}/{name}" if prefix else name
            into = f"{prefix.replace('/', '.')}.{key}" if prefix else key
            found.append(Named(where, into, getattr(value, "shape", ()) or (), name in child._params))
    return found
