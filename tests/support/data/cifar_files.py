"""Writers of CIFAR-10's files: batches pickled as cPickle of Python 2 did, by Python 3, and as binary records.

`cpickle` follows what the published files hold, instruction by instruction: protocol 2, strings as SHORT_BINSTRING and
BINSTRING, a memo that counts from 1, lists in groups of 1000, arrays by numpy.core.multiarray._reconstruct.
Source: Python 2.7, Modules/cPickle.c; NumPy 1.3, `array_reduce`.
"""

from __future__ import annotations

import pickle
import struct

import numpy as np


class _CPickle:
    def __init__(self) -> None:
        self.out, self.memo, self.globals = [b"\x80\x02"], 0, {}

    def put(self) -> None:
        self.memo += 1
        self.out.append(b"q" + bytes([self.memo]) if self.memo < 256 else b"r" + struct.pack("<I", self.memo))

    def get(self, index: int) -> None:
        self.out.append(b"h" + bytes([index]))

    def value(self, value) -> None:
        write = {
            dict: self.dict, list: self.list, bytes: self.str, int: self.int, np.ndarray: self.array, tuple: self.tuple,
            bool: lambda v: self.out.append(b"\x88" if v else b"\x89"), type(None): lambda v: self.out.append(b"N"),
        }  # fmt: skip
        write[type(value)](value)

    def dict(self, value) -> None:
        self.out.append(b"}")
        self.put()
        self.out.append(b"(")
        for key, item in value.items():
            self.value(key)
            self.value(item)
        self.out.append(b"u")

    def list(self, value) -> None:
        self.out.append(b"]")
        self.put()
        for start in range(0, len(value), 1000):
            self.out.append(b"(")
            for item in value[start : start + 1000]:
                self.value(item)
            self.out.append(b"e")

    def str(self, value) -> None:
        short = len(value) < 256
        self.out.append((b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))) + value)
        if len(value) > 1:  # Python 2 has one object of each character and of "", which cPickle finds again
            self.put()

    def int(self, value) -> None:
        if 0 <= value < 256:
            self.out.append(b"K" + bytes([value]))
        elif 0 <= value < 65536:
            self.out.append(b"M" + struct.pack("<H", value))
        else:
            self.out.append(b"J" + struct.pack("<i", value))

    def tuple(self, value) -> None:
        ends = {1: b"\x85", 2: b"\x86", 3: b"\x87"}
        if len(value) not in ends:
            self.out.append(b"(")
        for item in value:
            self.value(item)
        self.out.append(ends.get(len(value), b"t"))
        self.put()

    def name(self, name: bytes) -> None:
        if name in self.globals:
            self.get(self.globals[name])
            return
        self.out.append(b"c" + name)
        self.put()
        self.globals[name] = self.memo

    def array(self, value) -> None:
        self.name(b"numpy.core.multiarray\n_reconstruct\n")
        self.name(b"numpy\nndarray\n")
        self.out.append(b"K\x00\x85")
        self.put()
        self.out.append(b"U\x01b\x87")
        self.put()
        self.out.append(b"R")
        self.put()
        self.out.append(b"(K\x01")
        self.value(value.shape)
        self.name(b"numpy\ndtype\n")
        self.value(value.dtype.str[1:].encode())
        self.out.append(b"K\x00K\x01\x87")
        self.put()
        self.out.append(b"R")
        self.put()
        order = b"|" if value.dtype.itemsize == 1 else b"<"
        self.out.append(b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t")
        self.put()
        self.out.append(b"b")
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        self.value(fortran)
        self.value(value.tobytes("F" if fortran else "C"))
        self.out.append(b"t")
        self.put()
        self.out.append(b"b")


def cpickle(value) -> bytes:
    """What Python 2's cPickle.dumps(value, 2) gave; bytes are Python 2's str."""
    writer = _CPickle()
    writer.value(value)
    return b"".join([*writer.out, b"."])


def batch_dict(images: np.ndarray, labels: np.ndarray) -> dict[bytes, object]:
    """The dictionary of one batch, its keys in the published order. Images (n, 3, 32, 32), labels (n,)."""
    return {
        b"batch_label": b"training batch 1 of 5",
        b"labels": [int(label) for label in labels],
        b"data": images.reshape(len(images), -1),
        b"filenames": [b"leptodactylus_pentadactylus_s_%06d.png" % index for index in range(len(images))],
    }


def published(images: np.ndarray, labels: np.ndarray) -> bytes:
    return cpickle(batch_dict(images, labels))


def by_python3(protocol: int, *, order: str = "C", text_keys: bool = False):
    """A writer of batches as Python 3 pickles them."""

    def write(images: np.ndarray, labels: np.ndarray) -> bytes:
        batch = batch_dict(images, labels)
        batch[b"data"] = np.asarray(batch[b"data"], order=order)
        return pickle.dumps({key.decode(): value for key, value in batch.items()} if text_keys else batch, protocol)

    return write


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A binary batch."""
    return np.concatenate([labels.astype(np.uint8)[:, None], images.reshape(len(images), -1)], axis=1).tobytes()


WRITERS = {
    "cPickle": published,
    "Python 3, protocol 2": by_python3(2),
    "Python 3, protocol 3": by_python3(3),
    "Python 3, protocol 4": by_python3(4),
    "Python 3, protocol 5": by_python3(5),
    "text keys": by_python3(4, text_keys=True),
    "Fortran order": by_python3(2, order="F"),
    "Fortran order, protocol 5": by_python3(5, order="F"),
    "records": records,
}

STEMS = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def set_of(images: np.ndarray, labels: np.ndarray, kind: str = "py") -> dict[str, bytes]:
    """The files of an archive, "py" or "bin": six batches of equal size, the last of them the test batch."""
    size = len(images) // 6
    ending, write = ("", published) if kind == "py" else (".bin", records)
    files = {
        f"cifar-10-batches-{kind}/{stem}{ending}": write(images[i * size :][:size], labels[i * size :][:size])
        for i, stem in enumerate(STEMS)
    }
    beside = {"batches.meta": b"\x80\x02}q\x01.", "readme.html": b"<meta HTTP-EQUIV='REFRESH'>"}
    others = {f"cifar-10-batches-{kind}/{name}": data for name, data in beside.items()}
    return dict(reversed({**files, **others}.items()))  # the order in an archive is no order of batches
