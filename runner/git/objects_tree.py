"""A tree object's bytes in pieces, one an entry, so that one change does not cost all of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Self


class Pieces:
    """The bytes of each entry, in the order of their keys."""

    def __init__(self, pieces: Iterable[tuple[bytes, bytes]] = ()) -> None:
        ordered = sorted(pieces)
        self._keys = [key for key, _ in ordered]
        self._pieces = [piece for _, piece in ordered]

    def copy(self) -> Self:
        other = type(self)()
        other._keys, other._pieces = self._keys.copy(), self._pieces.copy()  # noqa: SLF001  # its own
        return other

    def put(self, key: bytes, piece: bytes) -> None:
        """Add an entry that is not there."""
        place = bisect_left(self._keys, key)
        self._keys.insert(place, key)
        self._pieces.insert(place, piece)

    def drop(self, key: bytes) -> None:
        """Remove an entry that is there."""
        place = bisect_left(self._keys, key)
        del self._keys[place], self._pieces[place]

    def rendered(self) -> bytes:
        return b"".join(self._pieces)
