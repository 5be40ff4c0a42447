"""Which hosts a command may reach: how they are declared, asked for, and where they may lie."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from runner.core.errors import StepFailed

DEFAULT_PORT = 443
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
# Resolvers read such a last label as part of an address: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# IANA's registries of special addresses; the standard library's view of them changes with its
# version. The last is where Azure's machines find their metadata.
_SPECIAL_V4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
# An IPv4 address can hide in Teredo's and 6to4's parts of it.
_SPECIAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# Where clouds hand out credentials, and what is no single machine's address.
_NEVER = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"),
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    )
)

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host as a step names it: a DNS name in lower case, or an IPv4 address, and a port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def is_address(self) -> bool:
        return _address(self.name) is not None


def spelled_out(text: str) -> str:
    """A declared host with its port, as written otherwise."""
    return text if ":" in text else f"{text}:{DEFAULT_PORT}"


def declared(text: str) -> Host:
    """Read `host` or `host:port`; raises StepFailed for what names no single host."""
    name, colon, port = text.partition(":")
    number = _port(port) if colon else DEFAULT_PORT
    if not _is_name(name) or not number:
        raise StepFailed(f"running a command: network names {text!r}, which is no host")
    return Host(name=name, port=number)


def trouble(text: str) -> tuple[str, str] | None:
    """Why no command can ever reach what is declared so, and what to write instead."""
    try:
        host = declared(text)
    except StepFailed:
        return _misspelt(text)
    if _is_never(_address(host.name)):
        return "is never connected to", "name a host, or an address of one machine"
    return None


def _misspelt(text: str) -> tuple[str, str]:
    """What of a text keeps it from being a host; the first that is found."""
    name, _, port = text.partition(":")
    if "//" in text:
        rest = text.partition("//")[2].partition("/")[0].lower()
        return "is a URL: a host has no scheme and no path", _write(rest)
    if "*" in text:
        return "has a wildcard: no wildcards, each host is named in full", "write it like pypi.org"
    if text.isascii() and text != text.lower():
        return "has capitals: a host is in lower case", _write(text.lower())
    if name.endswith("."):
        return "ends with a dot", _write(text.replace(name, name.rstrip("."), 1))
    if _is_name(name) and not _port(port):
        return "has no port from 1 to 65535", _write(name)
    is_number = _NUMBER.fullmatch(name.rpartition(".")[2])
    what = "address of four decimal numbers" if is_number else "host"
    return f"is no {what}", f"write it like {'192.0.2.7' if is_number else 'pypi.org'}"


def _write(text: str) -> str:
    """Suggest a text, where it would do."""
    try:
        declared(text)
    except StepFailed:
        return "write it like pypi.org or pypi.org:443"
    return f"write {text}"


def _port(text: str) -> int:
    """The number of a port, 0 where it is none."""
    number = int(text) if _PORT.fullmatch(text) else 0
    return number if number < 1 << 16 else 0


def allowed(hosts: Collection[Host], asked: str) -> Host | None:
    """Find the declared host that `asked` (`host:port`) spells out in full, case aside.

    Nothing is parsed, so no two parsers can read it differently.
    """
    # Some letters beyond ASCII become ASCII ones in lower case.
    spelled = asked.lower() if asked.isascii() else ""
    return next((host for host in hosts if str(host) == spelled), None)


def public(address: str) -> bool:
    """Whether everybody on the internet means the same machine by this address."""
    found = _address(address)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _SPECIAL_V4)
    if found is None or found.scope_id or found not in _PUBLIC_V6:
        return False
    return not any(found in network for network in _SPECIAL_V6)


def refusal(hosts: Collection[Host], address: str, port: int) -> str:
    """Why a declared host may not be connected to at this address; empty if it may."""
    if public(address):
        return ""
    found = _address(address)
    if not isinstance(found, IPv4Address) or _is_never(found):
        return f"lies at {address}, which is never connected to"
    if Host(name=str(found), port=port) in hosts:
        return ""
    return f"lies at {address}, which is not public: the step has to name {address}:{port} too"


def _is_never(address: _Address | None) -> bool:
    return isinstance(address, IPv4Address) and any(address in network for network in _NEVER)


def _is_name(name: str) -> bool:
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not _NUMBER.fullmatch(labels[-1]) or _address(name) is not None


def _address(text: str) -> _Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
