"""The messages for wrong inputs. The inputs are made here, their messages stand in `messages.toml` under the same names.

In a message PATH is what the user asked for, and (...) what a foreign parser said, which differs between versions.
"""

from __future__ import annotations

import itertools
import pickle
import re
import struct
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import detect
from support.data.cifar_files import batch_dict, cpickle, published, records

GOLDEN = tomllib.loads((Path(__file__).parent / "messages.toml").read_text())
WANTED = {"shape": (1, 5, 7), "fit": "exact"}


def idx(write, some):
    return write.idx(some[:, 0])


def with_labels(write, some, labels: bytes):
    return {"my-images-idx3-ubyte": idx(write, some), "my-labels-idx1-ubyte": labels}


def saved(array, write):
    return write.npy(np.asarray(array))


# What is at PATH: bytes are a file, a dict is a folder, None is nothing.
INPUTS = {
    "missing": lambda w, s: None,
    "empty file": lambda w, s: b"",
    "unknown bytes": lambda w, s: b"hello, world",
    "web page": lambda w, s: b"\n<!DOCTYPE html><html><body>404</body></html>",
    "gzipped web page": lambda w, s: w.gz(b"<html>Sign in</html>"),
    "gzipped nothing": lambda w, s: w.gz(b""),
    "picture alone": lambda w, s: w.picture(s[0]),
    "bzip2": lambda w, s: b"BZh91AY&SY",
    "pickle that runs something": lambda w, s: pickle.dumps(Trap(), 2),
    "pickle of something else": lambda w, s: pickle.dumps({"a": 1, "b": 2}, 4),
    "pickle with another instruction": lambda w, s: pickle.dumps({"a": 1.5}, 2),
    "pickle cut short": lambda w, s: published(*CIFAR)[:-1],
    "pickle with more": lambda w, s: published(*CIFAR) + b"\0",
    "pickle of no dictionary": lambda w, s: pickle.dumps([1], 2),
    "pickle of CIFAR-100": lambda w, s: renamed(labels="fine_labels"),
    "pickle of floats": lambda w, s: changed(data=np.zeros((3, 3072))),
    "pickle of another shape": lambda w, s: changed(data=CIFAR[0]),
    "pickle of no array": lambda w, s: changed(data=b"pixels"),
    "pickle whose array is short": lambda w, s: published(*CIFAR).replace(b"T\x00\x24\0\0\0", b"T\xff\x23\0\0"),
    "pickle with few labels": lambda w, s: changed(labels=[1, 2]),
    "pickle with labels of text": lambda w, s: changed(labels=[b"cat", b"cat", b"dog"]),
    "pickle with labels of no list": lambda w, s: changed(labels=b"\1\2\3"),
    "pickle with a wrong label": lambda w, s: changed(labels=[1, 2, 10]),
    "gzipped pickle": lambda w, s: w.gz(published(*CIFAR)),
    "records with a wrong label": lambda w, s: records(CIFAR[0], np.array([1, 200, 3])),
    "CIFAR-10 lacking batches": lambda w, s: {"data_batch_1": b"", "data_batch_4": b"", "test_batch": b""},
    "CIFAR-10 twice": lambda w, s: w.zip({"py/test_batch": b"", "bin/test_batch.bin": b""}),
    "CIFAR-10 with an empty batch": lambda w, s: {f"data_batch_{i}": b"" for i in range(1, 6)},
    "CIFAR-10 with a web page": lambda w, s: w.tar({f"data_batch_{i}": b"<html>" for i in range(1, 6)}),
    "CIFAR-10 with a short record": lambda w, s: {f"data_batch_{i}.bin": b"\3" * 9218 for i in range(1, 6)},
    "git lfs pointer": lambda w, s: b"version https://git-lfs.github.com/spec/v1\n",
    "gzipped npy": lambda w, s: w.gz(w.npy(s)),
    "idx of labels": lambda w, s: w.idx(np.arange(3)),
    "idx of four dimensions": lambda w, s: w.idx(s),
    "idx of floats": lambda w, s: struct.pack(">4B3I", 0, 0, 0x0D, 3, 1, 5, 7) + bytes(140),
    "idx cut short": lambda w, s: idx(w, s)[:-1],
    "idx cut in its header": lambda w, s: idx(w, s)[:9],
    "idx with more": lambda w, s: idx(w, s) + b"\0",
    "idx of nothing": lambda w, s: struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28),
    "idx.gz cut short": lambda w, s: w.gz(idx(w, s))[:-12],
    "idx.gz with a wrong checksum": lambda w, s: w.gz(idx(w, s))[:-8] + bytes(4) + w.gz(idx(w, s))[-4:],
    "labels missing some": lambda w, s: with_labels(w, s, w.idx(np.arange(2))),
    "labels that are images": lambda w, s: with_labels(w, s, idx(w, s)),
    "labels that are a web page": lambda w, s: with_labels(w, s, b"<html>"),
    "folder without pictures": lambda w, s: {"notes.txt": b"", ".hidden.png": w.picture(s[0])},
    "empty folder": lambda w, s: {},
    "folder with a broken picture": lambda w, s: {"a.png": w.picture(s[0]), "b/c.png": w.picture(s[1])[:50]},
    "folder with text named png": lambda w, s: {"a.png": b"not a picture"},
    "folder with an empty picture": lambda w, s: {"a.png": b""},
    "folder with a wrong size": lambda w, s: {"a.png": w.picture(s[0]), "b.png": w.picture(s[1][:, :4])},
    "folder with bad pictures": lambda w, s: {
        "e.png": w.picture(s[1][:, :4]),
        "good.png": w.picture(s[0]),
        "b/d.png": w.animation(s),
        "a.png": b"",
        "b/c.png": w.picture(s[1])[:50],
    },
    "zip with bad pictures": lambda w, s: w.zip(
        {f"{i:02d}.png": w.picture(s[0] if i == 12 else s[0][:, :4]) for i in range(13)}
    ),
    "folder with transparency": lambda w, s: {"a.png": w.picture(s[0], transparency=8)},
    "folder with sixteen bits": lambda w, s: {"a.png": w.sixteen_bits(s[0])},
    "folder with an animation": lambda w, s: {"a.png": w.animation(s)},
    "zip with a broken picture": lambda w, s: w.zip({"a.png": w.picture(s[0]), "b.png": w.picture(s[1])[:50]}),
    "zip without pictures": lambda w, s: w.zip({"notes.txt": b"x"}),
    "zip cut short": lambda w, s: w.zip({"a.png": w.picture(s[0])})[:-10],
    "tar cut short": lambda w, s: w.tar({"a.png": w.picture(s[0])})[:600],
    "tar without its end": lambda w, s: w.tar({"a.png": w.picture(s[0])})[:1024],
    "tar with a damaged header": lambda w, s: w.tar({"a.png": w.picture(s[0]), "b.png": b""}).replace(
        b"b.png", b"c.png"
    ),
    "tar.gz cut short": lambda w, s: w.gz(w.tar({"a.png": w.picture(s[0])}))[:-9],
    "npy of objects": lambda w, s: saved(np.array([None]), w),
    "npy of text": lambda w, s: saved(["a"], w),
    "npy of flat images": lambda w, s: saved(s.reshape(3, 35), w),
    "npy of nothing": lambda w, s: saved(s[:0], w),
    "npy of two channels": lambda w, s: saved(np.repeat(s, 2, axis=1), w),
    "npy of an open layout": lambda w, s: saved(s[:, :, :3, :3], w),
    "npy of four channels": lambda w, s: saved(np.repeat(s, 4, axis=1), w),
    "npy of int64": lambda w, s: saved(s.astype(np.int64), w),
    "npy from -1 to 1": lambda w, s: saved(s / 52.0 - 1, w),
    "npy of floats to 255": lambda w, s: saved(s.astype(np.float32), w),
    "npy beyond all ranges": lambda w, s: saved(s * -9.0, w),
    "npy with NaN": lambda w, s: saved(np.where(s == 3, np.nan, 0), w),
    "npy cut short": lambda w, s: saved(s, w)[:-1],
    "npy with a damaged header": lambda w, s: saved(s, w).replace(b"descr", b"dascr"),
    "npz of several": lambda w, s: w.npz(train=s, test=s),
    "npz of labels alone": lambda w, s: w.npz(labels=np.arange(3)),
    "npz with one-hot labels": lambda w, s: w.npz(images=s, labels=np.eye(3)),
    "npz with negative labels": lambda w, s: w.npz(images=s, labels=np.array([0, -1, 2])),
    "npz with flat images": lambda w, s: w.npz(images=s.reshape(3, 35)),
    "npz of objects": lambda w, s: w.npz(images=np.array([None])),
}

