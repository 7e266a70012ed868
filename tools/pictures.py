"""The pictures of a run: sample grids from fixed latents, and plots of the log.

Pillow and matplotlib are in the extra `pictures`; without them training goes on and says once what is missing.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np

from spec.streams import Position, Streams
from spec.system import System
from tools.runfolder import RunFolder

_WINDOW = 100  # iterations of the moving average in plots
_POINTS = 2000  # at most, of a curve


def missing() -> list[str]:
    """Returns: which packages for pictures are not installed."""
    return [
        name
        for name, module in (("Pillow", "PIL"), ("matplotlib", "matplotlib"))
        if not importlib.util.find_spec(module)
    ]


def latents(system: System, seed: int) -> list[np.ndarray]:
    """Returns: fixed inputs for G, one for each place of the grid; labels go by row.

    They come from streams of their own, so that looking does not change training.
    """
    rows, columns = system.run.grid
    streams = Streams(seed)
    inputs = []
    for name, wanted in system.networks["G"].inputs.items():
        if wanted.dtype == "label":
            inputs.append(np.repeat(np.arange(rows) % wanted.shape[0], columns))
            continue
        draw = _draw_of(system, name)
        shape = (rows * columns, *wanted.shape)
        inputs.append(streams.sample(system.draws[draw].distribution, f"samples/{name}", Position(), shape))
    return inputs


def save_grid(folder: RunFolder, system: System, images: np.ndarray, iteration: int) -> None:
    """Write `samples/NNNNNNNN.png`: images (count, channels, height, width) in the system's range, row by row."""
    from PIL import Image

    rows, columns = system.run.grid
    low, high = system.data.range
    _, channels, height, width = images.shape
    pixels = np.rint(np.clip((np.nan_to_num(images) - low) / (high - low), 0.0, 1.0) * 255.0).astype(np.uint8)
    grid = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, channels), 128, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + 2), (i % columns) * (width + 2)
        grid[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    shape = grid if channels == 3 else grid[:, :, 0]
    content = io.BytesIO()
    picture = Image.fromarray(shape)
    factor = max(1, round(512 / max(picture.size)))
    picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST).save(content, "PNG")
    folder.write(f"samples/{iteration:08}.png", content.getvalue())


def save_plots(folder: RunFolder) -> None:
    """Write `losses.png`: every column of the log over the iterations, with its moving average."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, table = _read_log(folder.path / "log.csv")
    names = [name for name in columns if name not in ("iteration", "epoch")]
    if not len(table):
        return
    figure = Figure(figsize=(8, 1.8 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(names), 1, sharex=True, squeeze=False)
    iterations = table[:, 0]
    every = max(1, len(table) // _POINTS)
    for axis, name in zip(axes[:, 0], names, strict=True):
        values = table[:, columns.index(name)]
        axis.plot(iterations[::every], values[::every], color="0.75", linewidth=0.7)
        window = min(_WINDOW, len(values))
        mean = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(iterations[window - 1 :][::every], mean[::every], color="C0", linewidth=1.2)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel(f"iteration (dark: mean of {_WINDOW})")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, metadata={"Software": None})
    folder.write("losses.png", content.getvalue())


def _draw_of(system: System, name: str) -> str:
    """Returns: the symbol that feeds an input of G, read off the plan."""
    position = list(system.networks["G"].inputs).index(name)
    for step in system.plan.steps:
        for node in step.nodes:
            if node.op == "network" and node.value == "G":
                source = step.nodes[node.inputs[position]]
                if source.op == "draw" and source.value in system.draws:
                    return str(source.value)
    raise ValueError(f"G's input {name} is not drawn")  # every loss of a generator draws its latents


def _read_log(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return rows[0], np.array([[float(value) for value in row] for row in rows[1:]]).reshape(-1, len(rows[0]))
