"""Damaged pickles, and pickles of any instructions, are read or refused with `DataError`; what is read is what pickle reads."""

from __future__ import annotations

import io
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.tools import data
from ganspec.tools.data import detect
from ganspec.tools.data.pickles import NAMES, Array, read_pickle
from support.data.cifar_files import WRITERS, cpickle

SIZE = 2
IMAGES = np.random.default_rng(3).integers(0, 256, (SIZE, 3, 32, 32), np.uint8)
LABELS = np.array([3, 8])


@pytest.fixture(autouse=True, scope="module")
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detect, "BATCH_IMAGES", SIZE)
        yield


CONTENT = {kind: writer(IMAGES, LABELS) for kind, writer in WRITERS.items()}
OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]


def tried(path, content: bytes):
    path.write_bytes(content)
    try:
        return data.load(path, shape=(3, 32, 32), fit="exact")
    except data.DataError:
        return None


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A few changes to the instructions, which lie before, between and after 6 kB of pixels."""
    result = bytearray(content)
    places = st.one_of(st.integers(0, 400), st.integers(-400, -1), st.integers(-len(result), len(result) - 1))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(places) % max(len(result), 1)
        match draw(st.sampled_from(["byte", "code", "insert", "cut", "double", "end"])):
            case "byte":
                result[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "code":
                result[place : place + 1] = draw(st.sampled_from(OPCODES))
            case "insert":
                result[place:place] = draw(st.one_of(st.sampled_from(OPCODES), st.binary(max_size=9)))
            case "cut":
                del result[place : place + draw(st.integers(1, 40))]
            case "double":
                result[place:place] = result[place : place + draw(st.integers(1, 60))]
            case "end":
                del result[place:]
    return bytes(result)


@pytest.mark.parametrize("kind", CONTENT)
@settings(deadline=None, max_examples=150)
@given(source=st.data())
def test_damaged_batch_loads_or_is_refused(kind, source, fresh):
    content = source.draw(damaged(CONTENT[kind]))
    found = tried(fresh(), content)
    assert found is None or found.images.shape == (SIZE, 3, 32, 32)


PIECES = [
    *OPCODES, b"(", b"}", b"]", b")", b"t", b"u", b"e", b"R", b"b", b"K\x00", b"K\x01", b"q\x00", b"h\x00", b"q\x01",
    b"h\x01", b"U\x04data", b"U\x06labels", b"U\x02u1", b"X\x06\0\0\0latin1", b"X\x02\0\0\0\xc3\xa9", b"\x89", b"N",
    *(f"c{module}\n{name}\n".encode() for module, name in sorted(NAMES)),
]  # fmt: skip


@settings(deadline=None, max_examples=1000)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40), protocol=st.integers(2, 5))
def test_any_instructions_are_read_or_refused_within_memory(pieces, protocol):
    try:
        found = read_pickle(bytes([0x80, protocol]) + b"".join(pieces) + b".")
    except data.DataError:
        return
    assert type(found) is dict


def test_pieces_have_the_names():
    assert b"cnumpy._core.multiarray\n_reconstruct\n" in PIECES


@pytest.mark.parametrize("kind", CONTENT)
def test_every_cut_is_refused(kind, fresh):
    content, path = CONTENT[kind], fresh()
    for length in [*range(1, 400), *range(400, len(content) - 200, 199), *range(len(content) - 200, len(content))]:
        assert tried(path, content[:length]) is None, length
    assert tried(path, content) is not None
    assert tried(path, content + b"\0") is None


def test_what_is_read_is_what_pickle_reads():
    """Held against pickle itself on values of every kind that is read."""
    value = {
        b"a": [0, 255, 256, 65535, 65536, -1, -(2**31), True, False, None, b"x", b"y" * 300],
        b"b": np.arange(12, dtype=np.uint8).reshape(3, 4), b"c": (1, (2, 3)), b"d": (), b"e": b"\xff\x00", b"f": [],
    }  # fmt: skip
    for content in (cpickle(value), *(pickle.dumps(value, protocol) for protocol in (2, 3, 4, 5))):
        found = read_pickle(content)
        assert list(found) == list("abcdef")
        assert [item.encode("latin-1") if isinstance(item, str) else item for item in found["a"]] == value[b"a"]
        np.testing.assert_array_equal(found["b"].values(), value[b"b"])
        assert (found["c"], found["d"], found["f"]) == ((1, (2, 3)), (), [])
        assert found["e"] in (b"\xff\x00", "\xff\x00")


class InPython(pickle._Unpickler):
    """pickle's other implementation, which is written in Python and holds no instruction before its turn."""

    def find_class(self, module, name):
        return NAMES[module, name]


def comparable(value):
    if isinstance(value, Array):
        return value.shape, value.fortran, value.raw
    return [comparable(item) for item in value] if isinstance(value, (list, tuple)) else value


@settings(deadline=None, max_examples=500)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12), frames=st.lists(st.integers(0, 30), max_size=2))
def test_both_unpicklers_read_alike_whatever_the_frames(pieces, frames):
    body = b"}U\x01a]" + b"".join(pieces) + b"s."
    for place, length in zip((0, 5), frames, strict=False):
        body = body[:place] + b"\x95" + length.to_bytes(8, "little") + body[place:]
    content = b"\x80\x04" + body
    try:
        found = read_pickle(content)
    except data.DataError:
        return
    try:
        other = InPython(io.BytesIO(content), encoding="bytes").load()
    except AttributeError:  # the other one minds what nothing is appended to
        return
    assert [comparable(value) for value in found.values()] == [comparable(value) for value in other.values()]


@pytest.mark.parametrize("value", [2**31, 2**62, -(2**63), -(2**40)])
def test_long_numbers_are_read_to_64_bits(value):
    assert read_pickle(pickle.dumps({"a": value}, 2)) == {"a": value}
    with pytest.raises(data.DataError, match="more than 64 bits"):
        read_pickle(pickle.dumps({"a": value * 2**64}, 2))
