"""Runs his model, in Chainer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L
import numpy as np

from ganspec.tools.conformance.chainer_arrays import replaced
from ganspec.tools.porting.allowance import Movement
from ganspec.tools.porting.draws import Recorder
from ganspec.tools.porting.inputs import nested
from ganspec.tools.porting.outputs import is_array, leaves
from ganspec.tools.porting.sides import Model, NamedArray, Ran, first_line, projection

# How inputs may be given: his code wants variables, or arrays of whole numbers, or arrays alone.
WAYS = ("variables", "all variables", "arrays")
_NUMBERS = (bool, int, float, np.generic)


class OriginalSide:
    """His model, ready to be run.

    Args:
        model: his model.
        arrays: the arrays that the port has, too.
        watch: what stands around everything of his that runs, such as `coverage.Coverage`.
    """

    def __init__(
        self, model: Model, arrays: Sequence[NamedArray], watch: contextlib.AbstractContextManager | None = None
    ) -> None:
        self.model, self.arrays = model, arrays
        self.way = WAYS[0]
        self._watch = watch or contextlib.nullcontext()

    def make(self, dtype: str, values: Mapping[str, np.ndarray] | None, seed: int = 0) -> chainer.Link:
        """Returns: a new instance.

        Args:
            dtype: its precision.
            values: all arrays by their paths; None for those that his class draws.
            seed: seed of what the class draws.
        """
        with Recorder(seed).recording(remember=False), self._watch:
            link = self.model.make(dtype)
        if values is not None:
            write_arrays(link, values, dtype)
        return link

    def run(
        self,
        link: chainer.Link,
        inputs: Mapping[str, np.ndarray],
        *,
        training: bool,
        dtype: str,
        recorder: Recorder,
        order: int = 1,
        seed: int = 0,
        movement: Movement | None = None,
    ) -> Ran:
        """Call his model once.

        Args:
            link: instance.
            inputs: arrays by name.
            training: whether `chainer.config.train` is set.
            dtype: precision of the instance.
            recorder: what its draws are recorded with.
            order: 0 for outputs alone, 1 with gradients, 2 with gradients of gradients.
            seed: seed of the projection.
            movement: moves what each function gives by one rounding; None for exact numbers.

        Returns: what it gave.
        """
        given = {name: self._given(value) for name, value in inputs.items()}
        names = _Names()
        moved = moving(movement) if movement is not None else contextlib.nullcontext()
        with chainer.using_config("train", training), chainer.using_config("enable_backprop", True), moved, names:
            with recorder.recording(), self._watch:
                returned = self.model.call(link, nested(given), training, dtype)
            found = dict(leaves(returned))
            ran = Ran({path: _plain(value) for path, value in found.items()}, functions=names.seen)
            if order:
                self._differentiate(ran, link, given, found, dtype, order, seed)
        ran.states = read_states(link)
        ran.inputs = {name: _plain(value) for name, value in given.items()}
        ran.parameters = {path: np.array(p.array) for path, p in parameters_of(link) if p.array is not None}
        return ran

    def _given(self, value: np.ndarray) -> Any:
        floating = value.dtype.kind == "f"
        if self.way == "arrays" or (self.way == "variables" and not floating):
            return value.copy()
        return chainer.Variable(value.copy(), requires_grad=floating)

    def _differentiate(
        self,
        ran: Ran,
        link: chainer.Link,
        given: Mapping[str, Any],
        found: Mapping[str, Any],
        dtype: str,
        order: int,
        seed: int,
    ) -> None:
        parameters = dict(parameters_of(link))
        wanted = {
            a.chainer_path.strip("/"): parameters.get(a.chainer_path.strip("/")) for a in self.arrays if a.trained
        }
        wanted = {path: p for path, p in wanted.items() if p is not None}
        wanted |= {f"input {n}": v for n, v in given.items() if isinstance(v, chainer.Variable) and v.dtype.kind == "f"}
        ends = {
            path: y
            for path, y in found.items()
            if isinstance(y, chainer.Variable) and y.dtype.kind == "f" and y.creator_node is not None
        }
        factors: dict[int, tuple[Any, np.ndarray]] = {}  # of a variable that is returned twice, their sum
        for path, y in ends.items():
            factor = projection(path, y.shape, seed, dtype).astype(y.dtype)
            factors[id(y)] = (y, factors[id(y)][1] + factor if id(y) in factors else factor)
        last = [y for y, _ in factors.values()]
        weights = [chainer.Variable(factor) for _, factor in factors.values()]
        own = list(wanted.values())
        if order > 1:
            try:
                first = _gradients(last, own, weights, again=True)
                # A gradient that no graph leads to is constant.
                there = [g for g in first if g is not None and g.creator_node is not None]
                second = _gradients(there, own, [chainer.Variable(2 * g.array) for g in there], again=False)
            except Exception as error:  # of each function that has none, another
                ran.why_no_second = f"Chainer has no second gradient here: {first_line(error)}"
            else:
                ran.gradients = dict(zip(wanted, map(_array_or_none, first), strict=True))
                ran.second = dict(zip(wanted, map(_array_or_none, second), strict=True))
                return
        first = _gradients(last, own, weights, again=False)
        ran.gradients = dict(zip(wanted, map(_array_or_none, first), strict=True))


def _gradients(ends: list[Any], wanted: list[Any], weights: list[Any], *, again: bool) -> list[Any]:
    if not ends or not wanted:
        return [None] * len(wanted)
    return list(chainer.grad(ends, wanted, weights, enable_double_backprop=again))


def _plain(value: Any) -> Any:
    value = value.array if isinstance(value, chainer.Variable) else value
    return np.array(value) if is_array(value) else value


def _array_or_none(value: Any) -> np.ndarray | None:
    return None if value is None else np.array(value.array)


def parameters_of(link: chainer.Link) -> Iterator[tuple[str, chainer.Parameter]]:
    """Yields: path, such as "l0/W", and parameter."""
    for path, parameter in link.namedparams():
        yield path.strip("/"), parameter


def _owned(link: chainer.Link) -> Iterator[tuple[str, chainer.Link, str]]:
    """Yields: path of each attribute of each link, the link, and the attribute's name."""
    for path, child in link.namedlinks():
        inside = path.strip("/")
        for name in vars(child):
            yield f"{inside}/{name}" if inside else name, child, name


