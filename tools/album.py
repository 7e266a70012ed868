"""Which pictures of a run are drawn when.

    samples/NNNNNNNN.png          when pictures are due, and at the end
    manifold/LABEL/NNNNNNNN.png   when pictures are due, and where training ends; not where it is interrupted
    interpolation.png, losses.png with every checkpoint, and at the end
    manifold-LABEL.gif            at the end, also of an interrupted run

All of it comes from fixed latents: what a resumed run draws is what an unbroken one draws.
"""

from __future__ import annotations

from typing import Any

from spec.system import System
from tools import interpolation, manifold, pictures, plots
from tools.runfolder import RunFolder


class Album:
    """The pictures of one run.

    Args:
        system: what is trained.
        folder: of the run.
        trainer: whose network G is drawn.
        seed: of the run.
    """

    def __init__(self, system: System, folder: RunFolder, trainer: Any, seed: int) -> None:
        self.system, self.folder, self.trainer = system, folder, trainer
        self.without = pictures.missing()
        self.samples = pictures.latents(system, seed)
        self.ways = interpolation.inputs(system, seed)
        self.manifold = manifold.inputs(system) if system.manifold else {}
        self.drawn = -1  # the iteration of the newest set of pictures

    def add(self, *, frames: bool = True) -> None:
        """Draw samples and, if wanted, the manifold's frames as they are now, unless that was done."""
        if "Pillow" in self.without or self.drawn == self.trainer.iteration:
            return
        pixels = pictures.as_pixels(self.system, pictures.generate(self.trainer, self.samples))
        picture = pictures.grid(pixels, self.system.run.grid[1])
        self.folder.write(f"samples/{self.trainer.iteration:08}.png", pictures.png(picture))
        if frames:
            manifold.save_frames(self.folder, self.system, self.trainer, self.manifold)
        self.drawn = self.trainer.iteration

    def review(self) -> None:
        """Draw what there is one of: interpolation and plots."""
        if "Pillow" not in self.without:
            pixels = pictures.as_pixels(self.system, pictures.generate(self.trainer, self.ways))
            self.folder.write("interpolation.png", pictures.png(pictures.grid(pixels, interpolation.COLUMNS)))
        if "matplotlib" not in self.without:
            plots.save_losses(self.folder, self.system.run.moving_average)

    def close(self) -> None:
        """Make the animations."""
        if "Pillow" not in self.without:
            manifold.save_animations(self.folder, self.manifold)
