"""Whom a command asked the proxy for, summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.core.hosts import Host
from runner.core.record import Contact
from runner.core.redaction import redact
from runner.core.text import visible

MAX_REFUSED = 100
MAX_HOST = 260
_OTHERS = "others"


@dataclass
class Count:
    """One line of the sum, counted up while connections last."""

    connections: int = 0
    sent: int = 0
    received: int = 0


class Contacts:
    """Allowed hosts are few, since declared, and always told; of refused ones the first 100.

    Else a command could hide whom it reached behind many whom it did not.
    """

    def __init__(self, hide: Sequence[str] = ()) -> None:
        self._hide = tuple(hide)
        self._allowed: dict[tuple[str, str], Count] = {}
        self._refused: dict[tuple[str, str], Count] = {}

    def allow(self, host: Host, reason: str = "") -> Count:
        """Count one connection; a reason tells why it was not made although it may be."""
        return _counted(self._allowed, (str(host), reason))

    def refuse(self, asked: str, reason: str) -> None:
        # before it is cut: half a secret would not be known
        key = (visible(redact(asked, self._hide).text)[:MAX_HOST], reason)
        if len(self._refused) >= MAX_REFUSED and key not in self._refused:
            key = (_OTHERS, "too many to list")
        _counted(self._refused, key)

    def told(self) -> tuple[Contact, ...]:
        return (*_contacts(self._allowed, allowed=True), *_contacts(self._refused, allowed=False))


def _counted(counts: dict[tuple[str, str], Count], key: tuple[str, str]) -> Count:
    count = counts.setdefault(key, Count())
    count.connections += 1
    return count


def _contacts(counts: dict[tuple[str, str], Count], *, allowed: bool) -> list[Contact]:
    return [
        Contact(
            host=host,
            allowed=allowed,
            reason=reason,
            connections=count.connections,
            sent=count.sent,
            received=count.received,
        )
        for (host, reason), count in sorted(counts.items())
    ]
