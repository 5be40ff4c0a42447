"""Where the proxy connects to: look-ups, rebinding, addresses that are nobody's business."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from proxy_scene import EchoHost, Names, echo_host, entrance, port_of

from runner.core.record import Contact
from runner.sandbox.proxy import Proxy


@pytest.fixture
def host() -> Iterator[EchoHost]:
    with echo_host() as server:
        yield server


def asked_once(proxy: Proxy, asked: str) -> tuple[str, Contact]:
    """The first line of the answer to one CONNECT, and what the record says."""
    with entrance(proxy) as door:
        line = door.connect(asked).recv(1000).partition(b"\r\n")[0].decode()
    [contact] = proxy.contacts()
    return line, contact


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.1"),
        *("::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "::127.0.0.1"),
        *("2002:7f00:1::", "2001:0:7f00:1::", "fd00:ec2::254", "fe80::1%lo", "127.1", "2130706433"),
    ],
)
def test_D05_a_name_that_leads_inside(host: EchoHost, address: str) -> None:
    """A declared name is not connected to at an address that is not public."""
    port = port_of(host)
    line, contact = asked_once(
        Proxy([f"site.test:{port}"], resolve=Names([address])), f"site.test:{port}"
    )
    assert line.startswith(f"HTTP/1.1 403 site.test lies at {address}, which is n")
    assert (contact.host, contact.allowed) == (f"site.test:{port}", False)
    assert address in contact.reason
    assert host.visitors == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "0.0.0.1"])
def test_D05_metadata_by_number(address: str) -> None:
    """A metadata service, or this host by another number, is refused even where it is declared."""
    line, contact = asked_once(Proxy([f"{address}:80"]), f"{address}:80")
    assert line == f"HTTP/1.1 403 {address} lies at {address}, which is never connected to"
    assert not contact.allowed


def test_a_private_address_that_the_step_names(host: EchoHost) -> None:
    """With its address declared as well, a name may lead to the machine's own network."""
    port = port_of(host)
    names = [f"site.test:{port}", f"127.0.0.1:{port}"]
    line, contact = asked_once(Proxy(names, resolve=Names(["127.0.0.1"])), f"site.test:{port}")
    assert line == "HTTP/1.1 200 Connection established"
    assert contact.allowed


def test_D05_rebinding(host: EchoHost) -> None:
    """Each connection is looked up once, and made to the address that was checked."""
    port = port_of(host)
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    proxy = Proxy([f"site.test:{port}", f"127.0.0.1:{port}"], resolve=names)
    with echo_host("127.0.0.2", port) as inner:
        with entrance(proxy) as door:
            assert door.status(f"site.test:{port}") == 200
            assert names.asked == [("site.test", port)]
            assert door.status(f"site.test:{port}") == 403
            assert names.asked == 2 * [("site.test", port)]
        assert inner.visitors == 0
    allowed, refused = proxy.contacts()
    assert (allowed.allowed, allowed.connections) == (True, 1)
    assert (refused.allowed, refused.connections) == (False, 1)
    assert "127.0.0.2" in refused.reason


def test_D05_an_answer_with_several_addresses(host: EchoHost) -> None:
    """Of several addresses only those that passed are connected to."""
    port = port_of(host)
    names = Names(["169.254.169.254", "127.0.0.2", "127.0.0.1"])
    proxy = Proxy([f"site.test:{port}", f"127.0.0.1:{port}"], resolve=names)
    with echo_host("127.0.0.2", port) as inner:
        line, _ = asked_once(proxy, f"site.test:{port}")
        assert line == "HTTP/1.1 200 Connection established"
        assert inner.visitors == 0


def test_the_machines_own_resolver(host: EchoHost) -> None:
    """Without another resolver the machine's own says where a host lies."""
    port = port_of(host)
    line, _ = asked_once(Proxy([f"localhost:{port}"]), f"localhost:{port}")
    assert line.startswith("HTTP/1.1 403 localhost lies at ")


def test_an_unknown_name() -> None:
    """A name without an address is told as such; nothing ends in .invalid."""
    line, contact = asked_once(Proxy(["site.invalid"], resolve=unknown), "site.invalid:443")
    assert line == "HTTP/1.1 502 site.invalid is not known"
    assert (contact.allowed, contact.reason) == (True, "site.invalid is not known")
    assert asked_once(Proxy(["site.test"], resolve=Names([])), "site.test:443")[0].endswith(
        "no address"
    )


def unknown(name: str, port: int) -> Sequence[str]:
    raise OSError(f"{name}:{port}")


def test_a_closed_port() -> None:
    """A host that refuses is told as such, and was allowed."""
    with echo_host() as host:
        port = port_of(host)
    line, contact = asked_once(Proxy([f"127.0.0.1:{port}"]), f"127.0.0.1:{port}")
    assert line == f"HTTP/1.1 502 127.0.0.1:{port}: Connection refused"
    assert (contact.allowed, contact.connections, contact.sent) == (True, 1, 0)


def test_a_slow_look_up() -> None:
    """A resolver that hangs costs the request, and leaving does not wait for it."""
    released = threading.Event()

    def hang(name: str, port: int) -> Sequence[str]:
        released.wait(10)
        return [f"{name}:{port}"]

    line, contact = asked_once(Proxy(["site.test"], resolve=hang, patience_s=0.1), "site.test:443")
    assert not released.is_set()
    released.set()
    assert line == "HTTP/1.1 504 looking up site.test takes too long"
    assert contact.allowed


def test_a_host_that_does_not_answer() -> None:
    """A host that takes no connection costs the request too."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        proxy = Proxy([f"127.0.0.1:{port}"], patience_s=0.2)
        with entrance(proxy) as door:
            statuses = [door.status(f"127.0.0.1:{port}") for _ in range(3)]
    assert (statuses[0], statuses[-1]) == (200, 504)
