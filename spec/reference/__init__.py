"""The executable definition: what a system computes, in plain NumPy float64, written to be read.

    jets         numbers with derivatives along two directions
    layers       the kinds of layer, those with weights here
    normalising  norms, and what compares samples
    activations  functions of each number
    shaping      layers that move, join and reduce numbers
    mode         how a network is evaluated
    functions    the functions of formulas
    meanings     which expressions mean the same, and so are one value
    evaluations  what is remembered of an evaluation of a network, and of a gradient
    formulas     losses, reports, carried numbers, penalties
    planned      the same iteration as the plan has it, node by node
    optimizers   update rules
    trainer      one iteration: `Trainer`
    arrays       what it computes in, and what it refuses

It shares no automatic differentiation with the backends, and takes losses from the formulas themselves, not from the plan, so
that two backends cannot be wrong together. It is loaded like a backend (`ganspec.spec.training.protocol`), and does all that one
does except for whole gradients.
"""

from ganspec.spec.reference.arrays import DeviceError, to_numpy
from ganspec.spec.reference.trainer import ReferenceResult, Trainer

__all__ = ["DeviceError", "ReferenceResult", "Trainer", "to_numpy"]
