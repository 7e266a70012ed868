"""What is exported: a network of a run as it computes in inference, with plain weights, and what is said of it.

A weight that has a gain or a spectral norm is exported as the layer uses it. So an exported layer is the plain one of its kind,
and what is exported is the network of inference: trained on elsewhere, it would be another network.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec import __version__
from ganspec.spec.description import describe
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.parts.schedule import DATA
from ganspec.spec.system import System
from ganspec.spec.training.runs import Run
from ganspec.spec.training.streams import Streams
from ganspec.tools import backends
from ganspec.tools.sampling.generator import chosen_state, class_names, opened

FORMAT = "ganspec export 1"
_FOLDED = ("gain", "spectral_norm")


@dataclass(frozen=True)
class Model:
    """A network to export.

    Args:
        name: name of the network in its system, such as "G".
        architecture: layers that are present in the run's stage of growth, without gains and spectral norms.
        arrays: parameters and statistics of these layers by path, such as "l1/W", in the run's dtype.
        fade: progress of the stage of growth, from 0 to 1.
        dtype: "float32" or "float64".
        facts: what files say of the network, as plain data.
        description: architecture as the run's record describes it, gains and spectral norms among it.
        original: layers as the run has them.
        whole: parameters and statistics as the checkpoint has them, by path, those of other stages of growth among them.
    """

    name: str
    architecture: Architecture
    arrays: Mapping[str, np.ndarray]
    fade: float
    dtype: str
    facts: Mapping[str, Any]
    description: Mapping[str, Any]
    original: Architecture
    whole: Mapping[str, np.ndarray]

    def in_float64(self) -> Model:
        """Returns: the same network, with gains and spectral norms made part of the weights in float64."""
        return made(self.name, self.original, self.whole, self.fade, "float64", self.facts, self.description)


def read_model(folder: Path, network: str, checkpoint: int | None = None, weights: str | None = None) -> Model:
    """Read a network of a run.

    Args:
        folder: the run's folder.
        network: name of the network.
        checkpoint: iteration of the checkpoint to read; None for the newest.
        weights: "averaged" or "trained"; None for the moving average where the run keeps one of this network.

    Raises:
        UserError: it is not the folder of a run, or has no such checkpoint or average.
        SpecError: the run's system has no such network, is no longer there, or is wrong.
    """
    return model_of(opened(folder, checkpoint), folder.resolve().name, network, weights)


def model_of(run: Run, name: str, network: str, weights: str | None = None) -> Model:
    """Returns: a network of a run called `name`, as `read_model` does of a folder.

    Raises:
        UserError: the run keeps no such average.
        SpecError: the run's system has no such network.
    """
    stage, fade = run.system.at(run.state.iteration)
    architecture = run.system.network(network, stage)
    state = chosen_state(run, network, weights)
    averaged = network in run.system.averages and weights != "trained"
    kinds = ("averages",) if averaged else ("parameters", "statistics")
    whole = {path: a.astype(run.dtype) for kind in kinds for path, a in state.of(f"{kind}/{network}").items()}
    facts = _facts(run, name, network, architecture, averaged)
    return made(network, architecture, whole, fade, run.dtype, facts, describe(run.system)["networks"][stage][network])


def made(
    name: str,
    architecture: Architecture,
    whole: Mapping[str, np.ndarray],
    fade: float,
    dtype: str,
    facts: Mapping[str, Any],
    description: Mapping[str, Any],
) -> Model:
    """Returns: the model of a network and its arrays, in which gains and spectral norms have become part of the weights."""
    arrays: dict[str, np.ndarray] = {}
    layers = []
    for layer in architecture.layers:
        own = {p.name: whole[f"{layer.name}/{p.name}"] for p in (*layer.parameters, *layer.statistics)}
        if any(key in layer.settings for key in _FOLDED):
            own["W"] = used_weight(layer, own)
            own.pop("u", None)
            settings = {key: value for key, value in layer.settings.items() if key not in _FOLDED}
            layer = replace(layer, settings=settings, statistics=())  # noqa: PLW2901
        layers.append(layer)
        arrays |= {f"{layer.name}/{short}": array.astype(dtype) for short, array in own.items()}
    plain = replace(architecture, layers=tuple(layers), holds=tuple(layers))
    return Model(name, plain, arrays, fade, dtype, facts, description, architecture, whole)


def used_weight(layer: Layer, own: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute the weight as inference uses it, float64: divided by the estimate of its largest singular value, times its gain.

    The estimate is that of the first evaluation after training: `spec.layers.weighted.spectral_norm` has the equations.

    Args:
        layer: layer with a gain, a spectral norm or both.
        own: its arrays by short name.
    """
    weight = own["W"].astype(np.float64)
    if settings := layer.settings.get("spectral_norm"):
        matrix, u, epsilon = weight.reshape(len(weight), -1), own["u"].astype(np.float64), settings["epsilon"]
        for _ in range(settings["iterations"]):
            v = matrix.T @ u
            v = v / (np.sqrt((v * v).sum()) + epsilon)
            u = matrix @ v
            u = u / (np.sqrt((u * u).sum()) + epsilon)
        weight = weight / (u @ (matrix @ v))
    return weight * layer.settings.get("gain", 1.0)


