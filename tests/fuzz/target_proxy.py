"""The proxy's reader of requests, over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from runner.sandbox import proxy_request
from runner.sandbox.proxy_request import Declined, Request

MAX_LENGTH = 300
TOKENS = (
    *(b"CONNECT ", b"GET ", b"pypi.org:443", b"http://pypi.org/", b" HTTP/1.1", b" HTTP/1.0"),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"Host: pypi.org:443\r\n",
        b"Host: evil\r\n",
        b"\t",
        b" ",
    ),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b" folded\r\n", b":", b"\0"),
    *(b"user:pw@", b"#", b"?", b"\x85", b"\xff", b"connect "),
)


class Reads(Protocol):
    def __call__(
        self, client: socket.socket, *, patience_s: float
    ) -> Awaitable[Request | None]: ...


def check(data: bytes, *, read_request: Reads = proxy_request.read_request) -> None:
    """What is read is a CONNECT, whole and alone, and what is declined is told in plain letters."""
    try:
        request = _read(data, read_request)
    except Declined as declined:
        _told_in_plain_letters(declined)
        return
    if request is None:
        assert not data
        return
    head, end, early = data.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert end
    assert early.startswith(request.early)
    assert first[:-1] == b"CONNECT " + request.asked.encode("ascii") + b" HTTP/1."
    assert not set(request.asked) & set(" \r\n\t\0")
    for field in fields:
        name, colon, value = field.partition(b":")
        assert name
        assert colon
        assert not set(name) & set(b" \t")
        assert not set(value) & set(b"\r\n\0")


def _told_in_plain_letters(declined: Declined) -> None:
    assert declined.status in {400, 405}
    assert declined.reason.isprintable()
    assert declined.asked.isascii()
    assert declined.asked.isprintable()
    assert "@" not in declined.asked, "a password for the record"


def _read(data: bytes, read_request: Reads) -> Request | None:
    client, runner = socket.socketpair()
    with client, runner, asyncio.Runner() as loop:
        runner.setblocking(False)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return loop.run(_awaited(lambda: read_request(runner, patience_s=5)))


async def _awaited(start: Callable[[], Awaitable[Request | None]]) -> Request | None:
    return await start()
