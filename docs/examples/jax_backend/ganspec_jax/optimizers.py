"""The update rules in JAX, each for all parameters of a network at once; `ganspec.spec.parts.optimizers` defines them.

A function is compiled once for a network: what changes from update to update (the count, the learning rate) comes as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Arrays = Mapping[str, jax.Array]  # by path, such as "l1/W"
Moments = Mapping[str, Arrays]  # by the optimiser's name of the moment, such as "m"


def update(
    definition: Any, parameters: Arrays, gradients: Arrays, moments: Moments, t: int, rate: float
) -> tuple[Arrays, Moments]:
    """Move parameters one step.

    Args:
        definition: definition of the optimiser.
        parameters: the parameters that take part.
        gradients: their gradients, perhaps with others.
        moments: their moments.
        t: number of updates of this network, this one included.
        rate: learning rate.

    Returns: the parameters and the moments after it.
    """
    own = {path: gradients[path] for path in parameters}
    if definition.kind == "adam":
        return _adam(definition, parameters, own, moments, *definition.step_size(t, rate))
    return _rmsprop(definition, parameters, own, moments, rate)


@partial(jax.jit, static_argnums=0)
def _adam(
    definition: Any, parameters: Arrays, gradients: Arrays, moments: Moments, size: float, epsilon: float
) -> tuple[Arrays, Moments]:
    # `step_size` brings both definitions to one form: p - size m / (sqrt(v) + epsilon).
    beta1, beta2 = definition.beta1, definition.beta2
    m = {path: beta1 * moments["m"][path] + (1.0 - beta1) * g for path, g in gradients.items()}
    v = {path: beta2 * moments["v"][path] + (1.0 - beta2) * g * g for path, g in gradients.items()}
    return {k: p - size * m[k] / (jnp.sqrt(v[k]) + epsilon) for k, p in parameters.items()}, {"m": m, "v": v}


@partial(jax.jit, static_argnums=0)
def _rmsprop(
    definition: Any, parameters: Arrays, gradients: Arrays, moments: Moments, rate: float
) -> tuple[Arrays, Moments]:
    inside, epsilon, decay = definition.epsilon_place == "inside", definition.epsilon, definition.decay
    v = {path: decay * moments["v"][path] + (1.0 - decay) * g * g for path, g in gradients.items()}
    roots = {path: jnp.sqrt(a + epsilon) if inside else jnp.sqrt(a) + epsilon for path, a in v.items()}
    return {k: p - rate * gradients[k] / roots[k] for k, p in parameters.items()}, {"v": v}


@jax.jit
def clip(parameters: Arrays, bound: float) -> Arrays:
    """Returns: parameters, moved into [-bound, bound]."""
    return {path: jnp.clip(p, -bound, bound) for path, p in parameters.items()}


@jax.jit
def average(averages: Arrays, values: Arrays, decay: float) -> Arrays:
    """Returns: moving averages after an iteration: decay average + (1 - decay) value."""
    return {path: decay * averages[path] + (1.0 - decay) * value for path, value in values.items()}
