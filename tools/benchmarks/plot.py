"""The small plot of a sweep."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ganspec.tools.errors import UserError


def plot(curves: Mapping[str, Mapping[str, Sequence[tuple[str, float]]]]) -> bytes:
    """Plot the time of an iteration, from 0, against settings, in proportion where the values are numbers.

    Args:
        curves: for each setting, and each of its curves by name, the values of the setting and milliseconds per iteration.

    Returns: the content of a PNG file.

    Raises:
        UserError: matplotlib is not installed.
    """
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(curves), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1, len(curves), squeeze=False)
    for axis, (key, named) in zip(axes[0], curves.items(), strict=True):
        values = list(dict.fromkeys(value for curve in named.values() for value, _ in curve))
        numbers = [_number(value) for value in values]
        numeric = all(number is not None for number in numbers)
        for name, curve in named.items():
            at = [_number(value) if numeric else values.index(value) for value, _ in curve]
            axis.plot(at, [ms for _, ms in curve], marker="o", markersize=3, linewidth=1.2, label=name)
        axis.set_xticks(numbers if numeric else range(len(values)), [value[:12] for value in values])
        axis.set_ylim(bottom=0)
        axis.set_xlabel(key if len(key) < 40 else f"{key[:37]}...")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("ms per iteration")
    axes[0, 0].legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()


def require() -> None:
    """Raises: UserError: matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError("--plot needs matplotlib; install it with: pip install 'ganspec[pictures]'") from None


def _number(text: str) -> float | None:
    """Returns: the number above 0 that a value is; None for other values."""
    try:
        found = float(text.replace("_", ""))
    except ValueError:
        return None
    return found if found > 0 else None
