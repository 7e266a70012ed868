"""Members of tar, tar.gz and zip archives, read by stream and never extracted to disk.

An archive with a member that would escape (an absolute path, `..`), or with links, devices, sparse or encrypted members,
is refused as a whole: no honest data set has them. `decoding` decodes pictures, `arrays` reads `.npz`.
"""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError, damage_reported

Member = tuple[str, Callable[[], bytes]]

# The sorts of member that are read, each with the name of its largest size in `bounds`.
_MEMBER_BOUNDS = {"picture": "MAX_PICTURE_BYTES", "batch": "MAX_BATCH_BYTES"}

_SAFE = "plain files and folders with relative paths that stay inside"
_DISTRUST = "do not trust this archive; make a new one from the data alone"
_EXTENDED_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_TAR_TYPES = {
    tarfile.LNKTYPE: "a hard link", tarfile.SYMTYPE: "a symbolic link", tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device", tarfile.FIFOTYPE: "a named pipe", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
_ZIP_TYPES = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def members(
    handle: BinaryIO, kind: str, gzipped: bool, thing: str = "picture", folders: set[str] | None = None
) -> Iterator[Member]:
    """Walk over the files of an archive, from its start.

    Args:
        handle: open archive; it is rewound first, so that it can be walked twice.
        kind: "tar" or "zip", as `detect.kind_of` says.
        gzipped: whether the tar is compressed with gzip.
        thing: sort of file that will be read, "picture" or "batch"; each sort has its own largest size.
        folders: set to which the names of folders are added that have entries of their own.

    Yields:
        the name of each file and a function that reads it, to be called before the next file is requested.

    Raises:
        DataError: the archive is damaged, too large, or holds what no data set holds.
    """
    handle.seek(0)
    folders = set() if folders is None else folders
    return _tar_members(handle, gzipped, thing, folders) if kind == "tar" else _zip_members(handle, thing, folders)


def is_npz(handle: BinaryIO) -> bool:
    """Whether an open zip holds NumPy arrays and nothing else. The handle is rewound."""
    with damage_reported("a zip archive"), zipfile.ZipFile(handle) as archive:
        names = archive.namelist()
    handle.seek(0)
    return bool(names) and all(name.endswith(".npy") for name in names)


class _TarHeader(tarfile.TarInfo):
    """A tar header that is judged before tarfile acts on it, and whose damage never passes for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # the block of zeros that ends an archive
            raise
        except tarfile.HeaderError as error:  # tarfile would end the archive here, silently losing the rest
            raise DataError(
                f"is damaged or cut short ({error})",
                "a tar archive that reads to its end marker",
                "download or copy it again, and compare its checksum with the publisher's",
            ) from error
        if header.size < 0 or (header.type in _EXTENDED_HEADERS and header.size > bounds.MAX_TAR_HEADER_BYTES):
            raise DataError(
                f"has a header that declares {header.size:,} bytes",
                f"0 to {bounds.MAX_TAR_HEADER_BYTES:,} bytes",
                _DISTRUST,
                member=header.name,
            )
        if header.type == tarfile.GNUTYPE_SPARSE:
            _refuse(header.name, "is a sparse file")
        return header

    # tarfile reads the map of a sparse file, of any length, before it yields the member. These three names are its own;
    # if one of them changes, `issparse` below still refuses the member, only later.
    def _refuse_sparse(self, member: tarfile.TarInfo, *_: object) -> None:
        _refuse(member.name, "is a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _tar_members(handle: BinaryIO, gzipped: bool, thing: str, folders: set[str]) -> Iterator[Member]:
    with damage_reported("a tar archive"):
        stream = bounds.Limited(gzip.GzipFile(fileobj=handle) if gzipped else handle)
        archive = tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarHeader)  # noqa: SIM115 (holds no file of its own)
    seen: set[str] = set()
    while True:
        with damage_reported("a tar archive"):
            header = archive.next()
        if header is None:
            break
        archive.members = []  # tarfile keeps every header that it has met, and two million of them fill the memory
        name = _checked_name(header.name, seen)
        if header.issparse():
            _refuse(name, "is a sparse file")
        if header.isdir():
            folders.add(name)
            continue
        if not header.isreg():
            _refuse(name, f"is {_TAR_TYPES.get(header.type, 'of an unknown type')}")
        if header.size < 0:  # a pax record can say so after the header was judged
            _refuse(name, "has a negative size")
        yield name, lambda header=header: _read_tar(archive, header, thing)
    with damage_reported("a tar archive"):
        stream.drain()


def _read_tar(archive: tarfile.TarFile, header: tarfile.TarInfo, thing: str) -> bytes:
    refuse_large(header.name, header.size, thing)
    with damage_reported("a tar archive", member=header.name):
        return archive.extractfile(header).read()


def _zip_members(handle: BinaryIO, thing: str, folders: set[str]) -> Iterator[Member]:
    with damage_reported("a zip archive"):
        archive = zipfile.ZipFile(handle)
        infos = checked_zip(archive)
        folders.update(info.filename for info in archive.infolist() if info.is_dir())
    for info in infos:
        yield info.filename, lambda info=info: _read_zip(archive, info, thing)


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, thing: str) -> bytes:
    refuse_large(info.filename, info.file_size, thing)
    with damage_reported("a zip archive", member=info.filename), archive.open(info) as stream:
        return bounds.read_exactly(stream, info.file_size).tobytes()


def checked_zip(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the files of a zip; all are judged before any is read.

    Raises:
        DataError: there are too many, they unpack to too much, or one escapes, is doubled, encrypted or not a plain file.
    """
    seen: set[str] = set()
    files = []
    for info in archive.infolist():
        name = _checked_name(info.filename, seen)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind in _ZIP_TYPES:
            _refuse(name, f"is {_ZIP_TYPES[kind]}")
        if info.flag_bits & 0x1:
            raise DataError("is encrypted", "an archive without a password", "unpack it yourself", member=name)
        # zipfile unpacks whole input blocks of bzip2 and lzma, however little is requested: no bound holds.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(
                f"is compressed with method {info.compress_type}", "stored or deflated", "zip it again", member=name
            )
        if not info.is_dir():
            files.append(info)
    total = sum(info.file_size for info in files)
    if total > bounds.MAX_STREAM_BYTES:
        raise DataError(
            f"unpacks to {total:,} bytes",
            f"at most {bounds.MAX_STREAM_BYTES:,} (MAX_STREAM_BYTES in tools/data/bounds.py)",
            "check where it comes from; if it is genuine, unpack it and give the folder, or raise the bound",
        )
    return files


def _checked_name(name: str, seen: set[str]) -> str:
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or re.match("[A-Za-z]:", parts[0]):
        _refuse(name, "would be written outside the folder it is unpacked in")
    key = "/".join(part for part in parts if part not in ("", "."))
    if key in seen and key:
        _refuse(name, "is in the archive twice")
    seen.add(key)
    if len(seen) > bounds.MAX_MEMBERS:
        raise DataError(
            f"holds more than {bounds.MAX_MEMBERS:,} members",
            "an archive within MAX_MEMBERS of tools/data/bounds.py",
            "take a part of it, or raise the bound",
        )
    return name


def _refuse(name: str, problem: str) -> None:
    raise DataError(problem, _SAFE, _DISTRUST, member=name)


def refuse_large(name: str | None, size: int, thing: str = "picture") -> None:
    """Raise `DataError` if a compressed picture, or a batch, is larger than its bound."""
    bound = _MEMBER_BOUNDS[thing]
    if size > getattr(bounds, bound):
        raise DataError(
            f"takes {size:,} bytes",
            f"at most {getattr(bounds, bound):,} per {thing} ({bound} in tools/data/bounds.py)",
            "leave it out, or raise the bound",
            member=name,
        )
