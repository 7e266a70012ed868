"""Damaged files of every kind either load or raise `DataError`, and damage never passes for a smaller data set."""

from __future__ import annotations

import functools
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganspec.tools import data

SHAPE = (1, 5, 7)
fuzz = settings(deadline=None, max_examples=80)


@pytest.fixture(scope="session")
def valid(write, some):
    """`valid(kind)`: the bytes of a good file of that kind, always the same."""

    def make(kind: str) -> bytes:
        if kind in ("png", "jpeg", "bmp", "webp"):
            return write.picture(some[0], kind.upper())
        if kind == "npz with labels":
            return write.npz(images=some, labels=np.arange(3))
        return write.kinds[kind](some)

    return functools.cache(make)


def tried(path, content: bytes):
    """The data set in a file of that content, or None if it was refused; any other exception goes through."""
    path.write_bytes(content)
    try:
        return data.load(path, shape=SHAPE, fit="exact")
    except data.DataError:
        return None


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A few bytes changed, a piece cut out, doubled or put in: what discs, networks and fuzzers do."""
    result = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(result) - 1, 0)))
        act = draw(st.sampled_from(["change", "change", "change", "cut", "insert", "double", "end"]))
        if act == "change" and result:
            result[place] = draw(st.integers(0, 255))
        elif act == "cut":
            del result[place : place + draw(st.integers(1, 40))]
        elif act == "insert":
            result[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif act == "double":
            result[place:place] = result[place : place + 40]
        else:
            del result[place:]
    return bytes(result)


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "tar", "tar.gz", "zip", "npy", "npz", "npz with labels"])
@fuzz
@given(source=st.data())
def test_damaged_file_loads_or_is_refused(kind, source, valid, fresh):
    tried(fresh(), source.draw(damaged(valid(kind))))


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "webp"])
@fuzz
@given(source=st.data())
def test_damaged_picture_loads_or_is_refused(kind, source, valid, write, fresh):
    tried(fresh(), write.zip({f"a.{kind}": source.draw(damaged(valid(kind)))}))


@pytest.mark.parametrize(("kind", "inside"), [("npz", "npy"), ("tar.gz", "tar"), ("idx.gz", "idx")])
@fuzz
@given(source=st.data())
def test_damage_under_a_right_checksum_loads_or_is_refused(kind, inside, source, valid, write, fresh):
    content = source.draw(damaged(valid(inside)))
    tried(fresh(), write.zip({"images.npy": content}) if kind == "npz" else write.gz(content))


@fuzz
@given(source=st.data())
def test_npy_header_of_any_text_loads_or_is_refused(source, fresh):
    text = source.draw(
        st.one_of(
            st.text("(){}[]'\",:0123456789 \n<|fuOV-+*.\\descrshapfot_TFL", max_size=120),
            st.builds(
                "{{'descr': {!r}, 'fortran_order': {!r}, 'shape': {!r}}}".format,
                st.one_of(st.sampled_from(["|u1", "<f4", "|O", "<M8[s]", "|V0", "", "|S3"]), st.lists(st.text())),
                st.one_of(st.booleans(), st.none(), st.integers()),
                st.one_of(st.tuples(st.integers(-9, 2**70)), st.lists(st.integers()), st.tuples(st.booleans())),
            ),
        )
    ).encode("latin-1", "replace")
    version = source.draw(st.sampled_from([1, 2, 3]))
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    tried(fresh(), b"\x93NUMPY" + bytes([version, 0]) + length + text + bytes(source.draw(st.integers(0, 200))))


@fuzz
@given(source=st.data())
def test_tar_header_of_any_fields_loads_or_is_refused(source, valid, fresh):
    content = bytearray(valid("tar"))
    for _ in range(source.draw(st.integers(1, 3))):
        field, width = source.draw(st.sampled_from([(0, 8), (124, 12), (156, 1), (257, 8), (345, 8), (386, 24)]))
        content[field : field + width] = source.draw(st.binary(min_size=width, max_size=width))
    content[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(content[:512]))[0]  # so that tarfile believes it
    tried(fresh(), bytes(content))


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "tar", "tar.gz", "zip", "npy", "npz with labels"])
def test_every_cut_is_refused_or_loses_nothing(kind, valid, fresh):
    content, path = valid(kind), fresh()
    whole = tried(path, content).fingerprint
    step = max(1, len(content) // 150)
    for length in range(0, len(content), step):
        found = tried(path, content[:length])
        # A tar ends in blocks of zeros of which one is enough; nothing else has bytes to spare.
        assert found is None or (kind == "tar" and found.fingerprint == whole and not any(content[length:])), length


@pytest.mark.parametrize("kind", ["idx.gz", "tar.gz"])
def test_every_changed_byte_under_gzip_is_refused_or_harmless(kind, valid, fresh):
    content, path = valid(kind), fresh()
    whole = tried(path, content).fingerprint
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x55
        found = tried(path, bytes(changed))
        assert found is None or found.fingerprint == whole, place  # harmless: the time and system in gzip's header
