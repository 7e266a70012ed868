"""The pictures of a run: which are drawn when, and their files in the run's folder.

    real.png                      before training begins: images of the data, in the rows of the samples
    samples/NNNNNNNN.png          when pictures are due, and at the end
    manifold/LABEL/NNNNNNNN.png   when pictures are due, and where training ends; not where it is interrupted
    interpolation.png, losses.png with every checkpoint, and at the end
    manifold-LABEL.gif            at the end, also of an interrupted run

All pictures are of fixed latents, so that a resumed run draws what an unbroken run draws. The animations are made of all frames
that lie in the folder, so that a run that was interrupted and resumed has all of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.pictures import missing_packages
from ganspec.tools.pictures.animation import animation
from ganspec.tools.pictures.images import GAP, as_pixels, grid, png
from ganspec.tools.pictures.plots import plot_columns
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.log import read_log
from ganspec.tools.run.real import real_images
from ganspec.tools.run.tensorboard import Board
from ganspec.tools.sampling.interpolation import COLUMNS, interpolation_latents
from ganspec.tools.sampling.latents import generate, sample_latents
from ganspec.tools.sampling.manifold import manifold_latents


class Album:
    """The pictures of one run.

    Args:
        system: system that is trained.
        folder: folder of the run.
        trainer: trainer whose network G makes the images.
        seed: seed of the run.
    """

    def __init__(self, system: System, folder: RunFolder, trainer: Any, seed: int) -> None:
        self.system, self.folder, self.trainer = system, folder, trainer
        self.missing = missing_packages()
        self.sample_latents = sample_latents(system, seed)
        self.interpolation_latents = interpolation_latents(system, seed)
        self.manifold_latents = manifold_latents(system) if system.manifold else {}
        self.board: Board | None = None  # that shows samples in TensorBoard, too
        self.drawn = -1  # the iteration of the newest set of pictures

    def add_real(self, feed: Feed) -> None:
        """Draw real images, unless that was done: as many as samples, and in each row those of its label.

        Args:
            feed: source of the images and their labels.

        Raises:
            UserError: the picture cannot be written.
        """
        if "Pillow" in self.missing or (self.folder.path / "real.png").exists():
            return
        rows, columns = self.system.run.grid
        inputs = self.system.networks["G"].inputs.values()
        classes = next((wanted.shape[0] for wanted in inputs if wanted.dtype == "label"), None)
        picture = png(grid(real_images(feed, rows, columns, classes), columns))
        self.folder.write("real.png", picture)
        if self.board:
            self.board.picture("real", self.trainer.iteration, picture)

    def add(self, *, frames: bool = True) -> None:
        """Draw what G makes now, unless that was done after this iteration.

        Args:
            frames: whether to draw frames of the manifold, too.

        Raises:
            UserError: a picture cannot be written.
        """
        if "Pillow" in self.missing or self.drawn == self.trainer.iteration:
            return
        name = f"{self.trainer.iteration:08}.png"
        samples = self._picture(self.sample_latents, self.system.run.grid[1])
        self.folder.write(f"samples/{name}", samples)
        if self.board:
            self.board.picture("samples", self.trainer.iteration, samples)
        for label, latents in self.manifold_latents.items() if frames else ():
            picture = self._picture(latents, math.isqrt(len(latents[0])), gap=0)
            self.folder.write(str(Path("manifold", label, name)), picture)
        self.drawn = self.trainer.iteration

    def review(self) -> None:
        """Draw again the pictures of which a run has one: interpolation and plots."""
        if "Pillow" not in self.missing:
            self.folder.write("interpolation.png", self._picture(self.interpolation_latents, COLUMNS))
        if "matplotlib" not in self.missing:
            columns, table = read_log(self.folder.log.path)
            if len(table):
                self.folder.write("losses.png", plot_columns(columns, table, self.system.run.moving_average))

    def close(self) -> None:
        """Make the animations of all frames in the folder."""
        for label in self.manifold_latents if "Pillow" not in self.missing else ():
            if paths := self.folder.pictures(str(Path("manifold", label))):
                self.folder.write(f"manifold-{label}.gif" if label else "manifold.gif", animation(paths))

    def _picture(self, latents: list[np.ndarray], columns: int, gap: int = GAP) -> bytes:
        pixels = as_pixels(self.system.data, generate(self.trainer, latents))
        return png(grid(pixels, columns, gap))
