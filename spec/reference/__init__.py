"""The executable definition: what a system computes, in plain NumPy float64, written to be read.

    jets         numbers with derivatives along two directions
    layers       the kinds of layer
    formulas     losses, reports, carried numbers, penalties
    optimizers   update rules
    trainer      one iteration: `Reference`

It shares no automatic differentiation with the backends, and of the plan only the order of steps, so that two backends cannot be
wrong together.
"""

from ganspec.spec.reference.trainer import Reference, ReferenceResult

__all__ = ["Reference", "ReferenceResult"]
