"""Checkouts of whole trees that all runs share: made once, read by commands, never changed.

What stands under its final name is whole: it was written elsewhere and renamed. To sync so many
files would take longer than to write them, so none outlives the machine's next start. A lock beside
a checkout is held by whoever makes it, uses it or takes it away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from runner.core.errors import FileAccessError, GitError
from runner.git import durable, leftovers, tree_difference
from runner.git.machine import this_boot
from runner.git.objects import ObjectStore
from runner.git.placing import Placer

# A smaller tree is written as fast as a mount is made.
FEW = 500
TREES, SCRATCH = "trees-", "scratch"
# A tree that differs in more paths than these gets a checkout of its own.
MOST_APART = 500
_LOOKED_AT = 8
_MAKING = ".making"
_NAME = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Unused:
    """A checkout, or what a killed process left: its size on the disk, and its last use."""

    path: Path
    size: int
    last_used: float


class Checkout:
    """The files of a tree, which nobody takes away before this is released."""

    def __init__(self, tree: str, files: Path, lock: int) -> None:
        self.tree = tree
        self.files = files
        self.release = weakref.finalize(self, os.close, lock)


class Scratch:
    """A folder of one process's own, gone when it is released."""

    def __init__(self, folder: Path) -> None:
        self.folder, lock = _new_scratch(folder)
        self.release = weakref.finalize(self, _remove_scratch, self.folder, lock)


def _new_scratch(within: Path) -> tuple[Path, int]:
    """Make a folder and lock it; `remove` may be faster, and then it is made again."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=within))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)


def _remove_scratch(folder: Path, lock: int) -> None:
    with suppress(OSError):
        leftovers.remove(folder)
    os.close(lock)


class SharedCheckouts:
    """Those in a folder, for trees of more than a `few` files; raises FileAccessError."""

    def __init__(self, folder: Path, store: ObjectStore, *, few: int = FEW) -> None:
        self.few = few
        self.folder = folder
        self.trees = folder / f"{TREES}{this_boot()}"
        self._store = store

    def scratch(self) -> Scratch:
        with _explained("making a folder for commands"):
            return Scratch(self._made(SCRATCH))

    def near(self, tree: str) -> Checkout:
        """The checkout that differs least, or a new one where all differ in many paths."""
        with _explained("making a shared checkout"):
            self._begin()
            apart = {name: self._apart(name, tree) for name in self._latest()}
            best = min(apart, key=apart.__getitem__, default=tree)
            return self._hold(best if apart.get(best, 0) <= MOST_APART else tree, tree)

    def _begin(self) -> None:
        """Have the folder of this start of the machine, and let go of what is older."""
        if self.trees.is_dir():
            return
        self._made(self.trees.name)
        for older in self.folder.glob(f"{TREES}*"):
            if older != self.trees:
                for each in _unused(older):
                    remove(each)
                with suppress(OSError):
                    older.rmdir()

    def _made(self, name: str) -> Path:
        """A folder of ours, with files that may be nobody else's business."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self.folder / name
        place.mkdir(exist_ok=True)
        return place

    def _latest(self) -> list[str]:
        with os.scandir(self.trees) as items:
            names = [each.name for each in items if _NAME.fullmatch(each.name)]
        return sorted(names, key=self._last_used, reverse=True)[:_LOOKED_AT]

    def _last_used(self, name: str) -> float:
        return _last_used(self.trees / name)

    def _apart(self, name: str, tree: str) -> int:
        try:
            paths = tree_difference.paths(self._store, name, tree)
            return sum(1 for _ in islice(paths, MOST_APART + 1))
        except GitError:  # its objects were collected as garbage
            return MOST_APART + 1

    def _hold(self, name: str, tree: str) -> Checkout:
        files = self.trees / name
        while True:
            lock = _locked(files, fcntl.LOCK_SH)
            if files.is_dir():
                os.utime(_lock_of(files))
                return Checkout(name, files, lock)
            os.close(lock)
            files = files.with_name(tree)
            name = tree
            self._make(files)

    def _make(self, files: Path) -> None:
        lock = _locked(files, fcntl.LOCK_EX)
        try:
            if not files.is_dir():
                self._write(files)
        finally:
            os.close(lock)

    def _write(self, files: Path) -> None:
        making = files.with_name(files.name + _MAKING)
        leftovers.take_away(making)
        making.mkdir()
        try:
            with Placer(making, self._store) as placer:
                for _ in placer.place(self._store.walk(files.name)):
                    pass
            durable.rename(making, files)
        finally:
            leftovers.take_away(making)


def of(state: Path, store: ObjectStore) -> SharedCheckouts:
    """Those of a repository."""
    return SharedCheckouts(state / "checkouts", store)


def unused(folder: Path) -> Iterator[Unused]:
    """What no process uses now, whole or not."""
    for place in (*sorted(folder.glob(f"{TREES}*")), folder / SCRATCH):
        for path in _unused(place):
            yield Unused(path=path, size=_size(path), last_used=_last_used(path))


def _unused(place: Path) -> list[Path]:
    return [path for path in sorted(place.glob("*")) if path.is_dir() and _is_free(path)]


def remove(path: Path) -> bool:
    """Take away what `unused` named; False where somebody uses it by now."""
    with _explained(f"removing {path}"):
        lock = _try_lock(path)
        if lock is None:
            return False
        try:
            _take_away(path)
            return True
        finally:
            os.close(lock)


def _take_away(path: Path) -> None:
    if path.parent.name == SCRATCH:
        leftovers.take_away(path)
        return
    # Half of it must never stand under its name.
    going = path.with_name(path.name.removesuffix(_MAKING) + _MAKING)
    if path != going:
        leftovers.take_away(going)
        path.rename(going)
    leftovers.take_away(going)
    _lock_of(path).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix(_MAKING)}.lock")


def _locked(files: Path, kind: int) -> int:
    """Wait for the lock; a file that was taken away meanwhile is made anew."""
    while True:
        lock = os.open(_lock_of(files), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, kind)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), _lock_of(files).stat()):
                return lock
        os.close(lock)


def _try_lock(path: Path) -> int | None:
    """Lock it where nobody else does: a scratch folder itself, a checkout by the file beside it."""
    if path.parent.name == SCRATCH:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno == errno.EWOULDBLOCK:
            return None
        raise
    return lock


def _is_free(path: Path) -> bool:
    with _explained(f"looking at {path}"):
        lock = _try_lock(path)
    if lock is None:
        return False
    os.close(lock)
    return True


def _last_used(path: Path) -> float:
    for each in (_lock_of(path), path):
        with suppress(OSError):
            return each.stat().st_mtime
    return 0


def _size(folder: Path) -> int:
    return sum(
        Path(place, name).lstat().st_blocks * 512
        for place, _, files in os.walk(folder)
        for name in files
    )


@contextmanager
def _explained(activity: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileAccessError(f"{activity}: {error.strerror}") from error
