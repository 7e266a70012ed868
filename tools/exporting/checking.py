"""An exported network against ours: on the same inputs, in batches of several sizes, before anything is written.

In float64 both must agree to `EXACT` of the largest number, which nothing but rounding uses up. In float32 the same operations in
another order may differ by as much rounding as they cost. That is measured: our own float32 result against float64, and at least
one unit in the last place of the largest number. Both results have such an error, and a few inputs do not show the largest, so
`SPREAD` times as much is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError
from ganspec.tools.exporting.model import Model, example_inputs, our_outputs

EXACT = 1e-12
SPREAD = 16
BATCHES = (1, 2, 5)


def compare(
    model: Model, backend: str, outputs: Callable[[list[np.ndarray]], Mapping[str, np.ndarray]], dtype: str
) -> None:
    """Compare what an exported network gives with what ours gives.

    Args:
        model: network that was exported.
        backend: backend of ganspec that computes ours.
        outputs: function of inputs that gives the exported network's outputs by name.
        dtype: dtype of the exported network.

    Raises:
        UserError: they differ.
    """
    for count in BATCHES:
        inputs = [a if a.dtype.kind == "i" else a.astype(dtype) for a in example_inputs(model, count)]
        found = outputs(inputs)
        exact = our_outputs(model, backend, inputs, "float64")
        ours = exact if dtype == "float64" else our_outputs(model, backend, inputs, dtype)
        for name, value in exact.items():
            bound = allowed(ours[name], value, dtype)
            if found[name].shape != value.shape or found[name].dtype != np.dtype(dtype):
                difference = f"{found[name].dtype} {list(found[name].shape)}, not {dtype} {list(value.shape)}"
            elif not (largest := np.abs(found[name].astype(np.float64) - value).max(initial=0.0)) <= bound:
                difference = f"apart by {largest:.3g}, more than rounding, {bound:.3g}"
            else:
                continue
            raise UserError(
                f"the exported {model.name} gives other numbers than ganspec's: {printable(name)} of {count} samples is "
                f"{difference}; nothing was written; please report this, with the run"
            )


def allowed(ours: np.ndarray, exact: np.ndarray, dtype: str) -> float:
    """Returns: how far a result may be from the exact one.

    Args:
        ours: what our network gives in `dtype`.
        exact: what it gives in float64.
        dtype: "float32" or "float64".
    """
    size = float(np.abs(exact).max(initial=0.0))
    if dtype == "float64":
        return EXACT * max(size, 1.0)
    rounding = float(np.abs(ours.astype(np.float64) - exact).max(initial=0.0))
    return SPREAD * max(rounding, float(np.finfo(dtype).eps) * size)
