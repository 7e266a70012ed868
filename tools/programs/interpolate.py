"""Walk from sample to sample of a trained generator: a picture with a row for each walk, or an animation of all of them.

The samples are those of 'ganspec sample' with the same seed, named by their numbers there, from 0, row by row.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.errors import UserError
from ganspec.tools.pictures import saving
from ganspec.tools.pictures.animation import animated
from ganspec.tools.pictures.images import as_pixels, grid, png
from ganspec.tools.programs import options as shared
from ganspec.tools.sampling.generator import Generator
from ganspec.tools.sampling.numbered import chosen_labels, described_latents
from ganspec.tools.sampling.walks import PATHS, walk_inputs

_ROWS = 8
MAX_IMAGES = 10_000  # of one picture, or of all frames of an animation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec interpolate`."""
    shared.add_run(parser)
    parser.add_argument(
        "--rows", type=shared.positive, metavar="N",
        help=f"number of walks: from sample 0 to 1, from 2 to 3, and so on (default: {_ROWS})",
    )  # fmt: skip
    parser.add_argument(
        "--through", type=shared.numbers, action="append", metavar="A,B,...",
        help="a walk through samples of these numbers, in place of --rows; can be given several times",
    )  # fmt: skip
    parser.add_argument("--loop", action="store_true", help="each walk goes back to where it began")
    parser.add_argument(
        "--steps", type=shared.positive, default=10, metavar="N",
        help="images from one sample to the next, both included (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--path", choices=PATHS,
        help="a straight line, or along a great circle; default: spherical for normal latents, else linear",
    )  # fmt: skip
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grid", type=Path, metavar="FILE", help="a picture; default: RUN-interpolation-001.png here")
    kind.add_argument("--gif", type=Path, metavar="FILE", help="an animation, there and back or round the loop")
    shared.add_samples(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    rows = _rows(arguments)
    option = "--gif FILE" if arguments.gif else "--grid FILE"
    if chosen := arguments.gif or arguments.grid:
        saving.refuse_existing(chosen, option, overwrite=arguments.overwrite)
    saving.require_pillow()
    generator = Generator.from_run(
        arguments.run, checkpoint=arguments.checkpoint, weights=arguments.weights, backend=arguments.backend,
        device=arguments.device,
    )  # fmt: skip
    labels = chosen_labels(generator.system, arguments.label, generator.classes)
    inputs = walk_inputs(
        generator.system, rows, arguments.seed, arguments.steps, loop=arguments.loop, path=arguments.path,
        labels=labels, truncation=arguments.truncation,
    )  # fmt: skip
    pixels = as_pixels(generator.system.data, generator.images(inputs, arguments.batch))
    length = len(pixels) // len(rows)
    if arguments.gif:
        frames = list(pixels.reshape(len(rows), length, *pixels.shape[1:]).swapaxes(0, 1))
        frames += [] if arguments.loop else frames[-2:0:-1]
        columns = math.ceil(math.sqrt(len(rows)))
        content = animated([grid(frame, columns) for frame in frames])
    else:
        content = png(grid(pixels, length))
    written = chosen or saving.free_path(f"{arguments.run.resolve().name}-interpolation", ".png")
    saving.save(written, content, option)
    system = f"{generator.system.name} after {generator.iteration:,} iterations, {described_latents(generator.system)}"
    print(printable(f"{counted(len(rows), 'walk')} of {counted(length, 'image')} of {system}: {written}"))
    return 0


def _rows(arguments: argparse.Namespace) -> list[list[int]]:
    """Returns: the numbers of the samples of each walk.

    Raises:
        UserError: walks are of no or of different length, or of too many images.
    """
    if arguments.rows and arguments.through:
        raise UserError("--rows and --through exclude each other: each --through is a row")
    wanted = arguments.rows or _ROWS
    rows = arguments.through or [[2 * i, 2 * i + 1] for i in range(min(wanted, MAX_IMAGES))]
    if min(map(len, rows)) < 2 or len({len(row) for row in rows}) > 1:
        found = " and ".join(sorted({str(len(row)) for row in rows}, key=int))
        raise UserError(f"--through: expected at least 2 samples, as many in each walk; found {found}")
    if arguments.steps < 2:
        raise UserError("--steps 1: expected at least 2, the two samples themselves")
    images = (len(rows) if arguments.through else wanted) * len(rows[0]) * arguments.steps
    if images > MAX_IMAGES:
        raise UserError(
            f"these walks have {images:,} images, at most {MAX_IMAGES:,} are drawn; fewer --steps or walks do"
        )
    return np.asarray(rows).tolist()  # type: ignore[no-any-return]
