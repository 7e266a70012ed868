"""Which array of somebody's network is which parameter of the spec's: by a dictionary, by name, or by order and shape.

Arrays are matched layer by layer, for a framework may list the arrays of one layer in an order of its own. Roles make names
comparable: `weight` of a linear layer, `kernel` and `W` are one role, `running_mean` and `avg_mean` another. An array may have
its axes in another order (a NumPy matrix of (inputs, outputs)); which order that is, its shape says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.spec.layers import format_shape
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.text.errors import counted, did_you_mean
from ganspec.tools.conformance.errors import ConformanceError

# The role that a name's last part plays, where another framework calls it differently.
_ROLES = {
    "weight": "W", "kernel": "W", "w": "W", "weight_orig": "W", "original": "W", "original0": "W",
    "bias": "b", "scale": "gamma", "shift": "beta", "offset": "beta",
    "running_mean": "mean", "avg_mean": "mean", "moving_mean": "mean",
    "running_var": "variance", "avg_var": "variance", "moving_variance": "variance", "var": "variance",
    "weight_u": "u", "_u": "u",
}  # fmt: skip
_IGNORED = re.compile(r"(^|[./])(num_batches_tracked|N|weight_v|_v)$")
_NORMS = {"W": "gamma", "b": "beta"}  # roles of a batch norm's arrays, which PyTorch calls weight and bias
# Orders of axes in which a weight may lie, by number of axes; the first is the spec's own.
_ORDERS = {2: ((0, 1), (1, 0)), 4: ((0, 1, 2, 3), (3, 2, 0, 1))}


@dataclass(frozen=True)
class Held:
    """An array that somebody's network holds.

    Args:
        name: its name there, "layers.0.weight".
        shape: its shape.
        trained: whether it is a parameter, not a statistic.
    """

    name: str
    shape: tuple[int, ...]
    trained: bool

    @property
    def layer(self) -> str:
        """The name of the layer that holds it."""
        parts = re.split(r"[./]", self.name)[:-1]
        if "parametrizations" in parts:  # PyTorch's spectral norm: "l.parametrizations.weight.0._u"
            parts = parts[: parts.index("parametrizations")]
        return ".".join(parts)

    @property
    def role(self) -> str:
        last = re.split(r"[./]", self.name)[-1]
        return _ROLES.get(last.lower() if last.lower() == "w" else last, last)


@dataclass(frozen=True)
class Match:
    """Where the spec's array is to be found.

    Args:
        name: name of the array in somebody's network.
        axes: order of axes: theirs is ours transposed by it.
        shape: shape of theirs.
    """

    name: str
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def theirs(self, ours: np.ndarray) -> np.ndarray:
        """Returns: the spec's values as somebody's network holds them."""
        turned = ours.transpose(_inverse(self.axes)) if len(self.axes) == ours.ndim else ours
        return np.ascontiguousarray(turned).reshape(self.shape)

    def ours(self, theirs: np.ndarray) -> np.ndarray:
        """Returns: somebody's values as the spec holds them."""
        return theirs.transpose(self.axes) if len(self.axes) == theirs.ndim else theirs


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(axes))


def match_arrays(
    architecture: Architecture, held: Sequence[Held], given: Mapping[str, str] | None = None, what: str = "the network"
) -> dict[str, Match]:
    """Find the spec's parameters and statistics among the arrays of somebody's network.

    Args:
        architecture: architecture of the spec.
        held: arrays of the network, in the order in which it was built.
        given: names of theirs by the spec's paths, for what is to be matched so; a name may be that of a layer.
        what: what messages call the network, "D".

    Returns: the match of each path of a parameter or statistic.

    Raises:
        ConformanceError: something does not fit; the message names it, and what is nearest.
    """
    held = [h for h in held if not _IGNORED.search(h.name)]
    wanted = {
        **{path: (p.shape, True) for path, p in architecture.parameter_paths().items()},
        **{path: (s.shape, False) for path, s in architecture.statistic_paths().items()},
    }
    names = _given(wanted, held, given or {}, what)
    rest_wanted = {path: value for path, value in wanted.items() if path not in names}
    taken = set(names.values())
    rest_held = [h for h in held if h.name not in taken]
    names |= _by_name(rest_wanted, rest_held) or _by_order_of_kinds(rest_wanted, rest_held, what)
    shapes = {h.name: h.shape for h in held}
    return _with_axes({path: (names[path], wanted[path][0], shapes[names[path]]) for path in wanted}, what)


