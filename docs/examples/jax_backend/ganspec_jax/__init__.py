"""JAX, interpreting the spec: a fourth backend, small enough to be read at one go. docs/backends.md walks through it.

    layers        one function for each kind of layer
    operations    one branch for each function of a formula
    execution     one repeat of a step as a pure function of arrays, with its gradients
    optimizers    the update rules
    trainer       what the programs call: state, draws, the order of events

All of it is functional: a network is a function of named arrays, and training replaces arrays by others.
"""

import jax

jax.config.update("jax_enable_x64", True)  # or there is no float64, in which implementations are compared
jax.config.update("jax_default_matmul_precision", "highest")  # or a GPU rounds the operands of products to ten bits

from ganspec_jax.trainer import DeviceError, Trainer, to_numpy  # noqa: E402 (settings hold for what is made after them)

LACKS = ("layer gradient",)  # what comparisons need not ask for

__all__ = ["LACKS", "DeviceError", "Trainer", "to_numpy"]
