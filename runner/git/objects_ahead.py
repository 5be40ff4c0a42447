"""Objects of a long history: many are asked for before the first answer is read."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from runner.core.errors import GitError
from runner.git.objects import ObjectStore
from runner.git.objects_kept import Found, Recent
from runner.git.objects_reader import Reader

# So many ids fit into any pipe, however little it holds: git is never waited for while it waits.
ASKED_AT_ONCE = 60
MOST_NAMES, MOST_BYTES = 20_000, 16 << 20


class AheadStore(ObjectStore):
    """Keeps what was read ahead until that is dropped, and of trees the last few alone."""

    def __init__(self, git_dir: Path, objects: Path) -> None:
        super().__init__(git_dir, objects)
        self._reader = self._ahead = _AheadReader(git_dir)
        self._trees = Recent(MOST_NAMES)

    def read_ahead(self, oids: Iterable[str]) -> None:
        """Read objects together; what is wrong with one is told when it is looked up."""
        self._ahead.keep(oids)

    def drop(self) -> None:
        """Forget what was read ahead."""
        self._ahead.drop()


class _AheadReader(Reader):
    def __init__(self, git_dir: Path) -> None:
        super().__init__(git_dir)
        self._kept: dict[str, Found] = {}
        self._size = 0

    def look_up(self, name: str) -> Found | None:
        return self._kept.get(name) or super().look_up(name)

    def drop(self) -> None:
        self._kept.clear()
        self._size = 0

    def keep(self, oids: Iterable[str]) -> None:
        """Keep what is sound; no more than so many bytes, beyond which it is read when needed."""
        wanted = iter([oid for oid in dict.fromkeys(oids) if oid not in self._kept])
        while self._size < MOST_BYTES and (names := list(islice(wanted, ASKED_AT_ONCE))):
            with suppress(GitError):
                for found in filter(None, self.look_up_all(names)):
                    self._kept[found[0]] = found
                    self._size += len(found[2])
