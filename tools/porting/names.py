"""Which array of a Chainer link is which key of the ported module's state dict.

A Chainer link writes its arrays by path, such as `l0/W` or `blocks/0/bn/avg_mean`. The ported module keeps the names of the
children; a link that becomes a layer of torch.nn has that layer's names for its own arrays (see `LAYER_NAMES`), every other link
keeps Chainer's, and each array keeps its layout. This module touches no file; `snapshots` reads the arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.porting.carry_errors import CarryError

_WEIGHT = {"W": "weight", "b": "bias"}
_SCALE = {"gamma": "weight", "beta": "bias"}
_STATISTICS = {"avg_mean": "running_mean", "avg_var": "running_var", "N": "num_batches_tracked"}

# Links that become a layer of torch.nn, or a class of the same names, and what each of their arrays is called there. The arrays
# of a class that derives from one of them are renamed as well; what the class adds keeps its name.
LAYER_NAMES: dict[str, dict[str, str]] = {
    "Linear": _WEIGHT,
    "Convolution2D": _WEIGHT,
    "ConvolutionND": _WEIGHT,
    "Deconvolution2D": _WEIGHT,
    "DeconvolutionND": _WEIGHT,
    "DilatedConvolution2D": _WEIGHT,
    "DepthwiseConvolution2D": _WEIGHT,
    "EmbedID": {"W": "weight"},
    "PReLU": {"W": "weight"},
    "BatchNormalization": _SCALE | _STATISTICS,
    "LayerNormalization": _SCALE,
    "GroupNormalization": _SCALE,
}


@dataclass(frozen=True)
class CarriedArray:
    """An array of a link tree, and where it goes.

    Args:
        chainer_path: path that Chainer's serializers give it, such as "l0/W".
        torch_key: key in the ported module's state dict, such as "l0.weight"; None for text, which a state dict cannot hold.
        shape: shape; None where the link has not initialised it yet.
        trained: whether an optimiser moves it: True for parameters, False for persistent values.
        same_as: the first path of the same array, where links or parameters are used twice; otherwise its own path.
    """

    chainer_path: str
    torch_key: str | None
    shape: tuple[int, ...] | None
    trained: bool
    same_as: str


def layer_name(link_class: type, name: str) -> str:
    """Returns: the name in the ported class of an array that a link class registers as `name`."""
    for ancestor in link_class.__mro__:
        if ancestor.__module__.startswith("chainer.links.") and name in LAYER_NAMES.get(ancestor.__name__, {}):
            return LAYER_NAMES[ancestor.__name__][name]
    return name


def arrays_of(link: Any) -> tuple[CarriedArray, ...]:
    """List the arrays of a link tree, in the order in which Chainer writes a link's own arrays and then its children.

    A link, or a parameter, that stands in two places gives an array for each, as Chainer's files and state dicts do.

    Args:
        link: a chainer.Link, with any children.

    Raises:
        CarryError: two arrays would have the same key, a name cannot be part of a key, or a class writes by a `serialize` of
            its own what it does not register.
    """
    found = tuple(_walk(link, "", "", {}))
    keys: dict[str | None, str] = {}
    for array in found:
        other = keys.setdefault(array.torch_key, array.chainer_path)
        if array.torch_key is not None and other != array.chainer_path:
            raise CarryError(
                f"the arrays {printable(other)} and {printable(array.chainer_path)} would both be {array.torch_key}",
                type(link).__name__,
                "rename one of them in the class",
            )
    written = _written(link)
    registered = {array.chainer_path for array in found}
    if differing := sorted(written.keys() ^ registered):
        raise CarryError(
            f"{printable(differing[0])} is {'written' if differing[0] in written else 'registered'} by its own serialize() only",
            type(link).__name__,
            "register the value with add_param or add_persistent, or remove the method serialize() for the port",
        )
    return found


def values_of(link: Any) -> dict[str, np.ndarray | None]:
    """Returns: of each path of a link tree the value as an array on the CPU; None where it is not initialised."""
    return {
        path: None if value is None or (a := np.asarray(value)).dtype == object else a
        for path, value in _written(link).items()
    }


def _written(link: Any) -> dict[str, Any]:
    """Returns: what Chainer itself would write of a link, by path."""
    from chainer.serializers import npz

    return npz.serialize(link)


def _walk(link: Any, path: str, key: str, seen: dict[Any, str]) -> Iterator[CarriedArray]:
    own: list[tuple[str, Any, bool, Any]] = [
        (name, getattr(link, name).array, True, id(getattr(link, name))) for name in sorted(link._params)
    ]
    for name in sorted(link._persistent):
        value = getattr(link, name)
        own.append((name, value, False, id(value) if hasattr(value, "shape") else (id(link), name)))
    for name, value, trained, identity in own:
        shape = None if value is None else np.shape(value)
        text = isinstance(value, (str, bytes))
        torch_key = None if text else key + _free(link, layer_name(type(link), name))
        same_as = path + name if value is None and not trained else seen.setdefault(identity, path + name)
        yield CarriedArray(path + name, torch_key, shape, trained, same_as)
    for name, place, child in _children(link):
        yield from _walk(child, f"{path}{name}/", f"{key}{_free(link, place)}.", seen)


def _children(link: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield of each child its name in Chainer, its name in the ported module, and itself."""
    children = getattr(link, "_children", ())
    if isinstance(children, (set, frozenset)):  # a Chain
        for name in sorted(children):
            yield name, name, getattr(link, name)
    elif hasattr(link, "_layers"):  # a Sequential: Chainer counts its links, nn.Sequential its functions as well
        places = [(i, layer) for i, layer in enumerate(link._layers) if any(layer is child for child in children)]
        for number, child in enumerate(children):
            taken = next(n for n, (_, layer) in enumerate(places) if layer is child)
            yield str(number), str(places.pop(taken)[0]), child
    else:
        for number, child in enumerate(children):
            yield str(number), str(number), child


def _free(link: Any, name: str) -> str:
    """Returns: a name as a part of a key; what torch.nn.Module has itself, such as `half`, ends with a line in the port."""
    from ganspec.tools.porting.translating.links import taken

    if "." in name or not name:
        raise CarryError(
            f"the name {printable(repr(name))} cannot be part of a key of a state dict, whose parts are joined by dots",
            type(link).__name__,
            "give it a name without a dot",
        )
    return f"{name}_" if taken(name) and not name.startswith("_") else name
