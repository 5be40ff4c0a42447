"""Who may ask: the Host header, the token, and the edge where bugs become answers."""

from __future__ import annotations

import hmac
import logging
import traceback
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.api import problems
from runner.api.problems import HttpRefusal
from runner.verbs.router import Access

LOG = logging.getLogger("planlock.router")
# What tells nothing about anybody's calls.
OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})


class Guard:
    """Stands before the app; nothing of a request reaches the log but its path, if we know it."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, watched)
        except HttpRefusal as refused:
            await problems.respond(refused)(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # the edge: a bug ends as an answer
            told = bug(error)
            if not started:
                await problems.respond(told)(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = _name(headers.get(b"host", b""))
        if self._access.hosts is not None and host not in self._access.hosts:
            message = f"the request names the host {host!r}, which is not this service"
            raise problems.refusal(403, "host_refused", message, hint="--allowed-host NAME")
        if scope["path"] not in OPEN and not self._admitted(headers):
            message = "the request has no Authorization header with the right bearer token"
            raise problems.refusal(401, "unauthorized", message)

    def _admitted(self, headers: Mapping[bytes, bytes]) -> bool:
        if self._access.token is None:
            return True
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        wanted = self._access.token.encode()
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), wanted)


def _name(host: bytes) -> str:
    """Cut the port off a Host header, and the brackets of an IPv6 address."""
    text = host.decode("latin-1").lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return name.rstrip(".")


def bug(error: BaseException) -> HttpRefusal:
    """Log where it happened, and not the message: it may quote a prompt."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("bug: %s\n%s", type(error).__name__, frames)
    return problems.refusal(500, "bug", "this is a bug in planlock; the log has where")
