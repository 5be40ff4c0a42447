"""The one way out of a sandbox: a CONNECT proxy to the hosts that a step names."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import MappingProxyType
from typing import Self

from runner.core import hosts
from runner.core.record import Contact
from runner.sandbox.proxy_connect import Connector, Resolve, system_addresses
from runner.sandbox.proxy_contacts import Contacts
from runner.sandbox.proxy_relay import relay
from runner.sandbox.proxy_request import ESTABLISHED, Declined, Request, decline, read_request

PORT = 3128
MAX_CONNECTIONS = 64
_LOOKUPS = 8
_PAUSE_S = 0.1
_URL = f"http://127.0.0.1:{PORT}"
_LOCAL = "localhost,127.0.0.1,::1"
_UNREADABLE = "(unreadable)"

# In both cases of letters, since programs differ. Plain http comes too, to be told what is wrong.
VARIABLES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), _URL)
    | dict.fromkeys(("https_proxy", "http_proxy", "all_proxy"), _URL)
    | dict.fromkeys(("NO_PROXY", "no_proxy"), _LOCAL)
)


class Proxy:
    """Serves one command; raises StepFailed for a text that names no host.

    The values of `hide` show in no contact. `patience_s` bounds a request, a look-up and a connection's start, each.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        resolve: Resolve = system_addresses,
        hide: Sequence[str] = (),
        patience_s: float = 10.0,
    ) -> None:
        self._declared = frozenset(map(hosts.declared, names))
        self._resolve = resolve
        self._patience_s = patience_s
        self._contacts = Contacts(hide)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(_LOOKUPS, "planlock-lookup")
        self._connector = Connector(
            self._declared,
            self._resolve,
            executor=self._executor,
            patience_s=self._patience_s,
        )
        self._loop = asyncio.new_event_loop()
        return self

    def __exit__(self, *_: object) -> None:
        """Cuts what is still open. A look-up cannot be cut; its thread ends when it does."""
        if self._thread:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()
        self._loop.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._thread and not self._task.cancelled():
            self._task.result()

    def serve(self, listener: socket.socket) -> None:
        """Starts a thread that serves until the end, and closes the listener then."""
        self._task = self._loop.create_task(self._serve(listener))
        self._thread = threading.Thread(target=self._run, name="planlock-proxy", daemon=True)
        self._thread.start()

    def contacts(self) -> tuple[Contact, ...]:
        """Complete once the proxy has been left."""
        return self._contacts.told()

    def _run(self) -> None:
        self._loop.run_until_complete(asyncio.wait([self._task]))

    async def _serve(self, listener: socket.socket) -> None:
        """Whoever comes when all places are taken waits in the listener's queue."""
        places = asyncio.Semaphore(MAX_CONNECTIONS)
        listener.setblocking(False)
        with listener:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await places.acquire()
                    client = await _accepted(listener)
                    task = tasks.create_task(self._handle(client))
                    task.add_done_callback(lambda _: places.release())

    async def _handle(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            try:
                await self._tunnel(client)
            except Declined as declined:
                await decline(client, declined)

    async def _tunnel(self, client: socket.socket) -> None:
        try:
            request = await read_request(client, patience_s=self._patience_s)
        except Declined as declined:
            self._contacts.refuse(declined.asked or _UNREADABLE, declined.reason)
            raise
        if request:
            await self._connect(client, request)

    async def _connect(self, client: socket.socket, request: Request) -> None:
        host = hosts.allowed(self._declared, request.asked)
        if host is None:
            reason = "the step does not name this host"
            self._contacts.refuse(request.asked, reason)
            raise Declined(403, reason)
        try:
            target = await self._connector.connect(host)
        except Declined as declined:
            if declined.status == 403:
                self._contacts.refuse(str(host), declined.reason)
            else:
                self._contacts.allow(host, declined.reason)
            raise
        with target:
            count = self._contacts.allow(host)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, ESTABLISHED)
            count.sent += len(request.early)
            await loop.sock_sendall(target, request.early)
            await relay(client, target, count)


async def _accepted(listener: socket.socket) -> socket.socket:
    """The loop's own way loses a connection that comes at the moment of cancelling."""
    loop = asyncio.get_running_loop()
    while True:
        is_ready = asyncio.Event()
        loop.add_reader(listener, is_ready.set)
        try:
            await is_ready.wait()
        finally:
            loop.remove_reader(listener)
        # Out of descriptors, or the client is gone already.
        with suppress(OSError):
            client, _ = listener.accept()
            client.setblocking(False)
            return client
        await asyncio.sleep(_PAUSE_S)
