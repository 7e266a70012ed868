"""Hostile pickles: nothing in them is run, looked up or made larger than it is."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import tracemalloc

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import bounds, detect
from ganspec.tools.data.pickles import NAMES, read_pickle
from support.data.cifar_files import batch_dict, published, set_of

SIZE = 2
MIB = 2**20
IMAGES = np.random.default_rng(3).integers(0, 256, (SIZE, 3, 32, 32), np.uint8)
LABELS = np.array([3, 8])


@pytest.fixture(autouse=True, scope="module")
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detect, "BATCH_IMAGES", SIZE)
        yield


def refused(path, *words) -> None:
    with pytest.raises(data.DataError) as caught:
        data.load(path, shape=(3, 32, 32), fit="exact")
    message = str(caught.value)
    assert message.startswith(str(path))
    for word in words:
        assert word in message, message


def peak(function) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, where) -> None:
        self.where = str(where)

    def __reduce__(self):
        return os.mkdir, (self.where,)


def trapped(where, place: str) -> dict:
    batch = {key.decode(): value for key, value in batch_dict(IMAGES, LABELS).items()}
    trap = Trap(where)
    match place:
        case "alone":
            return trap
        case "key":
            return {trap: 1}
        case "label":
            return {**batch, "labels": [1, trap]}
        case "array":
            return {**batch, "data": np.array([trap], object)}
        case "beside":
            return {**batch, "extra": trap}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "key", "label", "array", "beside"])
def test_trap_is_refused_by_name_and_not_run(place, protocol, fresh):
    where, path = fresh(), fresh()
    path.write_bytes(pickle.dumps(trapped(where, place), protocol))
    refused(path, "values of NumPy's type 'O8'" if place == "array" else f"asks for '{os.mkdir.__module__}.mkdir'")
    assert not where.exists()
    if place in ("alone", "label", "array", "beside"):  # the trap itself works
        pickle.loads(path.read_bytes())
        assert where.exists()


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "folder"])
def test_trap_in_a_set_is_refused_by_its_member(kind, write, fresh):
    where, path = fresh(), fresh()
    images, labels = np.repeat(IMAGES, 6, axis=0), np.repeat(LABELS, 6)
    files = {**set_of(images, labels), "cifar-10-batches-py/data_batch_3": pickle.dumps(Trap(where), 2)}
    if kind == "folder":
        write.tree(path, files)
    else:
        path.write_bytes(write.gz(write.tar(files)) if kind == "tar.gz" else write.zip(files))
    refused(path, "'cifar-10-batches-py/data_batch_3'", ".mkdir', which is never looked up")
    assert not where.exists()


OTHER_NAMES = [
    "builtins\neval", "__builtin__\neval", "os\nsystem", "posix\nsystem", "numpy\nload", "numpy\nndarray.tofile",
    "numpy.core.multiarray\nscalar", "numpy.core.multiarray\nfromfile", "numpy._core.multiarray\n__builtins__",
    "numpy.core\nmultiarray._reconstruct", "_codecs\ndecode", "_codecs\nencode\x00", "copyreg\n_reconstructor",
    "numpy\ndtype\r", "", "numpy.dtype\n",
]  # fmt: skip


@pytest.mark.parametrize("name", OTHER_NAMES)
@pytest.mark.parametrize("form", ["GLOBAL", "STACK_GLOBAL"])
def test_every_other_name_is_refused(name, form):
    module, _, attribute = name.partition("\n")
    if form == "GLOBAL":
        content = b"c" + f"{module}\n{attribute}\n".encode()
    else:
        content = (
            b"".join(b"X" + struct.pack("<I", len(part)) + part.encode() for part in (module, attribute)) + b"\x93"
        )
    # Unpickler itself refuses an empty line.
    empty = form == "GLOBAL" and not (module and attribute)
    with pytest.raises(data.DataError, match="cannot be read" if empty else r"asks for '.*', which is never looked up"):
        read_pickle(b"\x80\x02}" + content + b"b.")


def test_names_admitted_are_numpys_own_and_no_more():
    assert {name for _, name in NAMES} == {"_reconstruct", "_frombuffer", "ndarray", "dtype", "encode"}


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_name_stands_for_nothing_of_its_module(module, name):
    assert type(NAMES[module, name]).__module__ == read_pickle.__module__
    assert not isinstance(NAMES[module, name], type)


@pytest.mark.parametrize("state", [b"}X\x09\0\0\0_functionNs", b"N}X\x09\0\0\0_functionNs\x86", b"(NNNNNt"])
@pytest.mark.parametrize(("module", "name"), NAMES)
def test_pickle_cannot_change_a_name_for_the_next(module, name, state):
    content = published(IMAGES, LABELS)
    with pytest.raises(data.DataError):
        read_pickle(b"\x80\x02c" + f"{module}\n{name}\n".encode() + state + b"b.")
    np.testing.assert_array_equal(read_pickle(content)["data"].values(), IMAGES.reshape(SIZE, -1))


ADMITTED = [
    "PROTO", "FRAME", "MARK", "STOP", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES",
    "BYTEARRAY8", "SHORT_BINUNICODE", "BINUNICODE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS",
    "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL",
    "REDUCE", "BUILD",
]  # fmt: skip


@pytest.mark.parametrize("code", pickletools.opcodes, ids=lambda code: code.name)
def test_every_other_instruction_is_refused(code):
    content = b"\x80\x02" + code.code.encode("latin-1") + b"\0" * 9 + b"\n\n."
    with pytest.raises(data.DataError) as caught:
        read_pickle(content)
    told = f"holds the instruction {code.name} (byte 2)" in str(caught.value)
    assert told == (code.name not in ADMITTED or code.name == "PROTO")  # PROTO comes first and nowhere else


# What a short file could make of itself, were it unpickled.
TEXT = b"X" + struct.pack("<I", MIB) + b"a" * MIB
GROWING = {
    "tuples of tuples": b"\x80\x02K\x00" + b"".join(b"q%c(" % i + b"h%c" % i * 9 + b"t" for i in range(200)) + b".",
    "lists of lists": b"\x80\x02]" + b"".join(b"q%c](" % i + b"h%c" % i * 9 + b"e" for i in range(200)) + b".",
    "a key of tuples of tuples": b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(200)) + b"Ns.",
    "the same by way of BUILD": b"\x80\x02})" + b"".join(b"Nbq%ch%c\x86" % (i, i) for i in range(200)) + b"Ns.",
    "the same by way of a list": b"\x80\x02}]" + b"".join(b"q%c(h%cN\x86e" % (i, i) for i in range(200)) + b"Ns.",
    "a key of tuples in tuples": b"\x80\x02})" + b"\x85" * 19_000 + b"Ns.",
    "the same in a list": b"\x80\x02}]()" + b"\x85" * 19_000 + b"e\x85Ns.",
    "the same in an inner tuple": b"\x80\x02}(()" + b"\x85" * 19_000 + b"tNu.",
    "the same in a dictionary": b"\x80\x02}](})" + b"\x85" * 15_000 + b"NseNs.",
    "keys that collide": b"\x80\x02}(" + b"".join(b"J" + struct.pack("<i", i << 16) + b"N" for i in range(9000)) + b"u.",
    "keys one by one": b"\x80\x02}" + b"".join(b"J" + struct.pack("<i", i << 16) + b"Ns" for i in range(6000)) + b".",
    "marks": b"\x80\x02" + b"(" * 10_000,
    "tuples in tuples": b"\x80\x02)" + b"\x85" * 10_000 + b".",
    "text encoded again and again": b"\x80\x02}c_codecs\nencode\nq\x00" + TEXT + b"q\x01X\x06\0\0\0latin1q\x02"
    + b"h\x00h\x01h\x02\x86R" * 3_000 + b".",
    "arrays of one text": b"\x80\x02}c_codecs\nencode\nq\x00" + TEXT + b"q\x01X\x06\0\0\0latin1q\x02\x86R" * 20_000,
    "a string of 4 GB": b"\x80\x02T\xff\xff\xff\xff",
    "bytes of 4 GB": b"\x80\x02B\xff\xff\xff\xffabc",
    "a bytearray of 2**64 bytes": b"\x80\x05\x96" + b"\xff" * 8,
    "a number of 255 bytes": b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".",
    "a number of 4 GB": b"\x80\x02\x8b\xff\xff\xff\x7f",
    "a text of digits": b"\x80\x02I" + b"9" * 1_000_000 + b"\n.",
    "a name of a megabyte": b"\x80\x02c" + b"a" * MIB + b"\n\n.",
    "a frame of 2**63 bytes": b"\x80\x04\x95" + b"\xff" * 8 + b".",
    "a memo far away": b"\x80\x02]" + b"".join(b"r" + struct.pack("<I", i << 12) for i in range(9000)) + b".",
    "empty frames without end": b"\x80\x04" + b"\x95" + bytes(8) + (b"\x95" + bytes(8)) * 25_000,
}  # fmt: skip


@pytest.mark.parametrize("name", GROWING)
def test_pickle_cannot_grow(name, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_PICKLE_INSTRUCTIONS", 20_000)  # a tenth, as tracing memory takes time

    def read():
        with pytest.raises(data.DataError):
            read_pickle(GROWING[name])

    read()  # regular expressions and messages are compiled and kept once
    assert peak(read) < 8 * MIB


def test_text_beyond_latin_1_is_refused_before_it_is_decoded():
    content = b"\x80\x02}X\4\0\0\0dataX" + struct.pack("<I", 4 * MIB) + "\U0001f600".encode() * MIB + b"s."

    def read():
        with pytest.raises(data.DataError, match="characters beyond Latin-1"):
            read_pickle(content)

    read()
    assert peak(read) < MIB


# A frame of four bytes ends within a string, of which Unpickler would then leave out what is in the frame.
HIDDEN = b"U\x04]]K\x01"


@pytest.mark.parametrize("length", range(1, len(HIDDEN)))
def test_instruction_across_the_end_of_its_frame_is_refused(length):
    content = b"\x80\x04}\x95" + struct.pack("<Q", length) + HIDDEN + b"Ns."
    with pytest.raises(data.DataError, match="crosses the end of its frame"):
        read_pickle(content)


def test_frame_that_ends_with_an_instruction_is_read():
    content = b"\x80\x04}\x95" + struct.pack("<Q", len(HIDDEN)) + HIDDEN + b"Ns."
    assert read_pickle(content) == {"]]K\x01": None}


def test_frame_in_a_frame_is_refused():
    content = b"\x80\x04\x95" + struct.pack("<Q", 13) + b"}\x95" + struct.pack("<Q", 3) + HIDDEN + b"Ns."
    with pytest.raises(data.DataError, match="crosses the end of its frame"):
        read_pickle(content)


@pytest.mark.parametrize("bound", ["MAX_BATCH_BYTES", "MAX_PICKLE_INSTRUCTIONS", "MAX_PICKLE_OUTLINE"])
def test_every_bound_holds_and_admits_its_own_value(bound, fresh, monkeypatch):
    content, path = published(IMAGES, LABELS), fresh()
    path.write_bytes(content)
    instructions = sum(1 for _ in pickletools.genops(content)) - 1  # PROTO is the header here
    if bound == "MAX_PICKLE_INSTRUCTIONS":
        least = instructions
    if bound == "MAX_PICKLE_OUTLINE":
        least = instructions - 9  # STOP; in the lists: two numbers, two strings and their places in the memo, two ends
    if bound == "MAX_BATCH_BYTES":
        least = len(content)
    monkeypatch.setattr(bounds, bound, least - 1)
    refused(path, f"{least - 1:,}")
    monkeypatch.setattr(bounds, bound, least)
    assert len(data.load(path, shape=(3, 32, 32), fit="exact").images) == SIZE


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "folder"])
def test_batch_larger_than_its_bound_is_not_read(kind, write, fresh, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_BATCH_BYTES", 20_000)
    files, path = {"data_batch_1": bytes(32 * MIB), **{f"data_batch_{i}": b"" for i in range(2, 6)}}, fresh()
    if kind == "folder":
        write.tree(path, files)
    else:
        tar = write.tar(files)
        path.write_bytes({"tar": tar, "tar.gz": write.gz(tar), "zip": write.zip(files)}[kind])
    assert peak(lambda: refused(path, "takes 33,554,432 bytes", "at most 20,000 per batch", "'data_batch_1'")) < 4 * MIB
