"""Differences of many pairs of trees: level by level, so that whole levels are read together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.errors import GitError
from runner.git.graph import Change
from runner.git.objects import FOLDER, Entry
from runner.git.objects_ahead import AheadStore

# By the length of an id. Expressions find the entries of a tree in a tenth of the time.
ENTRIES = {each: re.compile(rb"[0-7]+ [^\0]+\0[\s\S]{%d}" % each) for each in (20, 32)}
NAMES = {each: re.compile(rb"[0-7]+ ([^\0]+)\0[\s\S]{%d}" % each) for each in (20, 32)}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two trees at `prefix`; None stands for one with nothing in it."""

    old: str | None
    new: str | None
    prefix: str = ""


@dataclass
class Compared:
    """What differs between two trees, or why that is not known."""

    changes: list[Change] = field(default_factory=list)
    error: GitError | None = None

    def told(self) -> list[Change]:
        """The changes; raises the error."""
        if self.error is not None:
            raise self.error
        return self.changes


Level = list[tuple[Compared, Pair]]


def between(store: AheadStore, pairs: Sequence[Pair], *, only: str = "") -> list[Compared]:
    """Compare pairs of trees, reading only folders that differ; of the top, perhaps one name."""
    found = [Compared() for _ in pairs]
    entries = _Entries(store)
    level: Level = list(zip(found, pairs, strict=True))
    while level:
        level = [each for each in level if each[1].old != each[1].new]
        store.read_ahead(oid for _, each in level for oid in (each.old, each.new) if oid)
        level, only = _next_level(level, entries, only.encode()), ""
    return found


def _next_level(level: Level, entries: _Entries, only: bytes) -> Level:
    below: Level = []
    for compared, pair in level:
        try:
            for name, sides in _sides(entries.of(pair.old), entries.of(pair.new)).items():
                if not only or name == only:
                    below += [(compared, each) for each in _settle(compared, pair, name, sides)]
        except GitError as error:
            compared.error = compared.error or error
    return below


def _sides(old: frozenset[bytes], new: frozenset[bytes]) -> dict[bytes, list[bytes]]:
    """What differs, by name: the entry before and the one after, empty where there is none."""
    sides: dict[bytes, list[bytes]] = {}
    for place, entries in enumerate((old - new, new - old)):
        for entry in entries:
            name = entry[entry.index(b" ") + 1 : entry.index(b"\0")]
            sides.setdefault(name, [b"", b""])[place] = entry
    return sides


def _settle(compared: Compared, pair: Pair, name: bytes, sides: list[bytes]) -> list[Pair]:
    """Note what changed by itself, and give the folders in which something did."""
    path = pair.prefix + name.decode("utf-8", "surrogateescape")
    old, new = (_entry(each, name) for each in sides)
    folders = [each.oid if each and each.mode == FOLDER else None for each in (old, new)]
    files = [None if each and each.mode == FOLDER else each for each in (old, new)]
    if any(files):
        compared.changes.append(Change(path=path, old=files[0], new=files[1]))
    return [Pair(old=folders[0], new=folders[1], prefix=f"{path}/")] if any(folders) else []


def _entry(entry: bytes, name: bytes) -> Entry | None:
    if not entry:
        return None
    mode = entry[: entry.index(b" ")]
    oid = entry[len(mode) + len(name) + 2 :]
    return Entry(mode=mode.decode(), oid=oid.hex())


class _Entries:
    """The entries of trees, as they are written there."""

    def __init__(self, store: AheadStore) -> None:
        self._store = store
        self._known: dict[str | None, frozenset[bytes]] = {None: frozenset()}

    def of(self, oid: str | None) -> frozenset[bytes]:
        """Raises GitError for what is missing or no tree, and where two entries have one name."""
        found = self._known.get(oid)
        if found is None and oid:
            found = self._known[oid] = self._read(oid)
        return found or frozenset()

    def _read(self, oid: str) -> frozenset[bytes]:
        _, kind, data = self._store.read(oid)
        if kind != "tree":
            raise GitError(f"reading object {oid}: a {kind}, not a tree")
        width = len(oid) // 2
        entries = ENTRIES[width].findall(data)
        if sum(map(len, entries)) != len(data):
            raise GitError(f"reading tree {oid}: malformed")
        if len(set(NAMES[width].findall(data))) != len(entries):
            raise GitError(f"reading tree {oid}: malformed: a name twice")
        return frozenset(entries)
