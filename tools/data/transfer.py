"""One HTTP transfer into a partial file: resumed where the server can resume, begun again where it cannot.

`download` decides whether the result is the right file; this module only keeps to its size. A request with Range asks for
the rest of the file, and If-Range makes the server send the whole if its file has changed. Source: RFC 9110, sections
13.1.5 (If-Range), 14 (Range) and 15.3.7 (206); urllib.request.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from ganspec.tools.data.errors import DataError, quoted

TIMEOUT = 30  # seconds in which a server must send something
WAITS = (0, 1, 2, 4, 8)  # seconds before each attempt at one address
SLOWEST, WINDOW = 1024, 60  # bytes per second, averaged over that many seconds; a slower connection counts as broken
_CHUNK = 2**16
_MAX_NOTE_BYTES = 4096
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers after which another attempt may succeed
_BROKEN = (OSError, http.client.HTTPException)


class Unavailable(Exception):
    """An address does not give the file; the message completes a sentence that begins with the address."""


class _Interrupted(Unavailable):
    """This attempt failed; another may succeed."""


def complete(part: BinaryIO, path: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    """Bring a file to its whole size from one address, in as many attempts as `WAITS` has entries.

    Args:
        part: partial file, open for reading and writing without a buffer. Bytes are added to it; it is emptied only
            when the server begins to send the whole file.
        path: path of the partial file; the server's name for its version is kept beside it, under `note_path`.
        url: http or https address.
        size: number of bytes of the whole file; no more are accepted.
        report: function that is called with the number of bytes in the file, after each piece.

    Raises:
        Unavailable: the address does not give a file of that size.
        DataError: the bytes cannot be written. Whatever is raised, also by Ctrl-C, `part` keeps what has arrived.
    """
    for attempt, wait in enumerate(WAITS, 1):
        time.sleep(wait)
        if part.seek(0, 2) == size:
            return
        try:
            _attempt(part, path, url, size, report)
            return
        except _Interrupted as error:
            if attempt == len(WAITS):
                raise Unavailable(f"{error}, at the last of {attempt} attempts") from error


def note_path(path: Path) -> Path:
    """Where the address and version from which `path` is being downloaded are noted."""
    return path.with_name(f"{path.name}.from")


def _attempt(part: BinaryIO, path: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    have = part.seek(0, 2)
    with _answer(url, have, _noted(path, url)) as answer:
        if answer.status == 206:
            _refuse_other_part(answer, part, have, size)
        else:
            _refuse_other_file(answer, size)
            part.truncate(0)
            part.seek(0)
            have = 0
            _note(path, url, answer)
        report(have)
        begun, before = time.monotonic(), have
        while have < size:
            try:
                piece = answer.read1(min(_CHUNK, size - have))
            except _BROKEN as error:
                raise _Interrupted(f"broke off after {have:,} bytes ({_reason(error)})") from error
            if not piece:
                raise _Interrupted(f"ended after {have:,} of {size:,} bytes")
            _write(part, path, piece)
            have += len(piece)
            report(have)
            if time.monotonic() - begun > WINDOW:
                if have - before < SLOWEST * WINDOW:
                    raise _Interrupted(f"sent {have - before:,} bytes in {WINDOW} seconds")
                begun, before = time.monotonic(), have


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req, fp, code, msg, headers):
        target = headers.get("Location") or ""
        if urlsplit(target).scheme not in ("", "http", "https"):
            raise Unavailable(f"redirects to {quoted(target)}, which is not an http or https address")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """An opener of http and https alone: urllib's own also reads local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, _Redirects,
        urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler, urllib.request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _answer(url: str, have: int, version: str | None) -> http.client.HTTPResponse:
    headers = {"User-Agent": "ganspec", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version is not None:
            headers["If-Range"] = version
    try:
        return _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        said = f"answers {error.code} ({quoted(str(error.reason))[1:-1]})"
        if error.code == 416 and have:  # Range Not Satisfiable: our part is longer than the server's file
            raise Unavailable("has a smaller file") from error
        raise (_Interrupted if error.code in _PASSING else Unavailable)(said) from error
    except urllib.error.URLError as error:
        raise Unavailable(f"cannot be reached ({_reason(error.reason)})") from error
    except _BROKEN as error:
        raise _Interrupted(f"broke off before it answered ({_reason(error)})") from error
    except ValueError as error:  # an address or a header that urllib cannot read
        raise Unavailable(f"gives an answer that is not HTTP ({_reason(error)})") from error


def _refuse_other_part(answer: http.client.HTTPResponse, part: BinaryIO, have: int, size: int) -> None:
    said = answer.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", said.strip())
    if found is None or int(found[1]) != have:
        part.truncate(0)  # then the next attempt asks for the whole
        raise _Interrupted(f"sends a part that was not requested ({quoted(said)})")
    if found[2] not in ("*", str(size)):
        raise Unavailable(f"has a file of {int(found[2]):,} bytes")


def _refuse_other_file(answer: http.client.HTTPResponse, size: int) -> None:
    if answer.status != 200:
        raise Unavailable(f"answers {answer.status}")
    if answer.headers.get_content_type() == "text/html":
        raise Unavailable("answers with a web page")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Unavailable("sends the file encoded")
    length = answer.headers.get("Content-Length", "")
    if re.fullmatch(r"\d{1,15}", length) and int(length) != size:
        raise Unavailable(f"has a file of {int(length):,} bytes")


def _note(path: Path, url: str, answer: http.client.HTTPResponse) -> None:
    """Note the version that is being sent. Only a strong ETag, or a date, may stand in If-Range."""
    etag = answer.headers.get("ETag", "")
    version = etag if etag.startswith('"') else answer.headers.get("Last-Modified")
    try:
        note_path(path).write_text(json.dumps({"url": url, "version": version}))
    except OSError as error:
        raise unwritable(path, error) from error


def _noted(path: Path, url: str) -> str | None:
    """The version that was noted for this address; None without one, and then only the checksum shows a change."""
    try:
        with open(note_path(path), "rb") as handle:
            found = json.loads(handle.read(_MAX_NOTE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    version = found.get("version") if isinstance(found, dict) and found.get("url") == url else None
    return version if isinstance(version, str) and version.isascii() and version.isprintable() else None


def _write(part: BinaryIO, path: Path, piece: bytes) -> None:
    view = memoryview(piece)
    try:
        while view:  # an unbuffered write may write less; a buffered file would report a full disk once more on closing
            view = view[part.write(view) :]
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> DataError:
    """Returns: the message for a file that cannot be written."""
    return DataError(
        f"cannot be written ({error.strerror or error})",
        "a folder that you may write to, on a disk with room",
        "make room or choose another folder, then download again: what has arrived is kept",
        path=path,
    )


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return quoted(str(text))[1:-1]
