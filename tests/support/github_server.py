"""A small server that gives the answers that it was told, in their order, and notes what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runner.github.auth import Auth, Token
from runner.github.wire import Wire

PIECE = 16


@dataclass(frozen=True)
class Came:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answers:
    """`script` has status, headers and body; None hangs up. The last one stays.

    With `trickle`, so many seconds pass on the clock before each piece of a body.
    """

    address: str = ""
    script: list[tuple[int, dict[str, str], bytes] | None] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 1_000_000.0
    trickle: float = 0.0
    wires: list[Wire] = field(default_factory=list)

    def say(self, status: int = 200, body: Any = None, **headers: str) -> Answers:
        """Add an answer; underscores in names of headers stand for hyphens."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.script.append((status, named, data))
        return self

    def hang_up(self) -> Answers:
        self.script.append(None)
        return self

    def wire(self, auth: Auth | None = None) -> Wire:
        """A client of the server, which sleeps only as far as its clock says."""
        made = Wire(
            self.address,
            "acme/shop",
            auth or Token("t0ken-that-is-secret"),
            now=lambda: self.now,
            sleep=self._sleep,
        )
        self.wires.append(made)
        return made

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def next(self) -> tuple[int, dict[str, str], bytes] | None:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: Answers

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        came = Came(self.command, self.path, headers, self.rfile.read(length))
        self.answers.came.append(came)
        found = self.answers.next()
        if found is None:
            self.close_connection = True
            return
        status, more, data = found
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        size = PIECE if self.answers.trickle else len(data) or 1
        for start in range(0, len(data), size):
            self.answers.now += self.answers.trickle
            self.wfile.write(data[start : start + size])

    do_POST = do_PATCH = do_GET  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Answers]:
    answers = Answers()
    handler = type("Handler", (_Handler,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        answers.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            for each in answers.wires:
                each.close()
            server.shutdown()
            thread.join()
