"""Files of a tree written into a folder, exactly as their blobs are: no filter, no conversion."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Self

from runner.git.changed import Known, Stamp, check_name
from runner.git.objects import EXECUTABLE, LINK, SUBMODULE, Entry, ObjectStore

# So many contents are in memory at once.
_AT_ONCE = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Placer:
    """Writes entries below a folder, fastest where those of one folder follow each other."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        self._root = root
        self._store = store
        self._folder: str | None = None
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._folder, self._descriptor = None, -1

    def place(self, entries: Iterable[tuple[str, Entry]]) -> Iterator[tuple[str, Known | None]]:
        """Write each and say how it looks, None for the empty folder of a submodule.

        Raises OSError, also where something is there already.
        """
        rest = iter(entries)
        while some := list(islice(rest, _AT_ONCE)):
            contents = self._store.blobs([each.oid for _, each in some if each.mode != SUBMODULE])
            for path, entry in some:
                check_name(path)
                content = b"" if entry.mode == SUBMODULE else next(contents)
                yield path, self._one(path, entry, content)

    def _one(self, path: str, entry: Entry, content: bytes) -> Known | None:
        folder, _, name = path.rpartition("/")
        if folder != self._folder:
            self._enter(folder)
        if entry.mode == SUBMODULE:
            os.mkdir(name, dir_fd=self._descriptor)
            return None
        if entry.mode == LINK:
            os.symlink(os.fsdecode(content), name, dir_fd=self._descriptor)
            status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        else:
            status = self._write(name, content, 0o755 if entry.mode == EXECUTABLE else 0o644)
        return Known(entry=entry, stamp=Stamp.seen(status))

    def _enter(self, folder: str) -> None:
        place = self._root / folder
        self.__exit__()
        try:
            self._descriptor = os.open(place, _FOLDER)
        except FileNotFoundError:
            place.mkdir(parents=True)
            self._descriptor = os.open(place, _FOLDER)
        self._folder = folder

    def _write(self, name: str, content: bytes, mode: int) -> os.stat_result:
        descriptor = os.open(name, _NEW, mode, dir_fd=self._descriptor)
        try:
            _write_all(descriptor, content)
            status = os.fstat(descriptor)
            if stat.S_IMODE(status.st_mode) != mode:  # the umask took some of it away
                os.fchmod(descriptor, mode)
                status = os.fstat(descriptor)
            return status
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:] if written else content)
