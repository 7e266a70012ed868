"""Networks in PyTorch: evaluated functionally from named arrays, and as the `torch.nn.Module` that users know."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.impl_torch.layers import LAYERS, Mode
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


class Network(torch.nn.Module):
    """A network of a spec as a module, for use in code of one's own.

    Parameters and buffers have their spec's paths with dots: "encoder.c1.W", "bn1.mean". In training mode dropout draws from
    PyTorch's global generator. Initial values are those of the spec, drawn from `seed`.

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
            owner.register_parameter(leaf, torch.nn.Parameter(context.array(values)))
        for path, values in Streams(seed).initial_statistics(name, architecture).items():
            owner, leaf = self._owner(path)
            owner.register_buffer(leaf, context.array(values))

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
        parameters = {path.replace(".", "/"): p for path, p in self.named_parameters()}
        statistics = {path.replace(".", "/"): b for path, b in self.named_buffers()}
        dtype = next((p.dtype for p in parameters.values()), torch.get_default_dtype())
        mode = Mode(self.training, _random_mask, self.fade, dtype)
        outputs = evaluate(self.architecture, parameters, statistics, list(inputs), mode)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def load_training_state(self, state: TrainingState, name: str) -> None:
        """Take the parameters and statistics of the network `name`, or their moving averages, from a checkpoint's state.

        A growing network must be the one of that iteration: from_system(..., iteration=state.iteration).
        """
        arrays = {**state.of(f"parameters/{name}"), **state.of(f"statistics/{name}"), **state.of(f"averages/{name}")}
        self.load_state_dict({path.replace("/", "."): torch.tensor(values) for path, values in arrays.items()})

    def _owner(self, path: str) -> tuple[torch.nn.Module, str]:
        *parents, leaf = path.split("/")
        owner: torch.nn.Module = self
        for parent in parents:
            if parent not in owner._modules:
                owner.add_module(parent, torch.nn.Module())
            owner = owner._modules[parent]  # type: ignore[assignment]
        return owner, leaf


def _random_mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
    keep = 1.0 - layer.settings["rate"]
    return torch.empty_like(like).bernoulli_(keep).div_(keep)
