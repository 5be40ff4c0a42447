"""A real HTTP server on this machine that speaks a provider's published API, on order."""

from __future__ import annotations

import json
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

KEY = "sk-THE-SECRET-KEY-0123456789"
Finish = Literal["stop", "length", "refused", "none"]


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer as the model gave it; `usage` replaces the provider's account of tokens."""

    pieces: Sequence[str] = ("Hello ", "wörld ", "😀.")
    thoughts: str = ""
    finish: Finish = "stop"
    read: int = 40
    written: int = 12
    cached: int = 0
    reasoning: int = 0
    usage: Any = None
    model: str = "model-1-2026"
    broken: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Bytes as they go over the wire; `broken` promises more than it sends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class Silence:
    """No answer until the server is closed."""


Order = Said | Raw | Silence


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Api(ABC):
    """How one provider words what a model said, and its errors."""

    kind: str
    base = ""
    stream_type = "text/event-stream"

    @abstractmethod
    def complaint(self, seen: Seen) -> Raw | None:
        """What the provider refuses in a request."""

    @abstractmethod
    def streams(self, seen: Seen) -> bool: ...

    @abstractmethod
    def whole(self, said: Said) -> Any: ...

    @abstractmethod
    def stream(self, said: Said) -> Iterator[bytes]:
        """The pieces; of a broken answer, all but the end."""

    @abstractmethod
    def error(self, status: int, message: str, *, code: str = "") -> Raw: ...

    def listing(self, seen: Seen) -> Raw:
        return self.error(404, f"nothing at {seen.path}")


def as_json(value: Any, *, status: int = 200, **headers: str) -> Raw:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = json.dumps(value, ensure_ascii=False).encode()
    return Raw(status=status, headers={"content-type": "application/json", **named}, body=body)


@dataclass
class ProviderServer:
    """`anything`, once set, answers every request; else orders do, in turn."""

    api: Api
    url: str = ""
    orders: deque[Order] = field(default_factory=deque)
    anything: Raw | None = None
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def give(self, *orders: Order) -> None:
        self.orders.extend(orders)

    def answer(self, seen: Seen) -> Order:
        self.seen.append(seen)
        if self.anything:
            return self.anything
        if seen.method == "GET":
            return self.api.listing(seen)
        complaint = self.api.complaint(seen)
        return complaint or (self.orders.popleft() if self.orders else Said())


@contextmanager
def serving(api: Api) -> Iterator[ProviderServer]:
    """Serve on a free port of the loopback interface."""
    state = ProviderServer(api)

    class Handler(_Handler):
        provider = state

    with _Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}{api.base}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()
    assert not server.errors


class _Server(ThreadingHTTPServer):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.errors: list[BaseException | None] = []

    def handle_error(self, *_args: Any) -> None:
        """Keep what went wrong, except a client that hung up."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: ProviderServer

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        self._serve(json.loads(self.rfile.read(size)))

    def log_message(self, *_args: Any) -> None:
        """A test's output is its own."""

    def _serve(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(method=self.command, path=self.path, headers=headers, body=body)
        order, api = self.provider.answer(seen), self.provider.api
        # a client that has heard enough hangs up
        with suppress(ConnectionError):
            if isinstance(order, Silence):
                self.provider.released.wait(10)
                self.close_connection = True
            elif isinstance(order, Raw):
                self._send(order)
            elif api.streams(seen):
                self._stream(api.stream(order), broken=order.broken)
            else:
                made = as_json(api.whole(order))
                self._send(Raw(headers=made.headers, body=made.body, broken=order.broken))

    def _send(self, raw: Raw) -> None:
        self.send_response_only(raw.status)
        size = len(raw.body) + (100 if raw.broken else 0)
        for name, value in {"content-length": str(size), **raw.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw.body)
        self.close_connection = raw.broken

    def _stream(self, pieces: Iterator[bytes], *, broken: bool) -> None:
        """Send in chunks of seven bytes, which split lines and characters anywhere."""
        self.send_response(200)
        self.send_header("content-type", self.provider.api.stream_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        data = b"".join(pieces)
        for start in range(0, len(data), 7):
            part = data[start : start + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        if not broken:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = broken
