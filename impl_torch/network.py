"""Networks in PyTorch: evaluated functionally from named arrays, and as the `torch.nn.Module` that users know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.impl_torch.layers import LAYERS, parts_of
from ganspec.impl_torch.mode import Mode
from ganspec.spec import load_system
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.training.runs import read_run
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Streams

# Kinds whose derivative a framework computes from their own output, tanh' = 1 - tanh^2.
OUTPUT_IN_DERIVATIVE = ("tanh", "sigmoid", "elu", "exp", "sqrt", "softmax")


def evaluate(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    statistics: Mapping[str, Array],
    inputs: list[Array],
    mode: Mode,
) -> dict[str, Array]:
    """Evaluate a network.

    Args:
        architecture: architecture of the network.
        parameters: parameters by path, such as "l1/W".
        statistics: running statistics by path, such as "bn1/mean"; in training they move in place.
        inputs: values in the order of the architecture's inputs, each (N, ...).
        mode: training or inference.

    Returns: each output by name.
    """
    return outputs_of(architecture, evaluate_layers(architecture, parameters, statistics, inputs, mode))


def evaluate_layers(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    statistics: Mapping[str, Array],
    inputs: list[Array],
    mode: Mode,
    *,
    look: Callable[[str, Array], Array] | None = None,
    unjoined: Collection[str] = (),
) -> dict[str, Array]:
    """Evaluate a network, as `evaluate` does.

    With `look`, a function of a layer's name and of what the layer gives, later layers read what it gives in its place. It is
    never given the very array that the layer read, or from which the layer's own derivative is computed. So the gradient with
    respect to this array is that of what reads it, through a gradient penalty, too.

    What the layers `unjoined` would join, linear layers read part by part, as `Architecture.unjoined` says.

    Returns: what each layer gave, and each input, by name; without `look` the layers `unjoined` give nothing.
    """
    values = dict(zip(architecture.inputs, inputs, strict=True))
    parts: dict[str, Sequence[Array]] = {}
    for layer in architecture.layers:
        own = {p.name: parameters[f"{layer.name}/{p.name}"] for p in layer.parameters}
        running = {s.name: statistics[f"{layer.name}/{s.name}"] for s in layer.statistics}
        x = [a for i in layer.inputs for a in parts.get(i) or [values[i]]]
        if layer.name in unjoined and look is None:
            parts[layer.name] = x
            continue
        value = LAYERS[layer.kind](layer, x, own, running, mode)
        if look is not None:
            shared = layer.kind in OUTPUT_IN_DERIVATIVE or any(value is a for a in x)
            value = look(layer.name, value.view_as(value) if shared else value)
        if layer.name in unjoined:
            parts[layer.name] = parts_of(value, x)
        values[layer.name] = value
    return values


def outputs_of(architecture: Architecture, layers: Mapping[str, Array]) -> dict[str, Array]:
    """Returns: each output by name, of what `evaluate_layers` gives."""
    return {output: layers[layer] for output, layer in architecture.outputs.items()}


class Network(torch.nn.Module):
    """A network of a spec as a module, for use in code of one's own.

    Parameters and buffers have their spec's paths with dots: "encoder.c1.W", "bn1.mean". In training mode dropout draws from
    PyTorch's global generator. Initial values are those of the spec, drawn from `seed`.

    Args:
        architecture: architecture of the network.
        name: name of the network in its system, on which initial values depend.
        seed: seed of the initial values.
        dtype: "float32" or "float64".
        fade: progress of a growing network's stage, from 0 to 1.
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
        cls,
        system: str,
        name: str,
        seed: int = 0,
        dtype: str = "float32",
        iteration: int | None = None,
        settings: Iterable[str] = (),
    ) -> Network:
        """Make a network of a system, such as ("began_mnist", "G"), with its initial values.

        Args:
            system: name of a packaged system, or path of a TOML file, either perhaps followed by "/VARIANT".
            name: name of the network.
            seed: seed of the initial values.
            dtype: "float32" or "float64".
            iteration: of a growing network, the iteration whose stage it has; None for the last stage.
            settings: changes of the system's keys, "KEY=VALUE" each, such as "networks.G.n=64".

        Raises:
            SpecError: there is no such system or network, or it is wrong.
        """
        loaded = load_system(system, settings)
        stage, fade = (-1, 0.0) if iteration is None else loaded.at(iteration)
        return cls(loaded.network(name, stage), name, seed, dtype, fade)

    @classmethod
    def from_run(
        cls, folder: str | Path, name: str, checkpoint: int | None = None, *, averaged: bool = True
    ) -> Network:
        """Make a network of a training run, as `ganspec train` left it, whichever backend trained it.

        Args:
            folder: the run's folder.
            name: name of the network, such as "G".
            checkpoint: the iteration whose checkpoint is read; None for the newest.
            averaged: whether the moving average is taken where the run keeps one of this network.

        Raises:
            RunError: it is not the folder of a run, or has no such checkpoint.
            CheckpointError: the checkpoint is damaged or of another system.
            SpecError: the run's system is no longer there, or has no such network.
        """
        run = read_run(Path(folder), checkpoint)
        stage, fade = run.system.at(run.state.iteration)
        network = cls(run.system.network(name, stage), name, 0, run.dtype, fade)
        network.load_training_state(run.state, name, averaged=averaged)
        return network

    def forward(self, *inputs: Array) -> Array | dict[str, Array]:
        """Returns: the output, or each output by name where there are several."""
        outputs = outputs_of(self.architecture, self.evaluate_layers(*inputs))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def evaluate_layers(self, *inputs: Array) -> dict[str, Array]:
        """Returns: what each layer gives, and each input, by name; statistics move as in `forward`."""
        parameters = {path.replace(".", "/"): p for path, p in self.named_parameters()}
        statistics = {path.replace(".", "/"): b for path, b in self.named_buffers()}
        dtype = next((p.dtype for p in parameters.values()), torch.get_default_dtype())
        mode = Mode(self.training, _random_mask, (1.0 - self.fade, self.fade), dtype)
        return evaluate_layers(self.architecture, parameters, statistics, list(inputs), mode)

    def load_training_state(self, state: TrainingState, name: str, *, averaged: bool = True) -> None:
        """Take the parameters and statistics of a network from the state of a run.

        A growing network must be the one of that iteration: from_system(..., iteration=state.iteration).

        Args:
            state: state of a run, such as a checkpoint holds.
            name: name of the network in it.
            averaged: whether the moving averages are taken where the state has some.
        """
        arrays = {**state.of(f"parameters/{name}"), **state.of(f"statistics/{name}")}
        arrays |= state.of(f"averages/{name}") if averaged else {}
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
