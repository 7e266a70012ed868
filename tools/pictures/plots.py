"""Plots of the log: every column over the iterations, with its moving average."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

POINTS = 2000  # largest number of points of a curve


def plot_columns(columns: Sequence[str], table: np.ndarray, window: int) -> bytes:
    """Plot every recorded number over the iterations, with its moving average.

    Args:
        columns: names of the columns of the table; the first is "iteration".
        table: float64, (rows, columns), at least one row; NaN where a number was not computed.
        window: number of iterations of which a moving average is the mean.

    Returns: the content of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in columns if name not in ("iteration", "epoch")]
    width, height, left, right = 8.0, 1.8 * len(names), 1.2, 0.2  # inches
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    # Margins of our own: to let matplotlib fit them draws everything twice.
    figure.subplots_adjust(
        left=left / width, right=1 - right / width, bottom=0.5 / height, top=1 - 0.3 / height, hspace=0.25
    )
    axes: Any = figure.subplots(len(names), 1, sharex=True, squeeze=False)
    iterations = table[:, 0]
    rows = _spread(len(table))
    for axis, name in zip(axes[:, 0], names, strict=True):
        values = table[:, list(columns).index(name)]
        there = np.flatnonzero(np.isfinite(values))
        dots = there[_spread(len(there))]
        means = moving_average(values, window, rows)
        some = np.isfinite(means)
        axis.plot(iterations[dots], values[dots], color="0.75", linewidth=0.7)
        axis.plot(iterations[rows][some], means[some], color="C0", linewidth=1.2)
        axis.set_ylabel(name)
        axis.yaxis.set_label_coords(-1.0 / (width - left - right), 0.5)
        # So that numbers are short enough for the margin.
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel(f"iteration (dark: mean of the last {window:,})")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    return content.getvalue()


def moving_average(values: np.ndarray, window: int, rows: np.ndarray) -> np.ndarray:
    """Average a column that may have empty cells.

    Args:
        values: float64, (count,), the column; NaN where the cell is empty.
        window: number of rows of which a mean is taken; at the beginning there are fewer.
        rows: int, (k,), numbers of the rows at which means are taken.

    Returns: float64, (k,): for each of `rows` the mean of the cells that are not empty among the `window` rows up to it; NaN
        where all are empty.
    """
    means = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        part = values[max(0, row + 1 - window) : row + 1]
        part = part[np.isfinite(part)]
        if len(part):
            means[i] = part.mean()
    return means


def _spread(count: int) -> np.ndarray:
    """Returns: at most `POINTS` of the numbers below `count`, evenly spread; the last number is one of them."""
    every = max(1, -(-count // POINTS))
    return np.arange(count - 1, -1, -every)[::-1]
