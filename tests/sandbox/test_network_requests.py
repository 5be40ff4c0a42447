"""What can be asked of the proxy, and how it answers: attacks on its rules and on its parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from proxy_scene import (
    GREETING,
    EchoHost,
    Entrance,
    Names,
    echo_host,
    entrance,
    port_of,
    read_exactly,
)

from runner.core.errors import StepFailed
from runner.sandbox.proxy import Proxy
from runner.sandbox.proxy_contacts import Contacts


@dataclass
class Scene:
    """`site.test` and its address are declared, with the port of a host that says all back."""

    host: EchoHost
    proxy: Proxy
    door: Entrance
    names: Names

    @property
    def port(self) -> int:
        return port_of(self.host)

    def fill(self, text: str) -> str:
        return text.replace("PORT", str(self.port))


@pytest.fixture
def scene() -> Iterator[Scene]:
    names = Names(["127.0.0.1"])
    with echo_host() as host:
        port = port_of(host)
        proxy = Proxy([f"site.test:{port}", f"127.0.0.1:{port}"], resolve=names, patience_s=0.5)
        with entrance(proxy) as door:
            yield Scene(host, proxy, door, names)


@pytest.mark.parametrize("asked", ["site.test:PORT", "SITE.Test:PORT", "127.0.0.1:PORT"])
def test_a_declared_host_is_reached(scene: Scene, asked: str) -> None:
    """After the 200 the bytes go to the host and back, and are counted exactly."""
    client = scene.door.connect(scene.fill(asked))
    assert read_exactly(client, len(GREETING)) == GREETING
    client.sendall(b"twelve bytes")
    assert read_exactly(client, 12) == b"twelve bytes"
    [contact] = scene.proxy.contacts()
    assert contact.host == scene.fill(asked).lower()
    assert (contact.allowed, contact.reason, contact.connections) == (True, "", 1)
    assert (contact.sent, contact.received) == (12, 12)


@pytest.mark.parametrize(
    "asked",
    [
        *("evil.test:443", "evil.test:PORT", "evil-site.test:PORT", "site.test.evil:PORT"),
        *("sub.site.test:PORT", "site.test.:PORT", "test:PORT", "*.test:PORT", "*:PORT"),
        *(
            "site.test:443",
            "site.test:0PORT",
            "site.test:+PORT",
            "site.test",
            "site.test:",
            ":PORT",
        ),
        *("user@site.test:PORT", "site.test:PORT@evil.test:443", "site.test%00:PORT"),
        *("site.test:PORT/", "https://site.test:PORT", "/", "site.test:PORT#@evil.test"),
        *("127.1:PORT", "2130706433:PORT", "0x7f.0.0.1:PORT", "0177.0.0.1:PORT", "127.0.0.1.:PORT"),
        *("[::ffff:127.0.0.1]:PORT", "[::1]:PORT", "::1:PORT", "localhost:PORT"),
        *("169.254.169.254:80", "metadata.google.internal:80", "xn--ste-8cd.test:PORT"),
    ],
)
def test_D05_hosts_that_are_not_declared(scene: Scene, asked: str) -> None:
    """No other spelling is let through, nor looked up, and the record tells the attempt."""
    answer = scene.door.answer(f"CONNECT {scene.fill(asked)} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"the step does not name this host\n")
    assert scene.names.asked == []
    [contact] = scene.proxy.contacts()
    assert (contact.host, contact.allowed) == (scene.fill(asked), False)
    assert (contact.connections, contact.sent, contact.received) == (1, 0, 0)


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT site.test:PORT HTTP/1.1\nHost: x\n\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX: a\nCONNECT evil.test:1 HTTP/1.1\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\n folded\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX : a\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX: \0\r\n\r\n",
        b"CONNECT site.test:PORT\0 HTTP/1.1\r\n\r\n",
        b"CONNECT  site.test:PORT HTTP/1.1\r\n\r\n",
        b"CONNECT site.test:PORT evil.test:1 HTTP/1.1\r\n\r\n",
        b"CONNECT site.test:PORT\tHTTP/1.1\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/2.0\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.10\r\n\r\n",
        b"CONNECT site.test:PORT\r\n\r\n",
        b"CONNECT s\xc3\xadte.test:PORT HTTP/1.1\r\n\r\n",
        b" CONNECT site.test:PORT HTTP/1.1\r\n\r\n",
        b"\r\n\r\nCONNECT site.test:PORT HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\r\n\r\n",
        b"CONNECT site.test:PORT HTTP/1.1\r\nX: " + 9000 * b"y" + b"\r\n\r\n",
        b"CONNECT " + 9000 * b"y" + b" HTTP/1.1\r\n\r\n",
        9000 * b"\r",
    ],
)
def test_D05_requests_that_are_no_http(scene: Scene, request_: bytes) -> None:
    """What two parsers could read differently is refused as a whole."""
    answer = scene.door.answer(request_.replace(b"PORT", str(scene.port).encode()))
    assert answer.startswith(b"HTTP/1.1 400 the request is ")
    assert scene.names.asked == []
    [contact] = scene.proxy.contacts()
    assert (contact.host, contact.allowed) == ("(unreadable)", False)


@pytest.mark.parametrize("method", ["GET", "POST", "connect", "OPTIONS", "TRACE"])
def test_D05_plain_http(scene: Scene, method: str) -> None:
    """Anything but CONNECT is told what to do instead; path and password stay unrecorded."""
    url = scene.fill("http://ada:hush@site.test:PORT/path?key=hush")
    answer = scene.door.answer(f"{method} {url} HTTP/1.1\r\nHost: site.test\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: CONNECT\r\n" in answer
    assert answer.endswith(b"use https:// instead of http://\n")
    [contact] = scene.proxy.contacts()
    assert (contact.host, contact.allowed) == (scene.fill("site.test:PORT"), False)


def test_D05_two_requests_on_one_connection(scene: Scene) -> None:
    """After a refusal nothing more is read as a request."""
    good = f"CONNECT site.test:{scene.port} HTTP/1.1\r\n\r\n".encode()
    answer = scene.door.answer(b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n" + good)
    assert answer.count(b"HTTP/1.1") == 1
    assert scene.names.asked == []
    assert [contact.host for contact in scene.proxy.contacts()] == ["evil.test:443"]


def test_D05_a_second_request_in_a_tunnel(scene: Scene) -> None:
    """Within a tunnel a CONNECT is bytes like all others, for the host."""
    second = b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n"
    client = scene.door.connect(f"site.test:{scene.port}", early=second)
    assert read_exactly(client, len(GREETING + second)) == GREETING + second
    [contact] = scene.proxy.contacts()
    assert (contact.host, contact.sent) == (f"site.test:{scene.port}", len(second))


def test_a_host_header_changes_nothing(scene: Scene) -> None:
    """Only the request line tells where to."""
    asked = f"CONNECT evil.test:1 HTTP/1.1\r\nHost: site.test:{scene.port}\r\n\r\n"
    assert scene.door.answer(asked.encode()).startswith(b"HTTP/1.1 403 ")
    client = scene.door.open(
        f"CONNECT site.test:{scene.port} HTTP/1.0\r\nHost: evil.test\r\n\r\n".encode()
    )
    assert client.recv(100) == GREETING


def test_a_slow_request(scene: Scene) -> None:
    """Who does not end its request in time is sent away."""
    client = scene.door.open(b"CONNECT site")
    assert client.recv(100).startswith(b"HTTP/1.1 400 the request takes too long\r\n")


def test_a_client_that_says_nothing_is_nobody(scene: Scene) -> None:
    """Opening and closing a connection asks for no host."""
    scene.door.open(b"").close()
    assert scene.door.status(f"site.test:{scene.port}") == 200
    assert len(scene.proxy.contacts()) == 1


def test_nobody_is_connected_to_without_need(scene: Scene) -> None:
    """The host sees no connection of a request that is refused."""
    for asked in ("evil.test:443", f"127.1:{scene.port}"):
        assert scene.door.status(asked) == 403
    assert scene.door.answer(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert scene.host.visitors == 0


def test_refused_hosts_do_not_hide_an_allowed_one(scene: Scene) -> None:
    """Of refused hosts the first 100 are told by name; allowed ones always are."""
    for number in range(103):
        scene.door.status(f"evil{number}.test:443")
    assert scene.door.status(f"site.test:{scene.port}") == 200
    allowed, *refused = scene.proxy.contacts()
    assert (allowed.host, allowed.allowed) == (f"site.test:{scene.port}", True)
    assert len(refused) == 101
    assert [contact.connections for contact in refused if contact.host == "others"] == [3]
    assert sum(contact.connections for contact in refused) == 103


def test_a_long_name_is_cut_in_the_record(scene: Scene) -> None:
    """The record keeps the beginning of what was asked."""
    assert scene.door.status("x" * 3000 + ":443") == 403
    assert [len(contact.host) for contact in scene.proxy.contacts()] == [260]


def test_a_text_that_is_no_host() -> None:
    """A step that names something else than hosts cannot run."""
    with pytest.raises(StepFailed, match="which is no host"):
        Proxy(["pypi.org", "*.pypi.org"])


def test_E04_half_a_secret_is_in_no_contact() -> None:
    """A name is cut only after known values were taken out of it."""
    contacts = Contacts(hide=["hunter2-hunter2-hunter2"])
    contacts.refuse("a" * 245 + "hunter2-hunter2-hunter2", "no")
    (told,) = contacts.told()
    assert "hunter2" not in told.host
    assert len(told.host) <= 260
