"""Draw a square of what a trained generator makes: all of a latent space of two numbers, or a plane through three samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError
from ganspec.tools.pictures import saving
from ganspec.tools.pictures.images import as_pixels, grid, png
from ganspec.tools.programs import options as shared
from ganspec.tools.sampling.generator import Generator
from ganspec.tools.sampling.numbered import chosen_labels, described_latents
from ganspec.tools.sampling.walks import PATHS, plane_inputs, quantile_inputs, two_numbers

MAX_SIDE = 100  # ten thousand images
_LOW, _HIGH = 0.05, 0.95
_CORNERS = (0, 1, 2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec manifold`."""
    shared.add_run(parser)
    parser.add_argument(
        "--side", type=shared.positive, default=15, metavar="N", help="number of rows and of columns (default: 15)"
    )
    parser.add_argument(
        "--through", type=shared.numbers, metavar="A,B,C",
        help="a plane through samples of these numbers: top left, top right, bottom left; default: all of a latent of two "
        "numbers, else 0,1,2",
    )  # fmt: skip
    parser.add_argument(
        "--low", type=shared.number, metavar="Q",
        help=f"quantile of the first row and column, for latents of two numbers (default: {_LOW})",
    )  # fmt: skip
    parser.add_argument("--high", type=shared.number, metavar="Q", help=f"quantile of the last ones (default: {_HIGH})")
    parser.add_argument(
        "--path",
        choices=PATHS,
        help="of a plane: flat, or on a sphere; default: spherical for normal latents, else linear",
    )
    parser.add_argument("--grid", type=Path, metavar="FILE", help="the picture; default: RUN-manifold-001.png here")
    shared.add_samples(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    low, high = arguments.low or _LOW, arguments.high or _HIGH
    _check(arguments, low, high)
    generator = Generator.from_run(
        arguments.run, checkpoint=arguments.checkpoint, weights=arguments.weights, backend=arguments.backend,
        device=arguments.device,
    )  # fmt: skip
    system = generator.system
    labels = chosen_labels(system, arguments.label, generator.classes)
    if len(labels) > 1:
        raise UserError("--label: a manifold has one label; make a picture for each")
    if two_numbers(system) is not None and not arguments.through:
        if arguments.path or arguments.truncation:
            raise UserError("--path and --truncation are of a plane: choose three samples with --through A,B,C")
        inputs = quantile_inputs(system, arguments.side, low, high, labels[0] if labels else 0)
        what = f"quantiles {low:g} to {high:g}"
    else:
        if arguments.low or arguments.high:
            raise UserError("--low and --high are of latents of two numbers; of a plane through samples there are none")
        corners = arguments.through or _CORNERS
        inputs = plane_inputs(
            system, corners, arguments.seed, arguments.side, path=arguments.path, labels=labels,
            truncation=arguments.truncation,
        )  # fmt: skip
        what = f"plane through the samples {', '.join(map(str, corners))} of seed {arguments.seed}"
    pixels = as_pixels(system.data, generator.images(inputs, arguments.batch))
    written = arguments.grid or saving.free_path(f"{arguments.run.resolve().name}-manifold", ".png")
    saving.save(written, png(grid(pixels, arguments.side, gap=0)), "--grid FILE")
    name = f"{system.name} after {generator.iteration:,} iterations, {described_latents(system)}"
    print(printable(f"{arguments.side}x{arguments.side} images, {what}, of {name}: {written}"))
    return 0


def _check(arguments: argparse.Namespace, low: float, high: float) -> None:
    """Look at everything that can be wrong before a framework is imported.

    Raises:
        UserError: something is.
    """
    if not 2 <= arguments.side <= MAX_SIDE:
        raise UserError(f"--side {arguments.side}: expected a number from 2 to {MAX_SIDE}")
    if not low < high < 1:
        raise UserError(f"--low {low:g} --high {high:g}: expected two quantiles between 0 and 1, the lower one first")
    if arguments.through and len(arguments.through) != 3:
        raise UserError(f"--through: expected the numbers of three samples, found {len(arguments.through)}")
    if arguments.grid:
        saving.refuse_existing(arguments.grid, "--grid FILE", overwrite=arguments.overwrite)
    saving.require_pillow()
