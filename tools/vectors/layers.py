"""Cases of one layer: its output, the gradients of the output, and the gradients of a penalty on those gradients.

    s = sum(output * weights)       penalty = sum over all inputs of (ds / dinput)^2

Expected are the output, the statistics that it moves, and the gradients of s and of the penalty with respect to inputs and
parameters.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganspec.spec.layers import KINDS
from ganspec.spec.network.architecture import Layer
from ganspec.spec.reference.jets import Jet
from ganspec.spec.reference.layers import Evaluation, evaluate
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.tables import Table
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from ganspec.tools.vectors.autodiff import gradients, total, variable
from ganspec.tools.vectors.case import SEED, Arrays, Case, Slope, Witness, case_table, drawn, slope

KIND = "layer"


def cases() -> list[Case]:
    """Returns: the cases of `cases/layers.toml`."""
    return [_case(entry) for entry in case_table("layers")]


def _case(entry: dict[str, Any]) -> Case:
    kind = KINDS[entry["layer"]["kind"]]
    case = f"{KIND}/{entry['layer']['kind']}/{entry['id']}"
    given: Arrays = {}
    shapes = [tuple(shape) for shape in entry["inputs"]]
    for number, shape in enumerate(shapes):
        name = f"inputs/{number}"
        if kind.dtype(number) == "label":
            given[name] = np.arange(entry["batch"], dtype=np.int64) % shape[0]
        else:
            given[name] = drawn(case, name, (entry["batch"], *shape))
            points = entry.get("points", [])
            given[name].ravel()[: len(points)] = points
    outline = kind.make(Table(dict(entry["layer"]), "layers.toml", case, problems := Problems()), shapes)
    problems.stop_if_any()
    for parameter in outline.parameters:
        given[f"parameters/{parameter.name}"] = drawn(case, parameter.name, parameter.shape, parameter.initial)
    for statistic in outline.statistics:
        values = drawn(case, statistic.name, statistic.shape)  # as training could have left it
        given[f"statistics/{statistic.name}"] = np.exp(values) if statistic.name == "variance" else values
    given["weights"] = drawn(case, "weights", (entry["batch"], *outline.shape))
    training = entry.get("training", True)
    if entry["layer"]["kind"] == "dropout" and training:
        shape = given["inputs/0"].shape
        given["mask"] = Streams(SEED).mask(outline.settings["rate"], f"vectors/{case}/mask", Position(), shape)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in outline.settings.items()}
    facts = {
        "layer": {"kind": entry["layer"]["kind"], "shape": list(outline.shape), "settings": settings},
        "training": training,
        "fade": entry.get("fade", 0.0),
        "penalty": entry.get("penalty", True),
    }
    fixed = frozenset(["inputs/0"] * ("points" in entry))
    return Case(case, _title(kind.make), _source(kind.make), facts, given, fixed)


def _title(make: Any) -> str:
    return (inspect.getdoc(make) or "").splitlines()[0]


def _source(make: Any) -> str:
    named = re.search(r"Source: (.*)", " ".join((inspect.getdoc(make) or "").split()))
    return named[1] if named else f"ganspec: {make.__name__} in {make.__module__.removeprefix('ganspec.')}"


def _layer(case: Case, given: Mapping[str, np.ndarray]) -> Layer:
    facts = case.facts["layer"]
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in facts["settings"].items()}
    inputs = tuple(name for name in given if name.startswith("inputs/"))
    return Layer("layer", facts["kind"], inputs, tuple(facts["shape"]), settings, (), ())


def _own(given: Mapping[str, Any], role: str) -> dict[str, Any]:
    return {name.removeprefix(f"{role}/"): a for name, a in given.items() if name.startswith(f"{role}/")}


def compute(backend: str, case: Case, given: Mapping[str, np.ndarray]) -> Arrays:
    """Returns: what a backend computes, by name."""
    house = backends.load(backend)
    modules = importlib.import_module(f"{house.__name__}.layers")
    layer, context, to_numpy = _layer(case, given), house.ArrayContext("cpu", "float64"), house.to_numpy
    inputs = {name: variable(backend, given[name]) for name in layer.inputs}
    parameters = {name: variable(backend, a) for name, a in _own(given, "parameters").items()}
    statistics = {name: context.array(a) for name, a in _own(given, "statistics").items()}

    def mask(layer: Layer, shape: tuple[int, ...], like: Any) -> Any:
        return context.array(given["mask"] / (1.0 - layer.settings["rate"]))

    fade = case.facts["fade"]
    mode = modules.Mode(case.facts["training"], mask, (1.0 - fade, fade), context.floating)
    output = modules.LAYERS[layer.kind](layer, list(inputs.values()), parameters, statistics, mode)
    found = {"output": to_numpy(output)}
    found |= {f"statistics/{name}": to_numpy(a) for name, a in statistics.items()}
    of = {name: a for name, a in inputs.items() if given[name].dtype.kind == "f"}
    own = {f"parameters/{name}": a for name, a in parameters.items()}
    s = total(backend, output * context.array(given["weights"]))
    return found | differentiated(backend, s, of, own, penalty=case.facts["penalty"])


def differentiated(
    backend: str, s: Any, inputs: Mapping[str, Any], parameters: Mapping[str, Any], *, penalty: bool = True
) -> Arrays:
    """Differentiate a number.

    Returns: its gradients and, unless `penalty` is false, the penalty on those of the inputs and its gradients, by name.
    """
    to_numpy = backends.load(backend).to_numpy
    variables = {**inputs, **parameters}

    def named(role: str, values: list[Any]) -> Arrays:
        pairs = zip(variables.items(), values, strict=True)
        return {f"{role}/{n}": np.zeros(v.shape) if g is None else to_numpy(g) for (n, v), g in pairs}

    slopes = gradients(backend, s, list(variables.values()))
    found = named("gradients", slopes)
    squares = [total(backend, slope * slope) for slope in slopes[: len(inputs)] if slope is not None]
    if squares and penalty:
        whole = sum(squares[1:], squares[0])
        found["penalty"] = to_numpy(whole)
        found |= named("penalty_gradients", gradients(backend, whole, list(variables.values())))
    return found


def refer(case: Case, expected: Mapping[str, np.ndarray]) -> Witness:
    """Ask the reference. Returns: output and statistics, and the slopes of s and of the penalty."""
    layer, given = _layer(case, case.given), case.given
    directions = {name: drawn(case.id, f"along/{name}", a.shape) for name, a in given.items()}
    own = {n: Jet(a[None], None, directions[f"parameters/{n}"][None]) for n, a in _own(given, "parameters").items()}
    inputs = [jet_of(given[n], expected.get(f"gradients/{n}"), directions[n]) for n in layer.inputs]
    statistics = {f"layer/{n}": a for n, a in _own(given, "statistics").items()}
    how = Evaluation(
        case.facts["training"], case.facts["fade"], lambda layer, shape: given["mask"], statistics, dict(statistics)
    )
    output = evaluate(layer, inputs, own, how)
    moved = {name.replace("layer/", "statistics/"): array for name, array in how.moved.items()}
    return Witness({"output": output.f[0], **moved}, slopes_of(output, given["weights"], expected, directions))


def jet_of(values: np.ndarray, slope: np.ndarray | None, direction: np.ndarray) -> Jet:
    """Returns: an input, moved along its own gradient and along a random direction; a label as it is."""
    return Jet(values[None]) if slope is None else Jet(values[None], slope[None], direction[None])


def slopes_of(
    output: Jet, weights: np.ndarray, expected: Mapping[str, np.ndarray], directions: Mapping[str, np.ndarray]
) -> dict[str, Slope]:
    """Returns: the slopes of s and of the penalty along random directions, as `Witness` has them."""
    s = output.linear(lambda v: (v * weights).reshape(len(v), -1).sum(axis=1))
    said = {"gradients": s.b, "penalty_gradients": None if s.ab is None else 2.0 * s.ab}
    found = {}
    for role, derivative in said.items():
        if own := _own(expected, role):
            found[role] = slope(0.0 if derivative is None else float(derivative[0]), own, directions)
    return found
