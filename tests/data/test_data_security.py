"""Hostile files: nothing is written, run, followed or unpacked beyond its bound, and the member is named."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import bounds

MIB = 2**20


def refused(path, *words, shape=(1, 5, 7)) -> None:
    with pytest.raises(data.DataError) as caught:
        data.load(path, shape=shape, fit="exact")
    message = str(caught.value)
    assert message.startswith(str(path))
    for word in words:
        assert word in message, message


@pytest.fixture
def put(fresh):
    def write_bytes(content: bytes):
        path = fresh()
        path.write_bytes(content)
        return path

    return write_bytes


ESCAPES = ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..", "C:/evil.png", "a\\..\\..\\evil.png", "\\evil.png"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", ESCAPES)
def test_escaping_member_is_refused_by_name(kind, name, put, some, write):
    good = {"good.png": write.picture(some[0])}
    refused(put(getattr(write, kind)({**good, name: good["good.png"]})), repr(name), "outside the folder")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_written_to_disk(kind, put, some, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    png = write.picture(some[0])
    data.load(put(getattr(write, kind)({"a/good.png": png})), shape=(1, 5, 7), fit="exact")
    refused(put(getattr(write, kind)({"a/good.png": png, "../evil.png": png})))
    assert list(tmp_path.rglob("*")) == []
    assert not (tmp_path.parent / "evil.png").exists()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
    ],
)
def test_tar_member_that_is_no_file_is_refused_by_name(kind, words, put, some, write):
    odd = tarfile.TarInfo("people/odd.png")
    odd.type, odd.linkname = kind, "/etc/passwd"
    refused(put(write.tar({"good.png": write.picture(some[0])}, odd)), "'people/odd.png'", words)


def test_tar_with_a_sparse_map_is_refused_before_the_map_is_read(put, some, write):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        header = tarfile.TarInfo("sparse.png")
        header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        header.size = 512
        archive.addfile(header, io.BytesIO(b"x" * 512))  # no number: reading the map would say so instead
    refused(put(buffer.getvalue()), "'sparse.png'", "a sparse file")


def test_tar_header_of_absurd_length_is_refused(put):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**32
    refused(put(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), "4,294,967,296 bytes")


def test_tar_of_nested_headers_is_refused(put):
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    refused(put(header.tobuf(tarfile.USTAR_FORMAT) * 20_000), "damaged")


@pytest.mark.parametrize("kind", [0o120000, 0o010000, 0o020000])
def test_zip_member_that_is_no_file_is_refused_by_name(kind, put):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        odd = zipfile.ZipInfo("odd.png")
        odd.external_attr = (kind | 0o777) << 16
        archive.writestr(odd, "/etc/passwd")
    refused(put(buffer.getvalue()), "'odd.png'", "is a")


def test_encrypted_zip_is_refused(put, some, write):
    content = bytearray(write.zip({"a.png": write.picture(some[0])}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    refused(put(bytes(content)), "'a.png'", "is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_method_without_a_bound_is_refused(method, put, some, write):
    refused(put(write.zip({"a.png": write.picture(some[0])}, method)), f"method {method}")


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_member_is_refused(kind, put, some, write):
    png = write.picture(some[0])
    refused(put(getattr(write, kind)({"a/b.png": png, "a//./b.png": png})), "'a//./b.png'", "twice")


def test_control_characters_in_names_are_not_printed(put, write):
    path = put(write.tar({"\x1b[31mred\n.png": b"no picture"}))
    with pytest.raises(data.DataError) as caught:
        data.load(path, shape=(1, 5, 7), fit="exact")
    assert "\\x1b[31mred\\n.png" in str(caught.value)
    assert "\x1b" not in str(caught.value)


class Trap:
    def __reduce__(self):
        return os.mkdir, (self.where,)


@pytest.mark.parametrize("form", ["npy", "npz", "pickle"])
def test_pickles_are_never_opened(form, put, write, fresh):
    trap = Trap()
    trap.where = str(fresh())
    array = np.array([trap], object)
    content = {
        "npy": lambda: write.npy(array),
        "npz": lambda: write.npz(images=array),
        "pickle": lambda: pickle.dumps(trap),
    }
    refused(put(content[form]()), "never looked up" if form == "pickle" else "never opened")
    assert not os.path.exists(trap.where)


# Bombs. What is measured is the peak of Python's and NumPy's allocations while the file is refused or read.


def peak(function) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_peak_sees_an_array():  # the measure itself
    assert peak(lambda: np.zeros(8 * MIB, np.uint8)) >= 8 * MIB


def npy_header(shape, descr="|u1", length=None) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text) if length is None else length) + text


def png_header(width, height) -> bytes:
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 9) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks


BOMBS = {
    "idx that declares 4 GB": (lambda w: struct.pack(">4B3I", 0, 0, 8, 3, 1000, 2000, 2000), "declares 1000x2000x2000"),
    "idx.gz that declares 4 GB": (lambda w: w.gz(struct.pack(">4B3I", 0, 0, 8, 3, 1000, 2000, 2000)), "declares"),
    "idx that declares 2**96": (lambda w: struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "4,294,967,295 images"),
    "idx.gz that goes on": (lambda w: w.gz(w.idx(np.zeros((1, 5, 7))) + bytes(64 * MIB)), "continues after"),
    "npy that declares 4 GB": (lambda w: npy_header((4000, 1000, 1000)), "declares 4,000,000,000 bytes"),
    "npy that declares 10**30": (lambda w: npy_header((1, 10**15, 10**15)), "GiB"),
    "npy of a 4 GB header": (lambda w: npy_header((1, 5, 7), length=2**32 - 1) + bytes(MIB), "damaged"),
    "npz of a 64 MB header": (lambda w: w.zip({"a.npy": npy_header((1,), length=2**26) + bytes(2**26)}), "damaged"),
    "npz that declares 4 GB": (lambda w: w.zip({"a.npy": npy_header((4000, 1000, 1000))}), "declares"),
    "png of 10**10 pixels": (lambda w: w.zip({"a.png": png_header(100_000, 100_000)}), "decompression bomb"),
    "png of 64 megapixels": (lambda w: w.zip({"a.png": png_header(8000, 8000)}), "64,000,000 pixels"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_without_its_memory(name, put, write):
    make, words = BOMBS[name]
    path = put(make(write))
    assert peak(lambda: refused(path, words)) < 8 * MIB


def test_large_members_that_are_no_pictures_are_passed_over_by_stream(put, some, write, monkeypatch):
    path = put(write.gz(write.tar({"notes.txt": bytes(32 * MIB), "a.png": write.picture(some[0])})))
    monkeypatch.setattr(bounds, "MAX_PICTURE_BYTES", MIB)  # is about pictures
    assert peak(lambda: data.load(path, shape=(1, 5, 7), fit="exact")) < 8 * MIB


@pytest.mark.parametrize(
    ("bound", "value", "kind", "words"),
    [
        ("MAX_STREAM_BYTES", 20_000, "tar.gz", "unpacks to more than 20,000 bytes"),
        ("MAX_STREAM_BYTES", 100, "zip", "unpacks to"),
        ("MAX_PICTURE_BYTES", 50, "tar", ".png'"),
        ("MAX_PICTURE_BYTES", 50, "zip", ".png'"),
        ("MAX_PICTURE_BYTES", 50, "folder", ".png'"),
        ("MAX_PICTURE_PIXELS", 34, "zip", "35 pixels"),
        ("MAX_MEMBERS", 2, "tar", "more than 2 members"),
        ("MAX_MEMBERS", 2, "zip", "more than 2 members"),
        ("MAX_MEMBERS", 2, "folder", "more than 2 files"),
        ("MAX_IMAGES", 2, "tar", "3 images"),
        ("MAX_IMAGES", 2, "idx", "3 images"),
        ("MAX_IMAGES", 2, "npz", "3 images"),
        ("MAX_DATASET_BYTES", 104, "folder", "3 images of 1x5x7"),
        ("MAX_DATASET_BYTES", 104, "idx.gz", "3 images of 5x7"),
        ("MAX_DATASET_BYTES", 104, "npy", "3 images of 1x5x7"),
    ],
)
def test_every_bound_holds_and_admits_its_own_value(bound, value, kind, words, some, put, write, fresh, monkeypatch):
    if kind == "folder":
        path = write.tree(fresh(), write.pictures_of(some))
    elif kind == "tar.gz":
        path = put(write.gz(write.tar({**write.pictures_of(some), "notes": bytes(15_000)})))
    else:
        path = put(write.kinds[kind](some))
    whole = getattr(bounds, bound)
    monkeypatch.setattr(bounds, bound, value)
    refused(path, words)
    if bound not in ("MAX_STREAM_BYTES", "MAX_PICTURE_BYTES"):  # those depend on how well zlib packs
        monkeypatch.setattr(bounds, bound, value + 1)
        assert len(data.load(path, shape=(1, 5, 7), fit="exact").images) == 3
    monkeypatch.setattr(bounds, bound, whole)
    assert len(data.load(path, shape=(1, 5, 7), fit="exact").images) == 3


def test_enlarging_beyond_the_bound_is_refused(some, put, write):
    path = put(write.npy(some))
    for fit in ("pad", "resize"):
        with pytest.raises(data.DataError, match="GiB"):
            data.load(path, shape=(1, 100_000, 100_000), fit=fit)


def test_bad_pictures_are_listed_without_keeping_them(put, write):
    files = {f"{i}.png": bytes(MIB) for i in range(30)}
    path = put(write.zip(files, zipfile.ZIP_STORED))
    assert (
        peak(lambda: refused(path, "30 of 30 pictures cannot be used", "'9.png': does not decode", "and 20 more"))
        < 8 * MIB
    )


def test_picture_that_cannot_fit_is_refused_by_its_header(put, write):
    content = write.zip({"a.png": png_header(6000, 6000)})  # without pixels
    refused(put(content), "6000 high and 6000 wide")
    with pytest.raises(data.DataError, match="does not decode"):
        data.load(put(content), shape=(1, 5, 7), fit="resize")
