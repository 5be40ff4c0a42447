"""Finds where a declared host lies, and connects to the very address that was checked."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor

from runner.core import hosts
from runner.core.hosts import Host
from runner.sandbox.proxy_request import Declined

_MAX_ADDRESSES = 4

# Numeric addresses of a name, best first; raises OSError where there is none.
Resolve = Callable[[str, int], Sequence[str]]


def system_addresses(name: str, port: int) -> list[str]:
    """Ask the machine's own resolver."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Connector:
    def __init__(
        self, declared: Collection[Host], resolve: Resolve, *, executor: Executor, patience_s: float
    ) -> None:
        self._declared = declared
        self._resolve = resolve
        self._executor = executor
        self._patience_s = patience_s

    async def connect(self, host: Host) -> socket.socket:
        """Connect to the first address that answers; raises Declined where none may or does."""
        cause = Declined(502, f"{host} has no address")
        for address in self._permitted(host, await self._addresses(host)):
            try:
                async with asyncio.timeout(self._patience_s):
                    return await _connected(address, host.port)
            except TimeoutError:
                cause = Declined(504, f"{host} does not answer")
            except OSError as error:
                cause = Declined(502, f"{host}: {os.strerror(error.errno or 0)}")
        raise cause

    async def _addresses(self, host: Host) -> Sequence[str]:
        if host.is_address:
            return [host.name]
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._executor, self._resolve, host.name, host.port)
        try:
            async with asyncio.timeout(self._patience_s):
                return (await asking)[:_MAX_ADDRESSES]
        except TimeoutError as error:
            raise Declined(504, f"looking up {host.name} takes too long") from error
        except OSError as error:
            raise Declined(502, f"{host.name} is not known") from error

    def _permitted(self, host: Host, addresses: Sequence[str]) -> list[str]:
        refusals = {at: hosts.refusal(self._declared, at, host.port) for at in addresses}
        permitted = [address for address, refusal in refusals.items() if not refusal]
        if refusals and not permitted:
            refusal = next(iter(refusals.values()))
            raise Declined(403, f"{host.name} {refusal}", asked=str(host))
        return permitted


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = socket.socket(family, socket.SOCK_STREAM)
    try:
        target.setblocking(False)
        await asyncio.get_running_loop().sock_connect(target, (address, port))
    except BaseException:
        target.close()
        raise
    return target
