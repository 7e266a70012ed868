"""Files with named arrays, as Chainer writes them: npz and HDF5, either of them also compressed by gzip.

What a file holds is judged from its content, not from its name. Nothing is unpickled: a member that is a Python object is listed
and cannot be read. Sizes are compared with bounds before memory is taken. What the names mean is left to `snapshots`.

Source: chainer.serializers.npz and chainer.serializers.hdf5 of Chainer 7.8.1.
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import reason
from ganspec.tools.porting.carry_errors import CarryError, meant

MAX_SNAPSHOT_BYTES = (
    32 * 2**30
)  # of all arrays together: a model of 2.7 billion float32 weights with both moments of Adam
MAX_ARRAYS = 200_000  # ResNet-152 and the state of its Adam have 4,000
_MAX_HEADER_BYTES = 16 * 2**10  # of one array in npz: one line of text

_DAMAGE = (zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError, ValueError, NotImplementedError, RuntimeError)
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class Member:
    """What a file says of one of its arrays.

    Args:
        shape: shape, or None where no numbers are there.
        dtype: type of the values, or None.
        problem: "" or why it cannot be read.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype | None
    problem: str = ""


@dataclass(frozen=True)
class SnapshotFile:
    """An open description of a file with named arrays; the arrays are read when they are asked for.

    Args:
        path: path of the file.
        kind: "npz" or "hdf5".
        members: what it holds, by name, in its own order.
        content: the whole file, where it had to be unpacked from gzip; otherwise None.
    """

    path: Path
    kind: str
    members: Mapping[str, Member]
    content: bytes | None = None

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Read arrays.

        Args:
            names: names of members.

        Returns: the arrays, C-ordered, of native byte order, writable.

        Raises:
            CarryError: there is no such member, it holds no numbers, or the file is damaged.
        """
        names = list(names)
        for name in names:
            if name not in self.members:
                hint = meant(name, self.members)
                raise CarryError(f"there is no {printable(name)}{hint}", self.path, "give another file or name")
            if self.members[name].problem:
                raise CarryError(f"{printable(name)} {self.members[name].problem}", self.path, "save the model again")
        with self.open() as stream:
            arrays = _guarded(self.path, _READERS[self.kind], stream, names)
        return {name: np.asarray(a, a.dtype.newbyteorder("="), order="C") for name, a in arrays}

    def open(self) -> BinaryIO:
        """Returns: the file, unpacked from gzip, as a stream of bytes."""
        return self.path.open("rb") if self.content is None else io.BytesIO(self.content)


def open_snapshot(path: Path) -> SnapshotFile:
    """List what a file with named arrays holds.

    Args:
        path: path of an npz or HDF5 file; the name's ending does not matter.

    Raises:
        CarryError: it cannot be read, is of another kind, too large, or damaged.
    """
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "there is no such file"
        raise CarryError(problem, path, "give the file that Chainer wrote")
    content = None
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
        if start.startswith(b"\x1f\x8b"):
            content = _guarded(path, _unpacked, path)
            start = content[:16]
    except OSError as error:
        raise CarryError(f"cannot be read: {reason(error)}", path, "mend that, or give another file") from None
    kind = {b"PK": "npz", b"\x89H": "hdf5"}.get(start[:2])
    if kind is None:
        raise CarryError(*_stranger(path, start))
    file = SnapshotFile(path, kind, {}, content)
    with file.open() as stream:
        members: dict[str, Member] = _guarded(path, {"npz": _npz_members, "hdf5": _hdf5_members}[kind], stream)
    return SnapshotFile(path, kind, members, content)


def _guarded(path: Path, function: Callable, *arguments: Any) -> Any:
    """Call a function; what a damaged file makes it raise becomes a CarryError that names the file."""
    try:
        return function(*arguments)
    except _Refused as error:
        raise CarryError(error.args[0], path, error.args[1]) from None
    except (*_DAMAGE, OSError, KeyError) as error:
        raise CarryError(f"is damaged or cut short ({printable(str(error)[:200])})", path, _AGAIN) from None


class _Refused(Exception):
    """Something in a file is refused: what, remedy."""


def _stranger(path: Path, start: bytes) -> tuple[str, Path, str]:
    """Returns: what is wrong, where, and the remedy, of a file that is neither npz nor HDF5."""
    save = "save the model with chainer.serializers.save_npz in the old environment"
    if not start:
        return "is empty", path, _AGAIN
    if start[:1] == b"\x80" and start[1] <= 5:
        return "is a pickle, which is never opened: it can run code", path, save
    if start.startswith(b"\x93NUMPY"):
        return "is one array without a name", path, save
    if start[8:9] == b"{":
        return "is a safetensors file, not one of Chainer's", path, "with --back, give it in place of the weights"
    return "is neither npz nor HDF5", path, save


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as stream:
        content = stream.read(MAX_SNAPSHOT_BYTES // 8 + 1)
    if len(content) > MAX_SNAPSHOT_BYTES // 8:
        raise _Refused("is too large to be unpacked from gzip in memory", "unpack it with gunzip")
    return content


def _npz_members(stream: BinaryIO) -> dict[str, Member]:
    members: dict[str, Member] = {}
    with zipfile.ZipFile(stream) as archive:
        files = archive.infolist()
        _refuse_large(len(files), sum(info.file_size for info in files))
        if any(info.filename.endswith("data.pkl") for info in files):
            raise _Refused("is a file of PyTorch, not one of Chainer's", "give the file that Chainer wrote")
        for info in files:
            name = info.filename.removesuffix(".npy")
            if name in members:
                raise _Refused(f"holds {printable(name)} twice", _AGAIN)
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused(f"{printable(name)} is encrypted, or not compressed as NumPy does", "save it again")
            with archive.open(info) as file:
                shape, dtype, _, begun = _header(file, name)
            if dtype.hasobject:
                problem = "is a Python object: what Chainer writes for an array that was not initialised"
                members[name] = Member(None, None, problem)
                continue
            if begun + math.prod(shape) * dtype.itemsize != info.file_size:
                raise _Refused(f"{printable(name)} is not as long as it says", _AGAIN)
            members[name] = Member(shape, dtype)
    return members


def _header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Read the header of an array.

    Returns: shape, dtype, whether columns come first, and the number of bytes of the header.
    """
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:7] not in (b"\1", b"\2"):
        raise _Refused(f"{printable(name)} is not an array", "give the file that Chainer wrote")
    width = 2 if start[6] == 1 else 4
    length = file.read(width)
    size = int.from_bytes(length, "little")
    if size > _MAX_HEADER_BYTES:
        raise _Refused(f"{printable(name)} has a header of {size:,} bytes", _AGAIN)
    text = io.BytesIO(length + file.read(size))
    read = npy.read_array_header_1_0 if width == 2 else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "created on Python 2": true and harmless
        try:
            shape, by_columns, dtype = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise _Refused(f"{printable(name)} has a header that is not NumPy's", _AGAIN) from None
    if any(type(n) is not int or n < 0 for n in shape) or dtype.kind not in "biufcUSO" or dtype.shape:
        raise _Refused(f"{printable(name)} has the type {dtype} and the shape {shape}", "give Chainer's own file")
    return shape, dtype, by_columns, 8 + width + size