# Good data asked for in a way that cannot be: changes to WANTED.
REQUESTS = {
    "larger wanted": {"shape": (1, 28, 28)},
    "smaller wanted": {"shape": (1, 4, 7)},
    "smaller wanted by padding": {"shape": (1, 4, 7), "fit": "pad"},
    "two channels wanted": {"shape": (2, 5, 7)},
    "fit misspelt": {"fit": "resise"},
    "fit unknown": {"fit": "crop"},
    "crop unknown": {"crop": "center"},
    "centre of another size": {"shape": (1, 4, 4), "crop": "centre"},
    "centre larger than wanted by padding": {"shape": (1, 4, 4), "fit": "pad", "crop": "centre"},
    "shape of two": {"shape": (28, 28)},
    "shape with zero": {"shape": (1, 0, 7)},
    "skip_grey of grey": {"skip_grey": True},
    "skip_grey leaves nothing": {"shape": (3, 5, 7), "skip_grey": True},
}


CIFAR = np.zeros((3, 3, 32, 32), np.uint8), np.array([1, 2, 3])


class Trap:
    def __reduce__(self):
        return eval, ("1",)


def changed(**values) -> bytes:
    return cpickle({**batch_dict(*CIFAR), **{key.encode(): value for key, value in values.items()}})


def renamed(**names) -> bytes:
    return cpickle({names.get(key.decode(), key.decode()).encode(): item for key, item in batch_dict(*CIFAR).items()})


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(detect, "BATCH_IMAGES", 3)


