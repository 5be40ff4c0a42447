"""The simulator over HTTP, on this machine alone."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from runner.core.errors import PlanlockError
from runner.simulator import repository
from runner.simulator.controls import Controls
from runner.simulator.rest import Page, Request, Rest
from runner.simulator.state import Fault, Refusal, State

LOOPBACK = "127.0.0.1"
CONTROL = "/_simulator/"
# GitHub Enterprise Server has its API there.
ENTERPRISE = "/api/v3"
MAX_BODY = 4 * 2**20
MOST_PER_PAGE = 100
# How soon it notices that it is to end.
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Answered:
    status: int
    body: Any
    headers: Mapping[str, str]


class HungUp(Exception):
    """The connection ends without an answer."""


class Forge:
    """A forge around one bare repository; `control` is the token of who plays its people."""

    def __init__(
        self, git_dir: Path, name: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.git_dir, self.control = git_dir, secrets.token_urlsafe(24)
        self.state = State(name, now)
        self.controls = Controls(self.state, git_dir)
        repository.look(self.state, git_dir)

    def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, *, address: str
    ) -> Answered:
        """One request after the other; raises HungUp."""
        split = urlsplit(target)
        path = split.path.removeprefix(ENTERPRISE).replace("/api/graphql", "/graphql")
        token = headers.get("authorization", "").partition(" ")[2]
        with self.state.lock:
            repository.look(self.state, self.git_dir)
            try:
                value = json.loads(body) if body else {}
                if path.startswith(CONTROL):
                    return self._controlled(path.removeprefix(CONTROL), token, value)
                fault = self._fault(f"{method} {path}")
                query, found = dict(parse_qsl(split.query)), None
                if fault is None or fault.is_done:
                    found = self._rest(method, path, token, query, value, address)
                return _faulty(fault) if fault else _paged(found, f"{address}{split.path}", query)
            except Refusal as refusal:
                return _said(refusal.status, refusal.message)
            except (KeyError, ValueError, TypeError) as error:
                return _said(422, f"Validation Failed: {error}")
            except PlanlockError as error:
                return _said(500, error.message)

    def _rest(  # noqa: PLR0913, PLR0917  # the parts of a request
        self,
        method: str,
        path: str,
        token: str,
        query: Mapping[str, str],
        body: Mapping[str, Any],
        address: str,
    ) -> Any:
        who = self.state.of_token(token)

        def request(parts: tuple[str, ...]) -> Request:
            return Request(who=who, parts=parts, query=query, body=body)

        return Rest(self.state, self.git_dir, address).answer(method, path, request)

    def _controlled(self, name: str, token: str, body: Mapping[str, Any]) -> Answered:
        if not secrets.compare_digest(token, self.control):
            raise Refusal(401, "not the control token")
        return Answered(status=200, body=self.controls.act(name, body), headers={})

    def _fault(self, request: str) -> Fault | None:
        for fault in self.state.faults:
            if fault.times and re.search(fault.pattern, request):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


def _faulty(fault: Fault) -> Answered:
    if fault.hangs_up:
        raise HungUp
    body = fault.body or json.dumps({"message": "simulated"})
    return Answered(status=fault.status, body=body.encode(), headers=fault.headers)


def _said(status: int, message: str) -> Answered:
    return Answered(status=status, body={"message": message}, headers={})


def _paged(found: Any, address: str, query: Mapping[str, str]) -> Answered:
    """One page of a list, with a link to the next; anything else as it is."""
    status = 200
    if isinstance(found, tuple):
        status, found = found
    if not isinstance(found, Page):
        return Answered(status=status, body=found, headers={})
    size = min(MOST_PER_PAGE, int(query.get("per_page", "30")))
    page = int(query.get("page", "1"))
    some = found.items[(page - 1) * size : page * size]
    headers = {}
    if page * size < len(found.items):
        after = urlencode({**query, "page": page + 1})
        headers["link"] = f'<{address}?{after}>; rel="next"'
    body = {"total_count": len(found.items), found.key: some} if found.key else some
    return Answered(status=200, body=body, headers=headers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PATCH = do_GET  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing: whoever asked has the answer."""

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(min(length, MAX_BODY))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            found = self.server.forge.handle(
                self.command, self.path, headers, body, address=self.server.address
            )
        except HungUp:
            self.close_connection = True
            return
        data = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if found.status == 200 and self.command == "GET" and headers.get("if-none-match") == etag:
            self._send(304, {"etag": etag}, b"")
            return
        kind = {"content-type": "application/json; charset=utf-8"}
        self._send(found.status, {**found.headers, **kind, "etag": etag}, data)

    def _send(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Listens on the loopback address; port 0 means any."""

    daemon_threads = True

    def __init__(self, forge: Forge, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.forge = forge

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"


@contextmanager
def running(forge: Forge, port: int = 0) -> Iterator[Server]:
    """Serve from another thread for a while."""
    with Server(forge, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
