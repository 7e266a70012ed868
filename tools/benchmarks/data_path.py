"""The data path alone: images per second from files into memory, and from there into batches, as training reads them.

Without a path, the packaged digits are written in each format into a temporary folder, as they are (28x28, grey) or enlarged to
the size of aligned faces (218x178, colour), and read back. Every reading is done in a process of its own, with the files in the
system's memory already, so that decoding is timed and not the disk. Batches are those of `tools.run.feed`.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ganspec.spec import load_system
from ganspec.tools.benchmarks.fresh import in_fresh_process
from ganspec.tools.benchmarks.tables import Table
from ganspec.tools.data import Cache, embedded_digits, load
from ganspec.tools.errors import UserError
from ganspec.tools.run.feed import Feed

SMALL = "wgan_gp_mlp_mnist"  # whose images are 1x28x28
FACES = "began_faces64"  # whose images are 3x64x64, from larger ones
JOBS = (1, 2)  # numbers of decoding processes
_FACE = (178, 218)  # width and height of CelebA's aligned pictures
_COUNTS = {"digits": 10_000, "faces": 2_000}
_COPIES = 8  # of the faces, for `JOBS`: other processes are started where several seconds of decoding are left
_BATCH_SECONDS = 0.5  # how long batches are drawn


@dataclass(frozen=True)
class Source:
    """What is read.

    Args:
        name: what it is called.
        path: path of it.
        system: name of the system as whose data it is read.
        settings: changes of that system's keys.
        jobs: numbers of decoding processes to try.
        cached: whether decoded images are kept on the disk, and what is timed is the second reading.
    """

    name: str
    path: Path
    system: str = SMALL
    settings: tuple[str, ...] = ()
    jobs: tuple[int, ...] = JOBS[:1]
    cached: bool = False


@dataclass(frozen=True)
class Reading:
    """What was measured of a source.

    Args:
        name: name of the source.
        jobs: number of decoding processes.
        images: number of images.
        shape: shape of an image, as the system wants it.
        reading: seconds from the path to an array of images, the shortest of the tries.
        batches: images per second from there into batches.
    """

    name: str
    jobs: int
    images: int
    shape: tuple[int, ...]
    reading: float
    batches: float

    def cells(self) -> list[str]:
        """Returns: the cells of a row."""
        shape = "x".join(map(str, self.shape))
        per_second = self.images / self.reading
        return [self.name, str(self.jobs), f"{self.images:,}", shape, f"{per_second:,.0f}", f"{self.batches:,.0f}"]


def run(
    path: Path | None, system: str | None, settings: Sequence[str] = (), *, tries: int = 3, markdown: bool = False
) -> list[Reading]:
    """Measure and print one source after the other.

    Args:
        path: data of the user; None for the packaged digits in each format.
        system: name of the system as whose data they are read; None for the usual one.
        settings: changes of that system's keys.
        tries: number of readings, of which the shortest counts.
        markdown: whether the table is written as Markdown.

    Raises:
        DataError: the data cannot be read.
        UserError: they are fewer than a batch.
    """
    table = Table(
        ["source", "processes", "images", "shape", "read, images/s", "batches, images/s"],
        [-34, 9, 8, -8, 14, 17], markdown=markdown,
    )  # fmt: skip
    found: list[Reading] = []
    with TemporaryDirectory(prefix="ganspec-bench-") as folder:
        for source in _given(path, system, settings) if path else _written(Path(folder)):
            for jobs in source.jobs:
                cache = Path(folder) / "cache" if source.cached else None
                found.append(in_fresh_process(measure, source, jobs, tries, cache, what=source.name))
                table.row(found[-1].cells())
    return found


def measure(source: Source, jobs: int, tries: int, cache: Path | None) -> Reading:
    """Read a source in this process, and draw batches of it."""
    system = load_system(source.system, source.settings)
    kept = Cache(cache, always=True) if cache else None

    def read() -> Any:
        wanted = system.data
        return load(
            source.path, shape=wanted.shape, fit=wanted.fit, crop=wanted.crop, skip_grey=wanted.skip_grey,
            labels=wanted.labels if "y" in system.symbols else 0, cache=kept, jobs=jobs,
        )  # fmt: skip

    if kept:
        read()  # makes the cache
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        dataset = read()
        seconds.append(time.perf_counter() - start)
    feed, drawn = Feed(system, dataset, 0, "float32"), 0
    feed()
    start = time.perf_counter()
    while time.perf_counter() - start < _BATCH_SECONDS:
        feed()
        drawn += system.run.batch
    rate = drawn / (time.perf_counter() - start)
    return Reading(source.name, jobs, len(dataset.images), dataset.images.shape[1:], min(seconds), rate)


def as_data(found: Sequence[Reading]) -> list[dict[str, Any]]:
    """Returns: what was measured, as JSON has it."""
    return [{**asdict(each), "shape": list(each.shape)} for each in found]


def _given(path: Path, system: str | None, settings: Sequence[str]) -> Iterator[Source]:
    source = Source(path.name or str(path), path, system or SMALL, tuple(settings), JOBS)
    yield source
    yield replace(source, name=f"{source.name}, cached", jobs=(1,), cached=True)


def _written(folder: Path) -> Iterator[Source]:
    """Write the digits in each format. Yields: what can be read then."""
    digits = load(embedded_digits(), shape=(1, 28, 28), fit="exact")
    images = digits.images[: _COUNTS["digits"], 0]
    raw = folder / "digits-images-idx3-ubyte"
    content = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
    raw.write_bytes(content)
    yield Source("IDX", raw)
    packed = folder / "digits-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(content, 6))
    yield Source("IDX, gzip", packed)
    yield Source("IDX, cached", raw, cached=True)
    small = [(f"{i:05}", image) for i, image in enumerate(images)]
    yield from _pictures(folder, "digits", "PNG", small, Source("", folder))
    enlarged = list(_enlarged(images[: _COUNTS["faces"]]))
    faces = Source("", folder, FACES, ("data.skip_grey=false",))
    yield from _pictures(folder, "faces", "JPEG", enlarged, faces)
    yield _many(folder, folder / "faces", faces)


def _pictures(
    folder: Path, stem: str, format_: str, images: Sequence[tuple[str, np.ndarray]], like: Source
) -> Iterator[Source]:
    """Write pictures into a folder and into a zip."""
    pictures, archive = folder / stem, folder / f"{stem}.zip"
    pictures.mkdir()
    height, width = images[0][1].shape[:2]
    with zipfile.ZipFile(archive, "w") as file:
        for name, image in images:
            content = _encoded(image, format_)
            (pictures / f"{name}.{format_.lower()}").write_bytes(content)
            file.writestr(f"{name}.{format_.lower()}", content)
    what = f"{format_} {height}x{width}"
    yield replace(like, name=f"folder of {what}", path=pictures)
    yield replace(like, name=f"zip of {what}", path=archive)
    yield replace(like, name=f"folder of {what}, cached", path=pictures, cached=True)


def _many(folder: Path, pictures: Path, like: Source) -> Source:
    """Returns: the same pictures several times over, enough that other processes are started to decode them."""
    many = folder / "many"
    many.mkdir()
    for number in range(_COPIES):
        for file in pictures.iterdir():
            os.link(file, many / f"{number}-{file.name}")
    return replace(like, name="many of these", path=many, jobs=JOBS)


def _enlarged(images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yields: digits in colour, as large as faces."""
    image = _pillow()
    for i, pixels in enumerate(images):
        large = np.asarray(image.fromarray(pixels).resize(_FACE, image.Resampling.BICUBIC))
        yield f"{i:05}", np.stack([large, np.roll(large, 5, 0), np.roll(large, 9, 1)], axis=2)


def _encoded(pixels: np.ndarray, format_: str) -> bytes:
    content = io.BytesIO()
    _pillow().fromarray(pixels).save(content, format_, **({"quality": 90} if format_ == "JPEG" else {}))
    return content.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise UserError(
            "--data writes pictures with Pillow; install it with: pip install 'ganspec[pictures]'"
        ) from None
    return Image
