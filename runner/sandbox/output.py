"""What a command says: without its secrets, both ends kept, with its digest, and passed on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from runner.core.redaction_stream import Redactor
from runner.sandbox.contract import Command

_MARK_BYTES = 64


class Stream:
    """Redacts a command's output before anything keeps it or sees it."""

    def __init__(self, command: Command, on_output: Callable[[bytes], None]) -> None:
        self.capture = Capture(command.limits.output_bytes)
        self._redactor = Redactor([*command.secrets.values(), *command.hide])
        self._on_output = on_output

    def feed(self, chunk: bytes) -> None:
        self._pass(self._redactor.feed(chunk))

    def finish(self) -> None:
        """Pass on what was held back; nothing is fed after that."""
        self._pass(self._redactor.finish())

    def _pass(self, chunk: bytes) -> None:
        if chunk:
            self.capture.feed(chunk)
            self._on_output(chunk)


class Capture:
    """Keeps the beginning and the end of a stream of any length, with its digest.

    Memory stays near three times the limit, however much is fed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        spared = _MARK_BYTES if limit >= 4 * _MARK_BYTES else 0
        self._tail_size = (limit - spared) // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._sha256 = hashlib.sha256()
        self.length = 0

    def feed(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        self.length += len(chunk)
        room = self._limit - len(self._head)
        self._head += chunk[:room]
        rest = chunk[room:]
        self._tail += rest
        if len(self._tail) > 2 * self._limit:
            del self._tail[: len(self._tail) - self._limit]

    @property
    def truncated(self) -> bool:
        return self.length > self._limit

    @property
    def sha256(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    def content(self) -> bytes:
        """All of the stream, or its head and tail with a line between that counts the gap."""
        if not self.truncated:
            return bytes(self._head)
        head, tail = self._ends()
        return head + self._mark(self.length - len(head) - len(tail)) + tail

    def _ends(self) -> tuple[bytes, bytes]:
        size = self._tail_size
        # The tail may be shorter than its share: then the head's own end supplies the rest.
        joined = bytes(self._head + self._tail)
        return joined[:size], joined[len(joined) - size :]

    def _mark(self, gap: int) -> bytes:
        if self._limit < 4 * _MARK_BYTES:
            return b""
        return f"\n[{gap} bytes left out]\n".encode()
