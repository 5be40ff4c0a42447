"""Objects in memory: those that wait to be written together, and the last that were used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")
Found = tuple[str, str, bytes]

MOST_COLLECTED = 16 << 20
# How many ids of written objects are remembered; what is written again does no harm.
MOST_WRITTEN = 50_000


class Recent(Generic[Name, Value]):
    """The values that were used last, up to a sum of sizes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sum = 0
        self._values: OrderedDict[Name, tuple[Value, int]] = OrderedDict()

    def get(self, name: Name) -> Value | None:
        found = self._values.get(name)
        if found is None:
            return None
        self._values.move_to_end(name)
        return found[0]

    def put(self, name: Name, value: Value, size: int) -> None:
        """Keep a value, if it is not too large; what was not used for longest goes."""
        if name in self._values or size * 4 > self._most:
            return
        self._values[name] = value, size
        self._sum += size
        while self._sum > self._most:
            self._sum -= self._values.popitem(last=False)[1][1]


class Collected:
    """Objects that wait for a pack, each once; `spill` is called when they become too much."""

    def __init__(self, spill: Callable[[], None]) -> None:
        self._spill = spill
        self._size = 0
        self._waiting: dict[str, Found] = {}
        self._written: set[str] = set()

    def add(self, oid: str, kind: str, content: bytes) -> None:
        if oid in self._waiting or oid in self._written:
            return
        self._waiting[oid] = oid, kind, content
        self._size += len(content)
        if self._size > MOST_COLLECTED:
            self._spill()

    def get(self, oid: str) -> Found | None:
        return self._waiting.get(oid)

    def waiting(self) -> list[Found]:
        return list(self._waiting.values())

    def done(self) -> list[Found]:
        """Take those that waited as written, and give them."""
        found = self.waiting()
        if len(self._written) > MOST_WRITTEN:
            self._written.clear()
        self._written.update(self._waiting)
        self._waiting, self._size = {}, 0
        return found
