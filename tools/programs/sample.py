"""Draw images from a trained generator: a grid, a folder of images, or arrays, in either backend.

Sample i of a seed is the same whatever else is drawn: the first 8 of 64 are the 8 that are drawn alone.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.errors import UserError
from ganspec.tools.pictures import saving
from ganspec.tools.pictures.images import as_pixels, grid, plain_png, png
from ganspec.tools.programs import options as shared
from ganspec.tools.sampling.generator import Generator
from ganspec.tools.sampling.numbered import chosen_labels, described_latents

MAX_GRID = 10_000  # images of one picture
MAX_SAMPLES = 10_000_000
_MOST_COLUMNS = 20  # classes that have a column each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec sample`."""
    shared.add_run(parser)
    parser.add_argument("--n", type=shared.positive, default=64, metavar="N", help="number of samples (default: 64)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--grid", type=Path, metavar="FILE", help="one picture of all samples; default: RUN-samples-001.png here"
    )
    kind.add_argument(
        "--images", type=Path, metavar="DIR", help="a PNG file for each sample, in an empty or new folder"
    )
    kind.add_argument("--npz", type=Path, metavar="FILE", help="arrays: images, values, latents and labels")
    parser.add_argument("--columns", type=shared.positive, metavar="N", help="images in each row of the grid")
    shared.add_samples(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0."""
    _check(arguments)
    generator = Generator.from_run(
        arguments.run, checkpoint=arguments.checkpoint, weights=arguments.weights, backend=arguments.backend,
        device=arguments.device,
    )  # fmt: skip
    labels = chosen_labels(generator.system, arguments.label, generator.classes)
    if arguments.images:
        written = _images(arguments, generator, labels)
    elif arguments.npz:
        written = arguments.npz
        saving.save(written, _arrays(arguments, generator, labels), "--npz FILE")
    else:
        written = arguments.grid or saving.free_path(f"{arguments.run.resolve().name}-samples", ".png")
        pixels = np.concatenate([pixels for pixels, _ in _parts(arguments, generator, labels)])
        columns = arguments.columns or _columns(arguments.n, generator, labels)
        saving.save(written, png(grid(pixels, min(columns, arguments.n))), "--grid FILE")
    print(printable(f"{counted(arguments.n, 'sample')} of {said(generator)}, seed {arguments.seed}: {written}"))
    return 0


def said(generator: Generator) -> str:
    """Returns: which generator it is, in words, and what it is given."""
    return f"{generator.system.name} after {generator.iteration:,} iterations, {described_latents(generator.system)}"


def _check(arguments: argparse.Namespace) -> None:
    """Look at everything that can be wrong before a framework is imported.

    Raises:
        UserError: something is.
    """
    if arguments.images:
        saving.refuse_full(arguments.images, "--images DIR", overwrite=arguments.overwrite)
    elif arguments.npz:
        saving.refuse_existing(arguments.npz, "--npz FILE", overwrite=arguments.overwrite)
    else:
        if arguments.grid:
            saving.refuse_existing(arguments.grid, "--grid FILE", overwrite=arguments.overwrite)
        if arguments.n > MAX_GRID:
            raise UserError(
                f"--n {arguments.n:,}: a picture has room for {MAX_GRID:,}; --images DIR or --npz FILE take more"
            )
    if arguments.columns and (arguments.images or arguments.npz):
        raise UserError("--columns is of a picture; leave it out with --images and --npz")
    if arguments.n > MAX_SAMPLES:
        raise UserError(f"--n {arguments.n:,}: at most {MAX_SAMPLES:,} samples are drawn at once")
    if not arguments.npz:
        saving.require_pillow()


def _columns(count: int, generator: Generator, labels: list[int]) -> int:
    """Returns: columns of a grid: one for each label where labels take turns, else such that the grid is about square."""
    turns = [v.shape[0] for v in generator.system.networks["G"].inputs.values() if v.dtype == "label"]
    number = len(labels) or (turns[0] if turns else 1)
    return number if 1 < number <= _MOST_COLUMNS else math.ceil(math.sqrt(count))


def _parts(
    arguments: argparse.Namespace, generator: Generator, labels: list[int]
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yields: the pixels of some samples, uint8 (count, height, width, channels), and what G was given for them."""
    starts = range(0, arguments.n, arguments.batch)
    for start in tqdm(starts, unit="batch", leave=False, disable=not sys.stderr.isatty()):
        numbers = range(start, min(start + arguments.batch, arguments.n))
        inputs = generator.inputs(numbers, arguments.seed, labels, arguments.truncation)
        yield as_pixels(generator.system.data, generator.images(inputs, arguments.batch)), inputs


def _images(arguments: argparse.Namespace, generator: Generator, labels: list[int]) -> Path:
    places = [i for i, v in enumerate(generator.system.networks["G"].inputs.values()) if v.dtype == "label"]

    def named() -> Iterator[tuple[str, bytes]]:
        number = 0
        for pixels, inputs in _parts(arguments, generator, labels):
            for i, image in enumerate(pixels):
                label = f"-label{inputs[places[0]][i]}" if places else ""
                yield f"{number:06}{label}.png", plain_png(image)
                number += 1

    saving.save_folder(arguments.images, named(), "--images DIR")
    return arguments.images  # type: ignore[no-any-return]


def _arrays(arguments: argparse.Namespace, generator: Generator, labels: list[int]) -> bytes:
    """Returns: the content of an .npz file: images, uint8 (count, height, width, channels); values, as G gives them, (count,
    channels, height, width); and what G was given: each latent by its name, latents_z for instance, and labels."""
    inputs = generator.inputs(range(arguments.n), arguments.seed, labels, arguments.truncation)
    values = generator.images(inputs, arguments.batch)
    found = {"images": as_pixels(generator.system.data, values), "values": values}
    for (name, wanted), array in zip(generator.system.networks["G"].inputs.items(), inputs, strict=True):
        found["labels" if wanted.dtype == "label" else f"latents_{name}"] = array
    content = io.BytesIO()
    np.savez_compressed(content, **found)
    return content.getvalue()
