"""What the proxy is asked, read strictly, and what it answers."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass

HEAD_BYTES = 8192
_END = b"\r\n\r\n"
_HEAD = re.compile(
    rb"(?P<method>[A-Za-z]{1,32}) (?P<target>[!-~]+) HTTP/1\.[01]\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*"
    rb"\r\n"
)
_USER_AND_PATH = re.compile(r"(?:[A-Za-z0-9+.-]+://)?(?:[^/?#]*@)?([^/?#]*).*")
_LINGER_S = 1.0
_LINGER_BYTES = 1 << 20

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Declined(Exception):
    """No tunnel: an HTTP status, the reason for people, and whom the command asked for."""

    def __init__(self, status: int, reason: str, *, asked: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.asked = asked


@dataclass(frozen=True, kw_only=True)
class Request:
    """`early` is what came after the head, for the host, before it could answer."""

    asked: str
    early: bytes


async def read_request(client: socket.socket, *, patience_s: float) -> Request | None:
    """Read the head of a CONNECT; None where the client hangs up without a word."""
    data = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            while _END not in data:
                if len(data) >= HEAD_BYTES:
                    raise Declined(400, f"the request is over {HEAD_BYTES} bytes")
                loop = asyncio.get_running_loop()
                chunk = await loop.sock_recv(client, HEAD_BYTES - len(data))
                if not chunk and not data:
                    return None
                if not chunk:
                    raise Declined(400, "the request ends in the middle")
                data += chunk
    except TimeoutError as error:
        raise Declined(400, "the request takes too long") from error
    head, end, early = bytes(data).partition(_END)
    return Request(asked=_parse(head + end), early=early)


def _parse(head: bytes) -> str:
    found = _HEAD.fullmatch(head)
    if not found:
        raise Declined(400, "the request is not HTTP")
    asked = found["target"].decode("ascii")
    if found["method"] != b"CONNECT":
        message = "this proxy takes CONNECT only: use https:// instead of http://"
        # A path or a password in an address is nothing for the record.
        raise Declined(405, message, asked=_USER_AND_PATH.sub(r"\1", asked))
    return asked


async def decline(client: socket.socket, declined: Declined) -> None:
    """Answer, and wait a moment for the client to have read it: closing at once can undo that."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_LINGER_S):
        await loop.sock_sendall(client, _answer(declined))
        client.shutdown(socket.SHUT_WR)
        left = _LINGER_BYTES
        while left > 0 and (chunk := await loop.sock_recv(client, 1 << 16)):
            left -= len(chunk)


def _answer(declined: Declined) -> bytes:
    """The reason is the status line's phrase too: many programs show nothing else."""
    body = f"{declined.reason}\n".encode("ascii", "backslashreplace")
    lines = [
        f"HTTP/1.1 {declined.status} {declined.reason}",
        *(["Allow: CONNECT"] if declined.status == 405 else []),
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "backslashreplace") + body
