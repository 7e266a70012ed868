"""Downloading, against a server on this machine: whole, resumed, or begun again."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ganspec.tools import data
from ganspec.tools.data import catalogue, transfer
from ganspec.tools.data.catalogue import CATALOGUE, Known
from ganspec.tools.data.download import cache_folder
from support.data.download_site import CONTENT, OTHER, interrupted, known, published, refused, whole
from support.data.local_server import Served


def test_file_is_fetched_whole_and_once(server, there):
    whole(there)
    whole(there)
    assert server.asked == [("set.bin", None, None)]


def test_file_that_is_there_needs_no_network(server, there, monkeypatch):
    there.path.write_bytes(CONTENT)
    known(monkeypatch, "http://127.0.0.1:1/set.bin")
    whole(there)


def test_broken_connection_is_gone_on_with_at_once(server, there):
    server.at["set.bin"].cuts = [100_000, 150_000]
    whole(there)
    assert server.asked == [
        ("set.bin", None, None),
        ("set.bin", "bytes=100000-", '"one"'),
        ("set.bin", "bytes=250000-", '"one"'),
    ]
    assert sum(server.sent) == len(CONTENT)


def test_interrupted_run_is_gone_on_with_by_the_next(server, there):
    interrupted(server, there, 123_456)
    whole(there)
    assert server.asked == [("set.bin", "bytes=123456-", '"one"')]
    assert sum(server.sent) == len(CONTENT) - 123_456


def test_ctrl_c_keeps_what_came(server, there):
    def stop(part, path, piece):
        usual(part, path, piece)
        raise KeyboardInterrupt

    usual = transfer._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            data.download("set", there.root)
    kept = there.part.stat().st_size
    assert 0 < kept < len(CONTENT)
    whole(there)
    assert server.asked[-1] == ("set.bin", f"bytes={kept}-", '"one"')


def test_server_without_ranges_sends_the_whole_again(server, there):
    interrupted(server, there, 100_000)
    server.at["set.bin"].ranges = False
    whole(there)
    assert server.sent == [len(CONTENT)]


def test_file_that_changed_meanwhile_is_begun_again(server, there):
    usual = server.at["set.bin"]
    server.at["set.bin"] = Served(OTHER, etag='"old"')
    interrupted(server, there, 100_000)
    server.at["set.bin"] = usual
    whole(there)
    assert server.asked == [("set.bin", "bytes=100000-", '"old"')]


@pytest.mark.parametrize("note", [None, b"{}", b"[1", b"\xff", b"[" * 4000, b'{"url": "elsewhere", "version": "x"}'])
def test_wrong_part_of_unknown_version_is_told_by_its_checksum_and_begun_again(note, server, there):
    there.part.write_bytes(OTHER[:100_000])
    if note is not None:
        there.note.write_bytes(note)
    whole(there)
    assert server.asked == [("set.bin", "bytes=100000-", None), ("set.bin", None, None)]


def test_version_with_control_characters_is_not_sent(server, there):
    there.part.write_bytes(CONTENT[:10])
    there.note.write_text(f'{{"url": "{server.base}set.bin", "version": "a\\r\\nHost: evil"}}')
    whole(there)
    assert server.asked == [("set.bin", "bytes=10-", None)]


@pytest.mark.parametrize(
    ("etag", "modified", "sent"),
    [
        (None, None, None),
        ('W/"weak"', None, None),
        ('W/"weak"', "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ('"strong"', "Wed, 21 Oct 2015 07:28:00 GMT", '"strong"'),
    ],
)
def test_only_a_strong_mark_or_a_date_stands_in_if_range(etag, modified, sent, server, there):
    server.at["set.bin"] = Served(CONTENT, etag=etag, modified=modified, cuts=[9])
    whole(there)
    assert server.asked[1] == ("set.bin", "bytes=9-", sent)


def test_another_part_than_asked_for_is_not_added(server, there):
    interrupted(server, there, 100_000)
    server.at["set.bin"].ranges = "elsewhere"
    whole(there)
    assert [asked[1] for asked in server.asked] == ["bytes=100000-", None]


def test_part_that_is_whole_is_checked_and_named(server, there):
    there.part.write_bytes(CONTENT)
    whole(there)
    assert server.asked == []


@pytest.mark.parametrize("left", [OTHER, CONTENT + b"x"], ids=["wrong", "too long"])
def test_part_that_is_whole_and_wrong_is_begun_again(left, server, there):
    there.part.write_bytes(left)
    whole(there)
    assert server.asked == [("set.bin", None, None)]


def test_wrong_file_is_deleted_and_told(server, there):
    server.at["set.bin"].content = OTHER
    refused(there, "gave another file (MD5 ", "which was deleted")
    assert there.left() == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("digest", ["md5", "sha256"])
def test_every_checksum_is_compared(digest, server, there, monkeypatch):
    known(monkeypatch, server.base + "set.bin", **{digest: "0" * 32})
    refused(there, "gave another file")


def test_file_without_sha256_is_compared_by_md5(server, there, monkeypatch):
    known(monkeypatch, server.base + "set.bin", sha256=None)
    whole(there)


def test_next_mirror_is_tried_and_goes_on_with_the_part(server, there, monkeypatch):
    known(monkeypatch, server.base + "gone.bin", server.base + "set.bin", server.base + "mirror.bin")
    server.at["set.bin"].cuts = [70_000, 0, 0]
    whole(there)
    assert server.asked[-1] == ("mirror.bin", "bytes=70000-", None)  # the mark of one server says nothing to another
    assert sum(server.sent) == len(CONTENT)


def test_wrong_mirror_does_not_spoil_the_next(server, there, monkeypatch):
    known(monkeypatch, server.base + "mirror.bin", server.base + "set.bin")
    server.at["mirror.bin"].content = OTHER
    whole(there)


def test_several_files_are_fetched_into_a_folder_that_is_read(server, tmp_path, some, write, monkeypatch):
    files = {
        "train-images-idx3-ubyte.gz": write.gz(write.idx(some[:, 0])),
        "train-labels-idx1-ubyte.gz": write.gz(write.idx(np.array([4, 0, 9]))),
    }
    server.at.update({name: Served(content) for name, content in files.items()})
    rows = tuple(published(server.base + name, content=content, name=name) for name, content in files.items())
    monkeypatch.setitem(catalogue.CATALOGUE, "set", Known("a set", "a test", rows, ""))
    path = data.download("set", tmp_path)
    assert path == tmp_path / "set"
    assert data.load(path, shape=(1, 5, 7), fit="exact").labels.tolist() == [4, 0, 9]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(terminal, server, there, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, total, **_):
            self.n, self.total = 0, total

        def __enter__(self):
            return self

        def __exit__(self, *_):
            shown.append((self.n, self.total))

        def update(self, more):
            self.n += more

    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal, write=lambda text: None))
    server.at["set.bin"].cuts = [1000]
    data.download("set", there.root, progress=True)
    assert shown == ([(300_000, 300_000)] if terminal else [])


@pytest.mark.parametrize(
    ("given", "expected"), [("", "home/.cache/ganspec"), ("relative", "home/.cache/ganspec"), ("ROOT/x", "x/ganspec")]
)
def test_cache_folder_follows_the_xdg_specification(given, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", given.replace("ROOT", str(tmp_path)))
    assert cache_folder() == tmp_path / expected


def test_default_folder_is_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.download("set") == tmp_path / "ganspec" / "set" / "set.bin"


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_catalogue_is_well_formed(name):
    known = CATALOGUE[name]
    assert known.title
    assert known.source
    assert known.read in ("", *(file.name for file in known.files))
    for file in known.files:
        assert os.path.basename(file.name) == file.name
        assert 0 < file.size < 2**30
        assert len(bytes.fromhex(file.md5)) == 16
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert file.urls
        for url in file.urls:
            assert url.startswith(("https://", "http://"))
            assert url.endswith(f"/{file.name}")