def _given(
    wanted: Mapping[str, tuple[tuple[int, ...], bool]], held: Sequence[Held], given: Mapping[str, str], what: str
) -> dict[str, str]:
    """Returns: name by path, as a dictionary of the user says; whole layers of it are spelt out."""
    there = {h.name for h in held}
    layers = {path.rpartition("/")[0] for path in wanted}
    names: dict[str, str] = {}
    for path, name in given.items():
        if path in wanted and name in there:
            names[path] = name
        elif path in layers and any(h.layer == name for h in held):
            roles = {_fitting_role(h, wanted, path): h.name for h in held if h.layer == name}
            names |= {
                p: roles[p.rpartition("/")[2]] for p in wanted if _is_in(p, path) and p.rpartition("/")[2] in roles
            }
        elif path in wanted or path in layers:
            hint = did_you_mean(name, [*there, *(h.layer for h in held)])
            raise ConformanceError(f"mapping: {what} has no array or layer '{name}'" + (f"; {hint}" if hint else ""))
        else:
            hint = did_you_mean(path, [*wanted, *layers])
            raise ConformanceError(f"mapping: the spec's {what} has no '{path}'" + (f"; {hint}" if hint else ""))
    return names


def _is_in(path: str, layer: str) -> bool:
    return path.rpartition("/")[0] == layer


def _fitting_role(h: Held, wanted: Mapping[str, object], layer: str) -> str:
    return h.role if f"{layer}/{h.role}" in wanted else _NORMS.get(h.role, h.role)


def _by_name(wanted: Mapping[str, tuple[tuple[int, ...], bool]], held: Sequence[Held]) -> dict[str, str] | None:
    """Returns: name by path, if every layer of the spec has the layer of that name there; else None."""
    found: dict[str, str] = {}
    for path in wanted:
        layer, _, role = path.rpartition("/")
        names = [
            h.name
            for h in held
            if h.layer == layer.replace("/", ".") and role in (h.role, _fitting_role(h, wanted, layer))
        ]
        if len(names) != 1:
            return None
        found[path] = names[0]
    return found if len(found) == len(held) else None


def _by_order_of_kinds(
    wanted: Mapping[str, tuple[tuple[int, ...], bool]], held: Sequence[Held], what: str
) -> dict[str, str]:
    """Returns: name by path, by the order of all layers, or else by that of batch norms and that of all others.

    Code may make its batch norms after its convolutions.
    """
    try:
        return _by_order(wanted, held, what)
    except ConformanceError as error:
        norms = {h.layer for h in held if h.role in ("gamma", "mean")}
        ours = {path.rpartition("/")[0] for path in wanted if path.rpartition("/")[2] in ("gamma", "mean")}
        found: dict[str, str] = {}
        for norm in (False, True):
            part = {path: value for path, value in wanted.items() if (path.rpartition("/")[0] in ours) == norm}
            try:
                found |= _by_order(part, [h for h in held if (h.layer in norms) == norm], what)
            except ConformanceError:
                raise error from None
        return found


