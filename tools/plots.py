"""Plots of the log: every column over the iterations, with its moving average."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from tools.runfolder import RunFolder

POINTS = 2000  # at most, of a curve


def save_losses(folder: RunFolder, window: int) -> None:
    """Write `losses.png`, once there is a row to plot.

    Args:
        folder: of the run.
        window: iterations that a moving average is of.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, table = read_log(folder.path / "log.csv")
    names = [name for name in columns if name not in ("iteration", "epoch")]
    if not len(table):
        return
    figure = Figure(figsize=(8, 1.8 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(names), 1, sharex=True, squeeze=False)
    iterations = table[:, 0]
    shown = _spread(len(table))
    for axis, name in zip(axes[:, 0], names, strict=True):
        values = table[:, columns.index(name)]
        there = np.flatnonzero(np.isfinite(values))
        dots = there[_spread(len(there))]
        means = moving_average(values, window, shown)
        some = np.isfinite(means)
        axis.plot(iterations[dots], values[dots], color="0.75", linewidth=0.7)
        axis.plot(iterations[shown][some], means[some], color="C0", linewidth=1.2)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel(f"iteration (dark: mean of the last {window:,})")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    folder.write("losses.png", content.getvalue())


def moving_average(values: np.ndarray, window: int, rows: np.ndarray) -> np.ndarray:
    """Average a column that may have empty cells.

    Args:
        values: of every row, NaN where the cell is empty.
        window: rows that a mean is of; at the beginning, of as many as there are.
        rows: at which rows' ends.

    Returns: for each of `rows` the mean of the cells that are not empty among the `window` up to it, NaN for none.
    """
    means = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        part = values[max(0, row + 1 - window) : row + 1]
        part = part[np.isfinite(part)]
        if len(part):
            means[i] = part.mean()
    return means


def read_log(path: Path) -> tuple[list[str], np.ndarray]:
    """Returns: the columns' names, and every row; NaN where a cell is empty."""
    header, _, rows = path.read_text().partition("\n")
    names = header.split(",")
    for empty, filled in ((",,", ",nan,"), (",,", ",nan,"), (",\n", ",nan\n")):  # twice, because those of ",,," overlap
        rows = rows.replace(empty, filled)
    values = np.array(rows.replace("\n", ",").split(",")[:-1], dtype=np.float64)
    return names, values.reshape(-1, len(names))


def _spread(count: int) -> np.ndarray:
    """Returns: at most `POINTS` of the numbers below `count`, evenly spread, the last one among them."""
    every = max(1, -(-count // POINTS))
    return np.arange(count - 1, -1, -every)[::-1]