def example_inputs(model: Model, count: int, seed: int = 0) -> list[np.ndarray]:
    """Returns: inputs to compare exports with: numbers in the model's dtype from N(0, 1), (count, ...), and labels."""
    inputs: list[np.ndarray] = []
    for i, wanted in enumerate(model.architecture.inputs.values()):
        if wanted.dtype == "label":
            inputs.append((np.arange(count) + i) % wanted.shape[0])
        else:
            drawn = np.random.Generator(np.random.Philox(key=Streams(seed).key(f"export/{i}")))
            inputs.append(drawn.standard_normal((count, *wanted.shape)).astype(model.dtype))
    return inputs


def our_outputs(model: Model, backend: str, inputs: list[np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Evaluate the network with the weights of the checkpoint, in inference, by one of ganspec's backends.

    Returns: each output by name, in `dtype`.
    """
    house = backends.load(backend)
    network, modes = (importlib.import_module(f"{house.__name__}.{part}") for part in ("network", "mode"))
    context = network.ArrayContext("cpu", dtype)
    parameters, statistics = (
        {path: context.array(model.whole[path]) for path in paths}
        for paths in (model.original.parameter_paths(), model.original.statistic_paths())
    )
    mode = modes.Mode(False, None, model.fade, context.array(np.zeros(1)).dtype)
    values = [context.array(array) for array in inputs]
    outputs = network.evaluate(model.original, parameters, statistics, values, mode)
    return {name: house.to_numpy(value) for name, value in outputs.items()}


def _facts(run: Run, name: str, network: str, architecture: Architecture, averaged: bool) -> dict[str, Any]:
    """Returns: what files say of a network, as plain data."""
    system = run.system
    inputs: dict[str, Any] = {}
    for i, (key, wanted) in enumerate(architecture.inputs.items()):
        if wanted.dtype == "label":
            inputs[key] = {"shape": [], "dtype": "int64", "labels": wanted.shape[0]}
        else:
            inputs[key] = {"shape": list(wanted.shape), "dtype": run.dtype}
            if sample := _sample(system, network, i):
                inputs[key]["sample"] = sample
    facts = {
        "format": FORMAT,
        "ganspec": __version__,
        "system": system.name,
        "title": system.title,
        "source": system.source,
        "network": network,
        "run": name,
        "backend": run.record["backend"],
        "iteration": run.state.iteration,
        "weights": "averaged" if averaged else "trained",
        "dtype": run.dtype,
        "range": list(system.data.range),
        "inputs": inputs,
        "outputs": {output: list(architecture.output_shape(output)) for output in architecture.outputs},
    }
    names = class_names(run)
    return facts | ({"classes": list(names)} if names else {})


def _sample(system: System, network: str, position: int) -> str:
    """Returns: the distribution of a network's input in the plan, "images" for those of the data, "" where it is computed."""
    found = ""
    for step in system.plan.steps:
        for node in step.nodes:
            if node.op == "network" and node.value == network:
                source = step.nodes[node.inputs[position]]
                if source.op == "draw" and source.value in DATA:
                    return "images"
                if source.op == "draw" and source.value in system.draws:
                    found = str(system.draws[source.value].distribution)
    return found
