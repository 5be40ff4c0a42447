"""How SSH writes values down (RFC 4251 section 5), read strictly: one form for each value."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass


@dataclass
class Reader:
    """Reads bytes from the front; each method raises ValueError where they are not that."""

    data: bytes
    what: str
    position: int = 0

    @property
    def more(self) -> bool:
        return self.position < len(self.data)

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise ValueError(f"{self.what} is cut off")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(self.number(4))

    def strings(self, count: int) -> list[bytes]:
        return [self.string() for _ in range(count)]

    def text(self, name: str) -> str:
        return text(self.string(), name)

    def end(self) -> None:
        """Raise ValueError where something follows."""
        if self.more:
            left = len(self.data) - self.position
            raise ValueError(f"{self.what} has {left} trailing bytes")


def packed(*strings: bytes) -> bytes:
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def positive(data: bytes, name: str) -> int:
    """Read the content of an mpint; zero, negative and padded numbers raise ValueError."""
    if not data or data[0] & 0x80:
        raise ValueError(f"{name} is not a positive number")
    if data[0] == 0 and not data[1:2] > b"\x7f":
        raise ValueError(f"{name} has superfluous leading zeros")
    return int.from_bytes(data, "big")


def text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8") from None


def decoded(data: bytes, what: str) -> bytes:
    """Undo base64."""
    try:
        plain = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ValueError(f"{what} is not base64") from None
    # two texts for one key or signature would let a reader and a record disagree
    if base64.b64encode(plain) != data:
        raise ValueError(f"{what} is not canonical base64")
    return plain
