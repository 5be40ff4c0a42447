"""A proxy with a host behind it, both on loopback addresses, and names that lead there."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from runner.sandbox.proxy import Proxy

GREETING = b"HTTP/1.1 200 Connection established\r\n\r\n"


class _Echo(socketserver.BaseRequestHandler):
    """Says everything back, and at the end of input how much it was."""

    def handle(self) -> None:
        server = cast(EchoHost, self.server)
        server.visitors += 1
        length = 0
        with suppress(ConnectionError):
            while chunk := self.request.recv(1 << 16):
                length += len(chunk)
                self.request.sendall(chunk)
            self.request.sendall(b"[%d]" % length)


class EchoHost(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    visitors = 0


@contextmanager
def echo_host(address: str = "127.0.0.1", port: int = 0) -> Iterator[EchoHost]:
    with EchoHost((address, port), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def port_of(server: socketserver.TCPServer) -> int:
    return int(server.server_address[1])


class Names:
    """A resolver with prepared answers, the last of which stands for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append((name, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@dataclass
class Entrance:
    """Where a proxy listens."""

    address: tuple[str, int]
    opened: list[socket.socket] = field(default_factory=list)

    def open(self, request: bytes) -> socket.socket:
        """A connection on which the request has been said."""
        client = socket.create_connection(self.address, timeout=10)
        self.opened.append(client)
        client.sendall(request)
        return client

    def connect(self, asked: str, early: bytes = b"") -> socket.socket:
        return self.open(f"CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode() + early)

    def answer(self, request: bytes) -> bytes:
        """All that comes back until the proxy hangs up."""
        return read_all(self.open(request))

    def status(self, asked: str) -> int:
        """The status with which a CONNECT is answered."""
        return int(self.connect(asked).recv(100).split()[1])


@contextmanager
def entrance(proxy: Proxy) -> Iterator[Entrance]:
    with proxy:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        found = Entrance(listener.getsockname())
        proxy.serve(listener)
        try:
            yield found
        finally:
            for client in found.opened:
                client.close()


def read_all(client: socket.socket) -> bytes:
    parts = []
    while chunk := client.recv(1 << 16):
        parts.append(chunk)
    return b"".join(parts)


def read_exactly(client: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (chunk := client.recv(size - len(parts))):
        parts += chunk
    return bytes(parts)


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
