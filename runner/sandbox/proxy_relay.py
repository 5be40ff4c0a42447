"""Passes bytes on in both directions, as fast as the slower side takes them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from runner.sandbox.proxy_contacts import Count

_CHUNK_BYTES = 1 << 16


async def relay(client: socket.socket, host: socket.socket, count: Count) -> None:
    """Returns when both sides have said all, or one is gone."""

    def sent(size: int) -> None:
        count.sent += size

    def received(size: int) -> None:
        count.received += size

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(client, host, sent))
            tasks.create_task(_pump(host, client, received))
    except* OSError:
        pass  # one side is gone, and the other's connection ends with it


async def _pump(
    source: socket.socket, target: socket.socket, counted: Callable[[int], None]
) -> None:
    loop = asyncio.get_running_loop()
    while chunk := await loop.sock_recv(source, _CHUNK_BYTES):
        # Counted first: what a command told a host is never more than the record says.
        counted(len(chunk))
        await loop.sock_sendall(target, chunk)
    target.shutdown(socket.SHUT_WR)
