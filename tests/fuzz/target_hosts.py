"""Hosts as they are declared and asked for, against the standard library's view of addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from runner.core import hosts
from runner.core.errors import StepFailed
from tests.fuzz.pieces import clean_text_of

MAX_LENGTH = 64
TOKENS = (
    *(
        b"pypi.org",
        b":443",
        b":8443",
        b":",
        b".",
        b"@",
        b"/",
        b"*",
        b"-",
        b"xn--",
        b"%",
        b"[",
        b"]",
    ),
    *(b"127.1", b"0x7f", b"2130706433", b"10.0.0.5", b"169.254.169.254", b"::ffff:127.0.0.1"),
    *(b"\x04\x7f\0\0\x01", b"\x04\xa9\xfe\xa9\xfe", b"\x06\x20\x02", b"\x06\x20\x01\0\0", b"\0"),
    *(b"\xe2\x84\xaa", b"\xc4\xb0", b"\xef\xbc\x8e", b"\xe3\x80\x82", b"A", b"1"),
)
_HOST = re.compile(r"[a-z0-9.-]{1,253}")
_DECLARED = tuple(map(hosts.declared, ("pypi.org", "files.pythonhosted.org:8443", "10.0.0.5:80")))


def check(data: bytes, *, public: Callable[[str], bool] = hosts.public) -> None:
    """Bytes after 4 or 6 are an address, all others a host as it is declared and asked for."""
    if data[:1] == b"\x04":
        _check_address(ipaddress.IPv4Address(data[1:5].ljust(4, b"\0")), public)
    elif data[:1] == b"\x06":
        _check_address(ipaddress.IPv6Address(data[1:17].ljust(16, b"\0")), public)
    else:
        _check_host(clean_text_of(data))


def _check_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, public: Callable[[str], bool]
) -> None:
    if not public(str(address)):
        assert hosts.refusal((), str(address), 443)
        return
    assert address.is_global
    assert not address.is_multicast
    assert not address.is_link_local
    if isinstance(address, ipaddress.IPv6Address):
        hidden = (address.ipv4_mapped, address.sixtofour, address.teredo)
        assert hidden == (None, None, None), "an IPv4 address hides in it"


def _check_host(text: str) -> None:
    found = hosts.allowed(_DECLARED, text)
    assert found is None or (text.isascii() and text.lower() == str(found))
    try:
        host = hosts.declared(text)
    except StepFailed:
        return
    assert _HOST.fullmatch(host.name)
    assert 0 < host.port < 65536
    assert str(host) in {text, f"{text}:443"}
    assert hosts.declared(str(host)) == host
    assert hosts.allowed([host], str(host)) == host
    last = host.name.rpartition(".")[2]
    assert host.is_address or not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last), "a number in disguise"
