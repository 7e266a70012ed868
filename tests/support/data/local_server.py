"""A web server on this machine that misbehaves as told, for the tests of downloading."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What is at one address.

    Args:
        content: the file.
        etag: of it, None for none.
        modified: Last-Modified, None for none.
        ranges: whether Range is honoured; "elsewhere" answers with another part than was asked for.
        cuts: after how many bytes each of the next answers breaks off.
        answers: the status of each of the next answers, 0 for closing the connection without one.
        location: where a redirect leads.
        headers: further ones; None takes the usual one away.
        trickle: called after each piece of `piece` bytes.
    """

    content: bytes = b""
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool | str = True
    cuts: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    trickle: object = None
    piece: int = 1 << 20


class Server:
    """Serves `at`, a path to each `Served`, and remembers what it was asked for.

    `asked` lists (path, Range, If-Range) of each request, `sent` the bytes of content of each answer.
    """

    def __init__(self) -> None:
        self.at: dict[str, Served] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.sent: list[int] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.handle_error = lambda *_: None  # clients that hang up are what is tested
        self.base = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                path = self.path.lstrip("/")
                server.asked.append((path, self.headers.get("Range"), self.headers.get("If-Range")))
                found = server.at.get(path)
                self._give(found) if found is not None else self.send_error(404)

            def _give(self, found: Served):
                status = found.answers.pop(0) if found.answers else 200
                if status == 0:
                    self.close_connection = True
                    return
                if status != 200:
                    self.send_response(status)
                    if found.location is not None:
                        self.send_header("Location", found.location)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                size, start = len(found.content), self._start(found)
                if start is not None and start >= size:
                    self.send_error(416)
                    return
                self.send_response(200 if start is None else 206)
                usual = {
                    "Content-Type": "application/octet-stream", "Content-Length": str(size - (start or 0)),
                    "ETag": found.etag, "Last-Modified": found.modified,
                    "Content-Range": None if start is None else f"bytes {start}-{size - 1}/{size}",
                }  # fmt: skip
                for name, value in {**usual, **found.headers}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                body = found.content[start or 0 :]
                body = body[: found.cuts.pop(0)] if found.cuts else body
                server.sent.append(len(body))
                for at in range(0, len(body), found.piece):
                    self.wfile.write(body[at : at + found.piece])
                    self.wfile.flush()
                    if found.trickle is not None:
                        found.trickle()
                self.close_connection = True

            def _start(self, found: Served) -> int | None:
                wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
                version = self.headers.get("If-Range")
                if not found.ranges or wanted is None or version not in (None, found.etag, found.modified):
                    return None
                return 0 if found.ranges == "elsewhere" else int(wanted[1])

        return Handler
