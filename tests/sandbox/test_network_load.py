"""The proxy under load, and what is left of it."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from proxy_scene import (
    GREETING,
    EchoHost,
    Entrance,
    comes_true,
    echo_host,
    entrance,
    open_descriptors,
    port_of,
    read_all,
    read_exactly,
)

from runner.sandbox.proxy import MAX_CONNECTIONS, Proxy

_MIB = 1 << 20


@pytest.fixture
def host() -> Iterator[EchoHost]:
    with echo_host() as server:
        yield server


def proxy_to(host: EchoHost) -> Proxy:
    return Proxy([f"127.0.0.1:{port_of(host)}"])


def tunnel(door: Entrance, host: EchoHost) -> socket.socket:
    client = door.connect(f"127.0.0.1:{port_of(host)}")
    assert read_exactly(client, len(GREETING)) == GREETING
    return client


def test_each_side_may_end_first(host: EchoHost) -> None:
    """After one side has said all, the other can still answer."""
    proxy = proxy_to(host)
    with entrance(proxy) as door:
        client = tunnel(door, host)
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"hello[5]"
    [contact] = proxy.contacts()
    assert (contact.sent, contact.received) == (5, 8)


def test_a_large_transfer_takes_little_memory(host: EchoHost) -> None:
    """32 MiB there and back pass through in small pieces, and are counted to the byte."""
    proxy = proxy_to(host)
    with entrance(proxy) as door:
        client = tunnel(door, host)
        tracemalloc.start()
        sender = threading.Thread(target=send, args=(client, 32 * _MIB))
        sender.start()
        size = 0
        while chunk := client.recv(_MIB):
            size += len(chunk)
        sender.join()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert size == 32 * _MIB + len(f"[{32 * _MIB}]")
    assert peak < 4 * _MIB
    [contact] = proxy.contacts()
    assert (contact.sent, contact.received) == (32 * _MIB, size)


def send(client: socket.socket, size: int) -> None:
    block = bytes(1 << 16)
    for _ in range(size // len(block)):
        client.sendall(block)
    client.shutdown(socket.SHUT_WR)


def test_who_does_not_read_is_not_read_from(host: EchoHost) -> None:
    """What nobody takes is not piled up in the proxy: the sender has to wait."""
    proxy = proxy_to(host)
    with entrance(proxy) as door:
        client = tunnel(door, host)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            send(client, 256 * _MIB)
        assert proxy.contacts()[0].sent < 128 * _MIB


def test_many_connections_at_once(host: EchoHost) -> None:
    """Those beyond the limit wait until another ends, and are served then."""
    proxy = proxy_to(host)
    with entrance(proxy) as door:
        asked = f"127.0.0.1:{port_of(host)}"
        clients = [door.connect(asked) for _ in range(MAX_CONNECTIONS + 6)]
        first, last = clients[:MAX_CONNECTIONS], clients[MAX_CONNECTIONS:]
        assert all(client.recv(100) == GREETING for client in first)
        last[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            last[0].recv(100)
        last[0].settimeout(10)
        for client in first:
            client.close()
        assert all(client.recv(100) == GREETING for client in last)
    assert [contact.connections for contact in proxy.contacts()] == [MAX_CONNECTIONS + 6]


def test_a_host_that_is_gone_ends_the_connection() -> None:
    """A client is not left waiting for a host that has hung up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        proxy = Proxy([f"127.0.0.1:{port}"])
        with entrance(proxy) as door:
            client = door.connect(f"127.0.0.1:{port}")
            server.accept()[0].close()
            assert read_all(client) == GREETING
            assert door.connect(f"127.0.0.1:{port}").recv(100) == GREETING


def test_leaving_cuts_what_is_open(host: EchoHost) -> None:
    """At the end open connections end, on both sides, also in the middle of something."""
    before = threading.active_count(), open_descriptors()
    with entrance(proxy_to(host)) as door:
        busy, idle, late = tunnel(door, host), tunnel(door, host), door.open(b"CONNECT")
        busy.sendall(100_000 * b"x")
        clients = [client.dup() for client in (busy, idle, late)]
    for client in clients:
        with client:
            assert len(ending(client)) <= 100_000
    assert comes_true(lambda: (threading.active_count(), open_descriptors()) == before)


def ending(client: socket.socket) -> bytes:
    try:
        return read_all(client)
    except ConnectionResetError:
        return b""


def test_nothing_is_left_of_a_proxy() -> None:
    """Neither threads nor descriptors stay, whether it served or not."""
    before = threading.active_count(), open_descriptors()
    with Proxy(["site.test"]):
        pass
    with echo_host() as host:
        proxy = Proxy([f"site.test:{port_of(host)}"], resolve=lambda *_: ["127.0.0.1"])
        with entrance(proxy) as door:
            assert door.status(f"site.test:{port_of(host)}") == 403
            assert door.status("evil.test:443") == 403
    assert comes_true(lambda: (threading.active_count(), open_descriptors()) == before)


def test_a_bug_is_not_swallowed() -> None:
    """What nobody foresaw ends the proxy, and is told to whoever started it."""

    def broken(name: str, port: int) -> Sequence[str]:
        raise ZeroDivisionError(name, port)

    with pytest.raises(ExceptionGroup) as caught, entrance(Proxy(["a.b"], resolve=broken)) as door:
        assert door.answer(b"CONNECT a.b:443 HTTP/1.1\r\n\r\n") == b""
    assert caught.group_contains(ZeroDivisionError)
