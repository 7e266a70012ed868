"""Writers of small data sets, one for each format, so that tests say what they read.

They share no code with the readers: `struct`, Pillow, NumPy and the standard library's archives write the bytes.
"""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.data import download_site


def idx_bytes(values: np.ndarray) -> bytes:
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def picture(image: np.ndarray, form: str = "PNG", **options) -> bytes:
    """One picture of an array (c, height, width) with one or three channels."""
    pillow = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pillow.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(buffer, form, **options)
    return buffer.getvalue()


def sixteen_bits(image: np.ndarray) -> bytes:
    """A PNG of one grey image (1, height, width) with sixteen bits per pixel."""
    pillow = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pillow.fromarray(image[0].astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def animation(images: np.ndarray) -> bytes:
    """An animated PNG of grey images (n, 1, height, width)."""
    pillow = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    frames = [pillow.fromarray(image[0]) for image in images]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def tar_bytes(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
        for header in extra:
            archive.addfile(header)
    return buffer.getvalue()


def zip_bytes(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)  # the tests also write what the reader must refuse
    return buffer.getvalue()


def npz_bytes(**members: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **members)
    return buffer.getvalue()


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def pictures_of(images: np.ndarray) -> dict[str, bytes]:
    """Named so that the order of paths is the order of images, and written in another order."""
    files = {f"faces/{i // 2}/{i:04d}.png": picture(image) for i, image in enumerate(images)}
    return dict(reversed(files.items()))


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


BYTES = {
    "idx": lambda images: idx_bytes(images[:, 0]),
    "idx.gz": lambda images: gz(idx_bytes(images[:, 0])),
    "tar": lambda images: tar_bytes(pictures_of(images)),
    "tar.gz": lambda images: gz(tar_bytes(pictures_of(images))),
    "zip": lambda images: zip_bytes(pictures_of(images)),
    "npy": npy_bytes,
    "npz": lambda images: npz_bytes(images=images),
}


@pytest.fixture(scope="session")
def write() -> SimpleNamespace:
    """The writers above; `write.kinds[kind](images)` gives the bytes of a data set in that format."""
    return SimpleNamespace(
        idx=idx_bytes, picture=picture, tar=tar_bytes, zip=zip_bytes, npy=npy_bytes, npz=npz_bytes, tree=tree,
        pictures_of=pictures_of, gz=gz, kinds=BYTES, sixteen_bits=sixteen_bits, animation=animation,
    )  # fmt: skip


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """`fresh()` is a path that does not exist yet. For the whole session, so that Hypothesis may use it."""
    folder, number = tmp_path_factory.mktemp("data"), itertools.count()
    return lambda: folder / f"set{next(number)}"


@pytest.fixture(scope="session")
def some() -> np.ndarray:
    """Three grey images 5x7, uint8 (3, 1, 5, 7), no two pixels alike."""
    return np.arange(105, dtype=np.uint8).reshape(3, 1, 5, 7)


@pytest.fixture
def server(monkeypatch):
    """A server that has the data set "set"; see download_site.py."""
    yield from download_site.serving(monkeypatch)


@pytest.fixture
def there(tmp_path) -> download_site.Folder:
    """An empty folder to download "set" into."""
    (tmp_path / "set").mkdir()
    return download_site.Folder(tmp_path)