def read_arrays(link: chainer.Link) -> dict[str, Any]:
    """Returns: parameters and persistent values by path; a parameter that is not initialised is None."""
    found: dict[str, Any] = {}
    for path, child, name in _owned(link):
        if name in child._params:
            value = vars(child)[name].array
            found[path] = None if value is None else np.array(value)
        elif name in child._persistent:
            found[path] = vars(child)[name]
    return found


def write_arrays(link: chainer.Link, values: Mapping[str, np.ndarray], dtype: str) -> None:
    """Give a link all its parameters and persistent values."""
    for path, child, name in list(_owned(link)):
        if path not in values:
            continue
        value = np.asarray(values[path])
        value = value.astype(dtype) if value.dtype.kind == "f" else value
        if name in child._params:
            parameter = vars(child)[name]
            if parameter.array is None:
                parameter.initialize(value.shape)
            parameter.array = value.copy()
        elif name in child._persistent:
            before = vars(child)[name]
            vars(child)[name] = type(before)(value) if isinstance(before, (bool, int, float)) else value.copy()


def read_states(link: chainer.Link) -> dict[str, Any]:
    """Returns: what a link holds beside its parameters, by path: persistent values, arrays and numbers in plain attributes."""
    found: dict[str, Any] = {}
    for path, child, name in _owned(link):
        value = vars(child)[name]
        if name in child._params or isinstance(value, chainer.Parameter):
            continue
        if name == "N" and isinstance(
            child, L.BatchNormalization
        ):  # counts while it fine-tunes; PyTorch's counts calls
            continue
        if isinstance(value, chainer.Variable):
            value = value.array
        if isinstance(value, _NUMBERS) or (is_array(value) and value.dtype.kind in "fiub"):
            found[path] = np.array(value) if is_array(value) else value
    return found


class _Names(chainer.FunctionHook):
    """Takes down which functions run."""

    name = "ganspec port"

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def forward_preprocess(self, function: Any, in_data: Any) -> None:
        self.seen.add(function._impl_name if hasattr(function, "_impl_name") else type(function).__name__)


@contextlib.contextmanager
def moving(movement: Movement) -> Iterator[None]:
    """Move what each function of Chainer gives by one rounding."""
    original = chainer.FunctionNode.apply

    def apply(self: Any, inputs: Any) -> Any:
        outputs = original(self, inputs)
        for y in outputs:
            if y.dtype.kind == "f":
                y.array = movement.array(y.array)
        return outputs

    with replaced(chainer.FunctionNode, "apply", apply):
        yield