def message(path: Path, **changes) -> str:
    with pytest.raises(data.DataError) as caught:
        data.load(path, **{**WANTED, **changes})
    text = re.sub(r"(damaged or cut short|does not decode) \(.*\)\n", r"\1 (...)\n", str(caught.value))
    return text.replace(str(path), "PATH")


@pytest.mark.parametrize("name", INPUTS)
def test_wrong_input_is_told(name, write, some, tmp_path):
    content = INPUTS[name](write, some)
    path = tmp_path / "given"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write.tree(path, content)
        path = next((path / file for file in content if "idx3" in file), path)
    assert message(path).replace(str(path.parent), "FOLDER") == GOLDEN[name].strip()


@pytest.mark.parametrize("name", REQUESTS)
def test_wrong_request_is_told(name, write, some, tmp_path):
    path = tmp_path / "given"
    path.write_bytes(idx(write, some))
    assert message(path, **REQUESTS[name]) == GOLDEN[name].strip()


@pytest.mark.parametrize(
    ("name", "files", "member"),
    [
        ("batch that is not in the archive", {"cifar/data_batch_1": b"", "cifar/test_batch": b""}, "test_bath"),
        ("batch that is nowhere", {"a.png": b""}, "test_batch"),
        ("batch that is in the archive twice", {"a/test_batch": b"", "b/test_batch": b""}, "test_batch"),
    ],
)
def test_wrong_member_is_told(name, files, member, write, tmp_path):
    path = tmp_path / "given"
    path.write_bytes(write.gz(write.tar(files)))
    with pytest.raises(data.DataError) as caught:
        data.load(path / member, **WANTED)
    assert str(caught.value).replace(str(path), "PATH") == GOLDEN[name].strip()


