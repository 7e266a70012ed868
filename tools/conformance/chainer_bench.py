"""The steps that check one part of somebody's Chainer code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.impl_chainer import Network
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.tools.agreement.judge import Record, record_of
from ganspec.tools.agreement.report import Place, Quantity
from ganspec.tools.conformance.chainer_side import MOMENTS
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.probes import input_name, paired_outputs


def own_optimizer(networks: Sequence[Any]) -> Any:
    """Returns: an optimiser of networks, whose update marks the end of what is compared; it leaves their update rules alone."""
    return _Mark(networks)


class _Mark(chainer.Optimizer):  # type: ignore[misc]
    """Says that an update is made, and makes none."""

    def __init__(self, networks: Sequence[Any]) -> None:
        super().__init__()
        self.setup(networks[0])

    def update(self, lossfun: Any = None, *args: Any, **kwargs: Any) -> None:
        self.call_hooks("pre")
        self.call_hooks("post")


def spec_networks(system: System) -> dict[str, Any]:
    """Returns: the spec's networks as chains, by name."""
    return {name: Network(architecture, name) for name, architecture in system.networks.items()}


def draw(symbol: Symbol, distribution: Distribution, batch: int, like: Any) -> Any:
    """Returns: a draw of a symbol, in the dtype of an array."""
    if symbol.dtype == "label":
        return np.random.randint(0, round(distribution.b - distribution.a), (batch,)).astype(np.int32)
    if distribution.kind == "constant":
        return np.full((batch, *symbol.shape), distribution.a, like.dtype)
    make = np.random.uniform if distribution.kind == "uniform" else np.random.normal
    return make(distribution.a, distribution.b, (batch, *symbol.shape)).astype(like.dtype)


def network_step(
    network: Any, architecture: Architecture, batch: int, optimizer: Any, shapes: Mapping[str, Sequence[int]]
) -> Callable[[Any], dict[str, Any]]:
    """Returns: a step that evaluates a network as `probes.network_system` says."""

    def step(x: Any) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, each in architecture.inputs.items():
            if each.dtype == "label":
                inputs[name] = np.random.randint(0, each.shape[0], (batch,)).astype(np.int32)
            else:
                values = np.random.randn(batch, *each.shape).astype(x.dtype)
                inputs[name] = chainer.Variable(values.reshape(batch, *shapes.get(name, each.shape)))
        weights = {
            o: np.random.randn(batch, *architecture.output_shape(o)).astype(x.dtype) for o in architecture.outputs
        }
        with chainer.using_config("train", True):
            terms = _weighted(network(*inputs.values()), weights)
        reports = {}
        for name, values in inputs.items():
            if isinstance(values, chainer.Variable):
                (gradient,) = chainer.grad([F.sum(terms[0])], [values])
                reports[f"by_{input_name(name)}"] = 0.0 if gradient is None else F.mean(gradient)
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            inferred = _weighted(network(*inputs.values()), weights)
        reports["inference"] = sum(F.mean(term) for term in inferred)
        network.cleargrads()
        sum(F.mean(term) for term in terms).backward()
        optimizer.update()
        return reports

    return step


def _weighted(outputs: Any, weights: Mapping[str, Any]) -> list[Any]:
    """Returns: each output times its weights."""
    return [F.reshape(values, weight.shape) * weight for values, weight in paired_outputs(outputs, weights)]


def minimise(loss: Any, optimizer: Any, name: str) -> None:
    """Differentiate a loss by a network's parameters, and update."""
    if not isinstance(loss, chainer.Variable) or loss.size != 1:
        found = (
            f"an array of shape {list(loss.shape)}"
            if hasattr(loss, "shape")
            else f"something of the type {type(loss).__name__}"
        )
        raise ConformanceError(f"the loss of {name} gives {found}, expected a variable of one number")
    optimizer.target.cleargrads()
    loss.backward()
    optimizer.update()


def updated(
    definition: Any,
    name: str,
    factory: Callable[..., Any],
    first: Mapping[str, np.ndarray],
    gradients: Sequence[Mapping[str, np.ndarray]],
    dtype: str,
) -> Record:
    """Returns: parameters and moments after each update by an optimiser that a factory makes."""
    link = chainer.Link()
    with link.init_scope():
        for number, array in enumerate(first.values()):
            setattr(link, f"p{number}", chainer.Parameter(array.astype(dtype)))
    parameters = {path: getattr(link, f"p{number}") for number, path in enumerate(first)}
    optimizer = factory()
    if not isinstance(optimizer, chainer.Optimizer):
        raise ConformanceError(
            f"the factory makes something of the type {type(optimizer).__name__}, expected a chainer.Optimizer"
        )
    optimizer.setup(link)
    quantities = []
    for t, given in enumerate(gradients):
        for path, p in parameters.items():
            p.grad = given[path].astype(dtype)
        optimizer.update()
        for path, p in parameters.items():
            known = MOMENTS.get(type(p.update_rule).__name__, {})
            for moment in definition.moments():
                kept = (p.update_rule.state or {}).get(known.get(moment))
                if kept is not None:
                    quantities.append(Quantity("moment", f"moment {name}/{moment}/{path}", Place(t), kept.copy()))
            quantities.append(Quantity("parameter", f"parameter {name}/{path}", Place(t), p.array.copy()))
    return record_of(quantities)