def _by_order(wanted: Mapping[str, tuple[tuple[int, ...], bool]], held: Sequence[Held], what: str) -> dict[str, str]:
    """Returns: name by path; the k-th layer of the spec that holds arrays is the k-th one there."""
    ours, theirs = _layers(wanted, lambda path: path.rpartition("/")[0]), _layers({h.name: h for h in held}, None)
    found: dict[str, str] = {}
    for (layer, paths), (other, names) in zip(ours.items(), theirs.items(), strict=False):
        roles = {_fitting_role(held_by(held, name), wanted, layer): name for name in names}
        for path in paths:
            role = path.rpartition("/")[2]
            if role not in roles:
                raise ConformanceError(
                    _misfit(wanted, held, what, f"{layer} is matched with {other or what}, which has no {role}")
                )
            name = roles.pop(role)
            if not _orders(wanted[path][0], held_by(held, name).shape):
                shapes = f"{format_shape(wanted[path][0])} and {format_shape(held_by(held, name).shape)}"
                raise ConformanceError(
                    _misfit(wanted, held, what, f"{path} is matched with {name}, but their shapes differ: {shapes}")
                )
            found[path] = name
        if roles:
            extra = next(iter(roles.values()))
            raise ConformanceError(
                _misfit(wanted, held, what, f"{other or what} is matched with {layer}, but has {extra} besides")
            )
    if len(ours) != len(theirs):
        counts = f"it has {counted(len(theirs), 'layer')} with arrays, the spec {len(ours)}"
        raise ConformanceError(_misfit(wanted, held, what, counts))
    return found


def held_by(held: Iterable[Held], name: str) -> Held:
    """Returns: the array of a name, which is there."""
    return next(h for h in held if h.name == name)


def _layers(names: Mapping[str, object], layer: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in names.items():
        key = value.layer if isinstance(value, Held) else name.rpartition("/")[0]
        found.setdefault(key, []).append(name)
    return found


def _misfit(wanted: Mapping[str, tuple[tuple[int, ...], bool]], held: Sequence[Held], what: str, why: str) -> str:
    """Returns: the whole message: why, both lists side by side, and how to mend it."""
    ours = [f"{path} {format_shape(shape)}" for path, (shape, _) in wanted.items()]
    theirs = [f"{h.name} {format_shape(h.shape)}" for h in held]
    width = max(map(len, ours), default=0)
    lines = [f"the arrays of {what} do not fit the spec's: {why}", f"    {'spec':<{width}}   yours"]
    for i in range(min(max(len(ours), len(theirs)), 40)):
        left, right = (side[i] if i < len(side) else "-" for side in (ours, theirs))
        lines.append(f"    {left:<{width}}   {right}")
    lines.append(
        f'    mend the network, or name the arrays: mapping={{"{what}": {{"{next(iter(wanted), "l1/W")}": "...", ...}}}}'
    )
    return "\n".join(lines)


def _orders(ours: tuple[int, ...], theirs: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Returns: the orders of axes by which an array of their shape becomes one of ours; () where only sizes of 1 differ."""
    orders = (
        [o for o in _ORDERS.get(len(ours), ((*range(len(ours)),),)) if tuple(theirs[i] for i in o) == ours]
        if len(ours) == len(theirs)
        else []
    )
    if not orders and [n for n in ours if n != 1] == [n for n in theirs if n != 1]:
        return [()]
    return orders


def _with_axes(found: Mapping[str, tuple[str, tuple[int, ...], tuple[int, ...]]], what: str) -> dict[str, Match]:
    """Settle the order of axes: a square matrix is turned if those are whose shape tells."""
    turned: dict[int, set[tuple[int, ...]]] = {}
    for path, (name, ours, theirs) in found.items():
        orders = _orders(ours, theirs)
        if not orders:
            shapes = f"{format_shape(ours)} and {format_shape(theirs)}"
            raise ConformanceError(f"{path} of {what} cannot be {name}: their shapes differ: {shapes}")
        if len(orders) == 1:
            turned.setdefault(len(ours), set()).add(orders[0])
    matches = {}
    for path, (name, ours, theirs) in found.items():
        orders = _orders(ours, theirs)
        seen = turned.get(len(ours), set())
        axes = next((o for o in orders if len(seen) == 1 and o in seen), orders[0])
        matches[path] = Match(name, axes, theirs)
    return matches
