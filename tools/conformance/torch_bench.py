"""The steps that check one part of somebody's PyTorch code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch import Network
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.tools.agreement.judge import Record, record_of
from ganspec.tools.agreement.report import Place, Quantity
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.probes import input_name, paired_outputs
from ganspec.tools.conformance.torch_side import MOMENTS


def own_optimizer(networks: Sequence[Any]) -> Any:
    """Returns: an optimiser of networks, whose step marks the end of what is compared."""
    return torch.optim.SGD([p for n in networks for p in n.parameters()], lr=0.0)


def spec_networks(system: System) -> dict[str, Any]:
    """Returns: the spec's networks as modules, by name."""
    return {name: Network(architecture, name) for name, architecture in system.networks.items()}


def draw(symbol: Symbol, distribution: Distribution, batch: int, like: torch.Tensor) -> torch.Tensor:
    """Returns: a draw of a symbol, on the device of a tensor."""
    if symbol.dtype == "label":
        return torch.randint(0, round(distribution.b - distribution.a), (batch,), device=like.device)
    if distribution.kind == "constant":
        return torch.full((batch, *symbol.shape), distribution.a, device=like.device)
    made = torch.empty((batch, *symbol.shape), device=like.device)
    return (
        made.uniform_(distribution.a, distribution.b)
        if distribution.kind == "uniform"
        else made.normal_(distribution.a, distribution.b)
    )


def network_step(
    network: Any, architecture: Architecture, batch: int, optimizer: Any, shapes: Mapping[str, Sequence[int]]
) -> Callable[[Any], dict[str, Any]]:
    """Returns: a step that evaluates a network as `probes.network_system` says."""

    def step(x: torch.Tensor) -> dict[str, Any]:
        training = {m: m.training for m in network.modules()}
        network.train()
        inputs = {}
        for name, each in architecture.inputs.items():
            if each.dtype == "label":
                inputs[name] = torch.randint(0, each.shape[0], (batch,), device=x.device)
            else:
                inputs[name] = (
                    torch.randn(batch, *each.shape, device=x.device)
                    .reshape(batch, *shapes.get(name, each.shape))
                    .requires_grad_()
                )
        weights = {o: torch.randn(batch, *architecture.output_shape(o), device=x.device) for o in architecture.outputs}
        terms = _weighted(network(*inputs.values()), weights)
        reports = {}
        for name, values in inputs.items():
            if values.is_floating_point():
                (gradient,) = torch.autograd.grad(terms[0].sum(), values, retain_graph=True, allow_unused=True)
                reports[f"by_{input_name(name)}"] = torch.zeros(()) if gradient is None else gradient.mean()
        loss = sum(term.mean() for term in terms)
        optimizer.zero_grad()
        network.eval()
        with torch.no_grad():
            inferred = _weighted(network(*inputs.values()), weights)
        reports["inference"] = sum(term.mean() for term in inferred)
        for module, mode in training.items():
            module.training = mode
        loss.backward()
        optimizer.step()
        return reports

    return step


def _weighted(outputs: Any, weights: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Returns: each output times its weights."""
    return [values.reshape(weight.shape) * weight for values, weight in paired_outputs(outputs, weights)]


def minimise(loss: Any, optimizer: Any, name: str) -> None:
    """Differentiate a loss by a network's parameters, and step."""
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        found = (
            f"a tensor of shape {list(loss.shape)}"
            if isinstance(loss, torch.Tensor)
            else f"something of the type {type(loss).__name__}"
        )
        raise ConformanceError(f"the loss of {name} gives {found}, expected a tensor of one number")
    if not loss.requires_grad:
        raise ConformanceError(
            f"the loss of {name} cannot be differentiated: its value depends on no parameter through a graph"
        )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def updated(
    definition: Any,
    name: str,
    factory: Callable[..., Any],
    first: Mapping[str, np.ndarray],
    gradients: Sequence[Mapping[str, np.ndarray]],
    dtype: str,
) -> Record:
    """Returns: parameters and moments after each update by an optimiser that a factory makes."""
    kind = getattr(torch, dtype)
    parameters = {path: torch.nn.Parameter(torch.from_numpy(a).to(kind)) for path, a in first.items()}
    optimizer = factory(list(parameters.values()))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ConformanceError(
            f"the factory makes something of the type {type(optimizer).__name__}, expected a torch.optim.Optimizer"
        )
    known = MOMENTS.get(type(optimizer).__name__, {})
    quantities = []
    for t, given in enumerate(gradients):
        for path, p in parameters.items():
            p.grad = torch.from_numpy(given[path]).to(kind)
        optimizer.step()
        for path, p in parameters.items():
            for moment in definition.moments():
                kept = optimizer.state.get(p, {}).get(known.get(moment))
                if kept is not None:
                    quantities.append(
                        Quantity("moment", f"moment {name}/{moment}/{path}", Place(t), kept.numpy().copy())
                    )
            quantities.append(Quantity("parameter", f"parameter {name}/{path}", Place(t), p.detach().numpy().copy()))
    return record_of(quantities)