def test_path_into_what_is_no_archive_does_not_exist(write, some, tmp_path):
    for name, content in (("idx", idx(write, some)), ("npz", write.npz(images=some)), ("text", b"hello"), ("nil", b"")):
        (tmp_path / name).write_bytes(content)
        assert message(tmp_path / name / "test_batch") == GOLDEN["missing"].strip()


def test_records_of_the_published_name_are_told_their_size(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(records(*CIFAR)[:-1])
    assert message(tmp_path / "data_batch_1.bin") == GOLDEN["records cut short"].strip()


def test_batches_that_change_meanwhile_are_told(write, tmp_path, monkeypatch):
    path = tmp_path / "given"
    path.write_bytes(write.tar({"test_batch": published(*CIFAR)}))
    members, walks = data.archives.members, iter([1, 0])
    monkeypatch.setattr(
        data.archives, "members", lambda *what, **more: itertools.islice(members(*what, **more), next(walks))
    )
    assert message(path) == GOLDEN["batches change"].strip()


def test_misspelt_path_is_told_the_nearest(write, some, tmp_path):
    (tmp_path / "digits.gz").write_bytes(write.gz(idx(write, some)))
    assert f"to mend it: did you mean {tmp_path / 'digits.gz'}?" in message(tmp_path / "digit.gz")


def test_missing_pillow_is_told(write, some, tmp_path, monkeypatch):
    folder = write.tree(tmp_path / "given", write.pictures_of(some))
    monkeypatch.setitem(sys.modules, "PIL", None)
    array = tmp_path / "array"
    array.write_bytes(write.npy(some))
    assert message(folder) == GOLDEN["pillow missing"].strip()
    assert "reading images needs Pillow" in message(array, fit="resize", shape=(1, 9, 9))
    assert len(data.load(array, **WANTED).images) == 3  # arrays need none


def test_forbidden_file_is_told(write, some, tmp_path, monkeypatch):
    path = tmp_path / "given"
    path.write_bytes(idx(write, some))

    def forbid(*_):  # not chmod: the administrator, as whom containers run tests, may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(data.detect, "open", forbid, raising=False)
    assert message(path) == GOLDEN["forbidden"].strip()


def test_disk_that_fails_is_told(write, some, tmp_path, monkeypatch):
    path = tmp_path / "given"
    path.write_bytes(idx(write, some))

    def fail(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(data.detect, "kind_of", fail)
    assert message(path) == GOLDEN["disk fails"].strip()


def test_archive_that_changes_meanwhile_is_told(write, some, tmp_path, monkeypatch):
    path = tmp_path / "given"
    path.write_bytes(write.tar(write.pictures_of(some)))
    members, walks = data.archives.members, iter([3, 2])
    monkeypatch.setattr(
        data.archives, "members", lambda *what, **more: itertools.islice(members(*what, **more), next(walks))
    )
    assert message(path) == GOLDEN["archive changes"].strip()


def test_every_message_has_its_input():
    elsewhere = {
        "pillow missing", "forbidden", "disk fails", "archive changes", "batches change", "records cut short",
        "batch that is not in the archive", "batch that is nowhere", "batch that is in the archive twice",
    }  # fmt: skip
    assert set(GOLDEN) == set(INPUTS) | set(REQUESTS) | elsewhere


@pytest.mark.parametrize("name", GOLDEN)
def test_every_message_says_what_where_expected_and_remedy(name):
    what, *listed, expected, remedy = GOLDEN[name].strip().split("\n")
    assert re.match(r"(PATH|FOLDER/[\w-]+)(, '.+')?: .+", what)
    assert len(listed) <= 11
    assert all(re.match(r"    ('.+': .+|and \d+ more)$", line) for line in listed)
    assert expected.startswith("    expected: ")
    assert remedy.startswith("    to mend it: ")
