"""Redact a stream of output while it comes, the same however it is cut into chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.redaction_keys import Keys
from runner.core.redaction_known import Known
from runner.core.redaction_shapes import redact_shapes

LONGEST_LINE = 1 << 14
_AT_ONCE = 1 << 16


class Redactor:
    """Known values are found wherever a chunk ends; well-known shapes within a line.

    A line beyond `LONGEST_LINE` is worked off in pieces, so that memory stays bounded.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._known = Known(values)
        self._lines = Lines()
        self._keys = Keys()

    def feed(self, chunk: bytes) -> bytes:
        parts = (chunk[at : at + _AT_ONCE] for at in range(0, len(chunk), _AT_ONCE))
        return b"".join(self._shaped(self._known.feed(part)) for part in parts)

    def finish(self) -> bytes:
        """The rest, after which nothing may be fed."""
        rest = self._known.finish()
        last = [*self._lines.feed(rest), *self._lines.finish()]
        done = [text for piece in last for text in self._keys.feed(_text(piece))]
        return b"".join(map(_redacted, [*done, *self._keys.finish()]))

    def _shaped(self, data: bytes) -> bytes:
        done = (text for piece in self._lines.feed(data) for text in self._keys.feed(_text(piece)))
        return b"".join(map(_redacted, done))


class Lines:
    """Cuts a stream into runs of whole lines, and a long line into pieces."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        text = self._held + data
        start = place = 0
        while len(text) - place >= LONGEST_LINE:
            end = text.rfind(b"\n", place, place + LONGEST_LINE) + 1
            if end:
                place = end
                continue
            yield from _unless_empty(text[start:place])
            start = place + _piece(text[place : place + LONGEST_LINE])
            yield text[place:start]
            place = start
        place = max(place, text.rfind(b"\n", place) + 1)
        self._held = text[place:]
        yield from _unless_empty(text[start:place])

    def finish(self) -> Iterator[bytes]:
        yield from _unless_empty(self._held)
        self._held = b""


def _unless_empty(data: bytes) -> Iterator[bytes]:
    if data:
        yield data


def _piece(window: bytes) -> int:
    """Where to cut: after a blank, else after another sign that no token holds, else hard."""
    for signs in (b" \t\r", b"\"'<>,;|(){}[]"):
        if place := max(window.rfind(bytes([sign])) for sign in signs) + 1:
            return place
    return len(window)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _redacted(text: str) -> bytes:
    return redact_shapes(text).text.encode("utf-8", "surrogateescape")
