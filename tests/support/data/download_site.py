"""A data set "set" of one file, published on a server of this machine, and the folder it is downloaded into."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import catalogue, transfer
from ganspec.tools.data.catalogue import Known, Published
from support.data.local_server import Served, Server

CONTENT = np.random.default_rng(5).integers(0, 256, 300_000, np.uint8).tobytes()
OTHER = bytes(byte ^ 1 for byte in CONTENT)


def published(*urls: str, content: bytes = CONTENT, name: str = "set.bin") -> Published:
    return Published(name, len(content), hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest(), urls)


def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server with the file at set.bin and mirror.bin; "set" is at the first of them."""
    monkeypatch.setattr(transfer, "WAITS", (0, 0, 0))
    monkeypatch.setattr(transfer, "TIMEOUT", 5)
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    server.at["set.bin"] = Served(CONTENT)
    server.at["mirror.bin"] = Served(CONTENT, etag='"mirror"')
    known(monkeypatch, server.base + "set.bin")
    yield server
    server.close()


def known(monkeypatch, *urls: str, **changes) -> None:
    """Make "set" a data set of one file at these addresses."""
    file = replace(published(*urls), **changes)
    monkeypatch.setitem(catalogue.CATALOGUE, "set", Known("a set", "a test", (file,), "set.bin"))


@dataclass(frozen=True)
class Folder:
    """Where the file, its part and its note lie once "set" is downloaded into `root`."""

    root: Path

    @property
    def path(self) -> Path:
        return self.root / "set" / "set.bin"

    @property
    def part(self) -> Path:
        return self.path.with_name("set.bin.part")

    @property
    def note(self) -> Path:
        return self.path.with_name("set.bin.part.from")

    def left(self) -> list[str]:
        return sorted(file.name for file in self.path.parent.iterdir())


def whole(there) -> None:
    assert data.download("set", there.root) == there.path
    assert there.path.read_bytes() == CONTENT
    assert there.left() == ["set.bin"]


def refused(there, *words) -> str:
    with pytest.raises(data.DataError) as caught:
        data.download("set", there.root)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert not there.path.exists()
    return str(caught.value)


def interrupted(server, there, after: int, **changes) -> None:
    """A first run that ends after so many bytes, and leaves them."""
    usual = server.at["set.bin"]
    server.at["set.bin"] = replace(usual, cuts=[after, 0, 0], **changes)
    refused(there, "ended after")
    assert there.part.read_bytes() == usual.content[:after]
    server.at["set.bin"] = usual
    server.asked.clear()
    server.sent.clear()
