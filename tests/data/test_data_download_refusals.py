"""Downloads that fail: what the message says, and that no part that has arrived is lost."""

from __future__ import annotations

import errno
import hashlib
import io
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganspec.tools import data
from ganspec.tools.data import transfer
from ganspec.tools.data.download import download
from support.data.download_site import CONTENT, OTHER, known, refused, whole
from support.data.local_server import Served

GOLDEN = tomllib.loads((Path(__file__).parent / "messages_download.toml").read_text())


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""], ids=["smaller", "larger", "empty"])
def test_file_of_another_size_is_refused_before_it_is_taken(content, server, there):
    there.part.write_bytes(CONTENT[:1000])
    server.at["set.bin"] = Served(content, ranges=False)
    refused(there, f"has a file of {len(content):,} bytes")
    assert there.part.read_bytes() == CONTENT[:1000]
    server.at["set.bin"] = Served(content)
    refused(there, f"has a file of {len(content):,} bytes" if content else "has a smaller file")
    assert there.part.read_bytes() == CONTENT[:1000]


def test_file_of_unknown_length_is_taken_to_its_size_and_no_further(server, there):
    server.at["set.bin"] = Served(CONTENT + bytes(50_000_000), headers={"Content-Length": None})
    whole(there)
    assert server.at["set.bin"].content.startswith(there.path.read_bytes())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(status, server, there, monkeypatch):
    server.at["moved"] = Served(answers=[status] * 2, location="/set.bin")
    known(monkeypatch, server.base + "moved")
    there.part.write_bytes(CONTENT[:500])
    whole(there)
    assert server.asked == [("moved", "bytes=500-", None), ("set.bin", "bytes=500-", None)]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/set.bin", "data:,abc", "javascript:0"])
def test_redirect_off_the_web_is_refused(target, server, there):
    server.at["set.bin"] = Served(answers=[302], location=target)
    refused(there, f"redirects to '{target}', which is not an http or https address")


def test_redirects_in_a_circle_end(server, there):
    server.at["set.bin"] = Served(answers=[302] * 50, location="/set.bin")
    refused(there, "answers 302")
    assert len(server.asked) < 15


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense"])
def test_address_off_the_web_is_not_opened(url, server, there, monkeypatch):
    known(monkeypatch, url)
    refused(there, url)


@pytest.mark.parametrize("answers", [[503], [429, 500], [0, 0], [0, 503]])
def test_passing_failure_is_tried_again(answers, server, there):
    server.at["set.bin"].answers = answers
    whole(there)


def test_attempts_are_bounded(server, there):
    server.at["set.bin"].answers = [503] * 9
    refused(there, "answers 503 (Service Unavailable), at the last of 3 attempts")
    assert len(server.asked) == 3
    assert there.left() == []


def test_lasting_failure_is_not_tried_again(server, there):
    del server.at["set.bin"]
    refused(there, "answers 404")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "answers with a web page"),
        ({"Content-Encoding": "gzip"}, "sends the file encoded"),
    ],
)
def test_answer_that_is_not_the_file_spoils_nothing(headers, words, server, there):
    there.part.write_bytes(CONTENT[:1000])
    server.at["set.bin"] = Served(CONTENT, ranges=False, headers=headers)
    refused(there, words)
    assert there.part.read_bytes() == CONTENT[:1000]


def test_silent_server_is_given_up(server, there, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    monkeypatch.setattr(transfer, "WAITS", (0,))
    server.at["set.bin"].piece = 100_000
    server.at["set.bin"].trickle = lambda: time.sleep(0.4)
    refused(there, "broke off after 100,000 bytes (timed out)")


def test_trickling_server_is_given_up(server, there, monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW", 0.05)
    monkeypatch.setattr(transfer, "SLOWEST", 10**9)
    server.at["set.bin"].piece = 1000
    server.at["set.bin"].trickle = lambda: time.sleep(0.01)
    refused(there, "in 0.05 seconds")
    assert there.part.stat().st_size > 0


def test_full_disk_keeps_what_came(server, there, monkeypatch):
    class Full(io.FileIO):
        def write(self, piece):
            if self.seek(0, 2) >= 100_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(piece[: 100_000 - self.seek(0, 2)])  # as a disk does that fills up

    monkeypatch.setitem(download.__globals__, "open", lambda path, mode, **_: Full(path, mode.replace("b", "")))
    message = refused(there, "cannot be written (No space left on device)", "what has arrived is kept")
    assert message.startswith(str(there.part))
    monkeypatch.undo()
    assert there.part.read_bytes() == CONTENT[:100_000]


def test_disk_too_small_is_told_before_anything_is_taken(server, there, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=299_999))
    refused(there, "does not fit on its disk, which has 299,999 bytes free", "300,000 bytes")
    assert server.asked == []


def test_other_file_of_that_name_is_left_alone(server, there):
    there.path.write_bytes(b"mine")
    with pytest.raises(data.DataError, match="exists, and is not the published file"):
        data.download("set", there.root)
    assert there.path.read_bytes() == b"mine"


def test_two_downloads_at_once_are_refused(server, there):
    fcntl = pytest.importorskip("fcntl")
    there.part.write_bytes(CONTENT[:10])
    with open(there.part, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(there, "is being downloaded by another process")
    assert there.part.read_bytes() == CONTENT[:10]
    whole(there)


def test_folder_that_cannot_be_made_is_told(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(data.DataError, match="cannot be written"):
        data.download("set", tmp_path / "file")


def told(there, base: str) -> str:
    with pytest.raises(data.DataError) as caught:
        data.download("set", there.root)
    text = str(caught.value).replace(str(there.root), "FOLDER").replace(base, "SERVER/")
    return text.replace(hashlib.md5(CONTENT).hexdigest(), "GOOD").replace(hashlib.md5(OTHER).hexdigest(), "BAD")


MISTAKES = {
    "missing": lambda s, t, m: s.at.clear(),
    "wrong file": lambda s, t, m: setattr(s.at["set.bin"], "content", OTHER),
    "broken off": lambda s, t, m: setattr(s.at["set.bin"], "cuts", [100_000, 0, 0]),
    "offline": lambda s, t, m: known(m, "http://127.0.0.1:1/set.bin"),
    "mirrors": lambda s, t, m: (s.at.clear(), known(m, s.base + "set.bin", "http://127.0.0.1:1/set.bin")),
    "redirected": lambda s, t, m: s.at.update({"set.bin": Served(answers=[302], location="file:///etc/passwd")}),
    "web page": lambda s, t, m: s.at["set.bin"].headers.update({"Content-Type": "text/html"}),
    "another size": lambda s, t, m: setattr(s.at["set.bin"], "content", CONTENT[1:]),
    "other file there": lambda s, t, m: t.path.write_bytes(b"mine"),
    "folder there": lambda s, t, m: t.path.mkdir(),
    "small disk": lambda s, t, m: m.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told(name, server, there, monkeypatch):
    MISTAKES[name](server, there, monkeypatch)
    assert told(there, server.base) == GOLDEN[name].strip()


@pytest.mark.parametrize(
    ("name", "golden"), [("cifar-10", "name misspelt"), ("imagenet", "name unknown"), ("../x", "name that is a path")]
)
def test_unknown_name_is_told(name, golden, tmp_path):
    with pytest.raises(data.DataError) as caught:
        data.download(name, tmp_path)
    assert str(caught.value) == GOLDEN[golden].strip()
    assert list(tmp_path.iterdir()) == []


def test_every_message_has_its_mistake():
    assert set(GOLDEN) == set(MISTAKES) | {"name misspelt", "name unknown", "name that is a path"}
