"""Networks in Chainer: evaluated functionally from named arrays, and as the `chainer.Chain` that users know."""

from __future__ import annotations

from collections.abc import Mapping

import chainer

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.layers import LAYERS, Mode
from ganspec.spec import load_system
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Streams


def evaluate(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    statistics: Mapping[str, Array],
    inputs: list[Array],
    mode: Mode,
) -> dict[str, Array]:
    """Evaluate a network.

    Args:
        architecture: what it is.
        parameters: by path, such as "l1/W".
        statistics: by path, such as "bn1/mean"; in training they move in place.
        inputs: in the architecture's order, each (N, ...).
        mode: training or inference.

    Returns: each output by name.
    """
    values = dict(zip(architecture.inputs, inputs, strict=True))
    for layer in architecture.layers:
        own = {p.name: parameters[f"{layer.name}/{p.name}"] for p in layer.parameters}
        running = {s.name: statistics[f"{layer.name}/{s.name}"] for s in layer.statistics}
        values[layer.name] = LAYERS[layer.kind](layer, [values[i] for i in layer.inputs], own, running, mode)
    return {output: values[layer] for output, layer in architecture.outputs.items()}


class Network(chainer.Chain):
    """A network of a spec as a chain, for use in code of one's own.

    Parameters and persistent arrays have their spec's paths: "encoder/c1/W", "bn1/mean". Where `chainer.config.train` is set,
    dropout draws from the array library's global generator. Initial values are those of the spec, drawn from `seed`.

    Args:
        architecture: what it is.
        name: its name in its system, which initial values depend on.
        seed: the seed of the initial values.
        fade: of a growing network, how far its stage is, from 0 to 1.
    """

    def __init__(
        self, architecture: Architecture, name: str, seed: int = 0, dtype: str = "float32", fade: float = 0.0
    ) -> None:
        super().__init__()
        self.architecture, self.fade = architecture, fade
        context = ArrayContext("cpu", dtype)
        for path, values in Streams(seed).initial_parameters(name, architecture).items():
            owner, leaf = self._owner(path)
            with owner.init_scope():
                setattr(owner, leaf, chainer.Parameter(context.array(values).array))
        for path, values in Streams(seed).initial_statistics(name, architecture).items():
            owner, leaf = self._owner(path)
            owner.add_persistent(leaf, context.array(values).array)

    @classmethod
    def from_system(
        cls, system: str, name: str, seed: int = 0, dtype: str = "float32", iteration: int | None = None
    ) -> Network:
        """Returns: a network of a system, such as ("began_mnist", "G"); a growing one as it is in an iteration, or at its end.

        Raises:
            SpecError: there is no such system, or it is wrong.
            KeyError: the system has no such network.
        """
        loaded = load_system(system)
        stage, fade = (-1, 0.0) if iteration is None else loaded.at(iteration)
        return cls(loaded.stages[stage].networks[name], name, seed, dtype, fade)

    def forward(self, *inputs: Array) -> Array | dict[str, Array]:
        """Returns: the output, or each output by name where there are several."""
        parameters = {path.removeprefix("/"): p for path, p in self.namedparams()}
        statistics = {path: chainer.as_variable(self._statistic(path)) for path in self.architecture.statistic_paths()}
        given = [chainer.as_variable(x) for x in inputs]
        dtype = next((p.dtype for p in parameters.values()), chainer.get_dtype())
        mode = Mode(chainer.config.train, _random_mask, self.fade, dtype)
        outputs = evaluate(self.architecture, parameters, statistics, given, mode)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def load_training_state(self, state: TrainingState, name: str) -> None:
        """Take the parameters and statistics of the network `name`, or their moving averages, from a checkpoint's state.

        A growing network must be the one of that iteration: from_system(..., iteration=state.iteration).
        """
        arrays = {**state.of(f"parameters/{name}"), **state.of(f"statistics/{name}"), **state.of(f"averages/{name}")}
        parameters = dict(self.namedparams())
        for path, values in arrays.items():
            array = parameters[f"/{path}"].array if f"/{path}" in parameters else self._statistic(path)
            array[...] = self.xp.asarray(values)

    def _owner(self, path: str) -> tuple[chainer.Link, str]:
        *parents, leaf = path.split("/")
        owner: chainer.Chain = self
        for parent in parents:
            if parent not in {child.name for child in owner.children()}:
                owner.add_link(parent, chainer.Chain())
            owner = owner[parent]
        return owner, leaf

    def _statistic(self, path: str) -> chainer.types.NdArray:
        owner, leaf = self._owner(path)
        return getattr(owner, leaf)


def _random_mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
    keep = 1.0 - layer.settings["rate"]
    kept = like.xp.random.random_sample(shape) < keep
    return Array(like.xp.multiply(kept, 1.0 / keep, dtype=like.dtype), requires_grad=False)