def _read_npz(stream: BinaryIO, names: list[str]) -> list[tuple[str, np.ndarray]]:
    arrays = []
    with zipfile.ZipFile(stream) as archive:
        stored = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        for name in names:
            with archive.open(stored[name]) as file:
                shape, dtype, by_columns, _ = _header(file, name)
                values = bytearray(
                    file.read()
                )  # to the end: zipfile compares the checksum there, and stops at the size
            flat = np.frombuffer(values, dtype, math.prod(shape))
            arrays.append((name, flat.reshape(shape, order="F" if by_columns else "C")))
    return arrays


def _hdf5_members(stream: BinaryIO) -> dict[str, Member]:
    members: dict[str, Member] = {}

    def visit(name: str, item: Any) -> None:  # h5py shows it what stands in the file itself, not what links lead to
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_virtual or item.external:
            raise _Refused(f"{printable(name)} stands in another file", "save the model again, into one file")
        if item.shape is None:
            problem = "is empty: what Chainer writes for an array that was not initialised"
            members[name] = Member(None, None, problem)
        elif item.dtype.kind not in "biufcUSO" or (item.dtype.kind == "O" and not h5py.check_string_dtype(item.dtype)):
            members[name] = Member(None, None, f"has the type {item.dtype}, which is not numbers")
        else:
            members[name] = Member(item.shape, item.dtype)

    h5py = _h5py()
    with h5py.File(stream, "r") as file:
        file.visititems(visit)
    _refuse_large(len(members), sum(math.prod(m.shape or ()) * m.dtype.itemsize for m in members.values() if m.dtype))
    return members


def _read_hdf5(stream: BinaryIO, names: list[str]) -> list[tuple[str, np.ndarray]]:
    h5py = _h5py()
    with h5py.File(stream, "r") as file:
        return [(name, np.asarray(_values(file[name]))) for name in names]


def _values(dataset: Any) -> Any:
    return dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]


def _h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError:
        raise _Refused("is an HDF5 file, and h5py is not installed", "install it: pip install h5py") from None
    return h5py


def _refuse_large(count: int, size: int) -> None:
    if count > MAX_ARRAYS:
        raise _Refused(f"holds {count:,} arrays", f"give one of at most {MAX_ARRAYS:,} (MAX_ARRAYS)")
    if size > MAX_SNAPSHOT_BYTES:
        bound = f"{MAX_SNAPSHOT_BYTES / 2**30:g} GiB (MAX_SNAPSHOT_BYTES of tools/porting/snapshot_files.py)"
        raise _Refused(f"unpacks to {size / 2**30:,.1f} GiB", f"give one of at most {bound}")


_READERS = {"npz": _read_npz, "hdf5": _read_hdf5}
