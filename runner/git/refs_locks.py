"""Refs moved in process, by git's own protocol: `<ref>.lock` is made, filled and renamed.

A lock is a second name of a file in a folder of ours, which its owner keeps locked while it
lives: so what a killed process left behind is told from what is in use, and removed.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from runner.core.errors import BranchBusy, FileAccessError
from runner.git import durable, refs_files
from runner.git.refs_files import NotPlain

LOCKS = "planlock/locks"
MOST_NAME = 200
# Between tries, in seconds; another's lock is held for as long as one file takes to write.
WAITS = tuple(0.001 * 2**count for count in range(10))
NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
ZERO = "0" * 40


@dataclass(frozen=True, kw_only=True)
class Move:
    """One ref's move; `old` None means that it must not exist yet."""

    ref: str
    old: str | None
    new: str


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A ref's lock at `path`; `place` is the ref's file, `own` the lock's other name, open."""

    move: Move
    place: Path
    path: Path
    own: Path
    descriptor: int


def _lock_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


class Transaction:
    """Refs that are locked and where they were expected; left without `commit`, none moves.

    Entering raises BranchBusy, FileAccessError, or NotPlain where git has to be asked.
    """

    def __init__(self, git_dir: Path, moves: Sequence[Move], *, mending: bool = False) -> None:
        self.git_dir = git_dir
        self.common = refs_files.common_dir(git_dir)
        self.moves = moves
        self._mending = mending
        self._locks: list[Lock] = []

    def __enter__(self) -> Self:
        refs_files.check_backend(self.common)
        try:
            for move in self.moves:
                self._locks.append(self._lock(move))
                self._verify(move)
        except OSError as error:
            self._release()
            raise self._trouble(error) from error
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _lock(self, move: Move) -> Lock:
        refs_files.check_name(move.ref)
        own, descriptor = _own_file(self.common, move)
        place = self.common / move.ref
        lock = Lock(move=move, place=place, path=_lock_path(place), own=own, descriptor=descriptor)
        try:
            self._link(lock)
        except BaseException:
            os.close(descriptor)
            durable.unlink(own)
            raise
        return lock

    def _link(self, lock: Lock) -> None:
        for wait in WAITS:
            try:
                durable.link(lock.own, lock.path)
            except FileExistsError:
                remove_dead_locks(self.common)
                time.sleep(wait)
            except FileNotFoundError:  # made for the first time, or removed by git when empty
                durable.make_folder(lock.place.parent)
            else:
                return
        names = ", ".join(each.ref for each in self.moves)
        raise BranchBusy(f"moving {names}: another process holds the lock", hint="try again")

    def _verify(self, move: Move) -> None:
        """Raise BranchBusy where a ref is elsewhere; what is broken may be mended."""
        if self._mending and refs_files.is_broken(self.common, move.ref):
            return
        now = refs_files.value(self.common, move.ref)
        if now != move.old:
            names = ", ".join(each.ref for each in self.moves)
            raise BranchBusy(f"moving {names}: another process moved it first", hint="try again")
        if now is None and (
            (self.common / move.ref).is_dir() or refs_files.conflicts(self.common, move.ref)
        ):
            raise NotPlain

    def commit(self, *, reason: str, sync: bool) -> None:
        """Move all; with `sync` they are on the disk before this returns."""
        head = _head(self.git_dir)
        try:
            for lock in self._locks:
                if sync:
                    durable.sync(lock.descriptor, lock.own)
                self._log(lock, reason, head=head)
            while self._locks:
                self._rename(self._locks[0], sync=sync)
        except OSError as error:
            raise self._not_written(error) from error

    def _rename(self, lock: Lock, *, sync: bool) -> None:
        # To replace a file by `rename` costs a wait for the disk.
        if lock.move.old is not None and durable.exchange(lock.path, lock.place):
            durable.unlink(lock.path)
        else:
            durable.rename(lock.path, lock.place)
        del self._locks[0]
        _let_go(lock)
        if sync:
            durable.sync_path(lock.place.parent)

    def _log(self, lock: Lock, reason: str, *, head: str) -> None:
        """Add a line to the logs that there are; none is made, a run's branch is its own."""
        logs = [f"{self.common}/logs/{lock.move.ref}"]
        if head == lock.move.ref:
            logs.append(f"{self.git_dir}/logs/HEAD")
        when = int(os.fstat(lock.descriptor).st_mtime)
        change = f"{lock.move.old or ZERO} {lock.move.new}"
        line = f"{change} planlock <planlock> {when} +0000\tplanlock: {' '.join(reason.split())}\n"
        for log in logs:
            with suppress(FileNotFoundError, NotADirectoryError):
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                try:
                    durable.append(descriptor, line.encode(), Path(log))
                finally:
                    os.close(descriptor)

    def _release(self) -> None:
        while self._locks:
            lock = self._locks.pop()
            with suppress(OSError):  # whoever meets it next removes it
                durable.unlink(lock.path)
            _let_go(lock)

    def _trouble(self, error: OSError) -> Exception:
        return self._not_written(error) if error.errno in NOT_WRITABLE else NotPlain(str(error))

    def _not_written(self, error: OSError) -> FileAccessError:
        names = ", ".join(each.ref for each in self.moves)
        return FileAccessError.of(f"moving {names}", error, self.git_dir)


def _let_go(lock: Lock) -> None:
    with suppress(OSError):
        durable.unlink(lock.own)
    os.close(lock.descriptor)


def _head(git_dir: Path) -> str:
    with suppress(OSError):
        return (
            (git_dir / "HEAD").read_bytes().removeprefix(b"ref:").strip().decode("utf-8", "replace")
        )
    return ""


def _own_file(common: Path, move: Move) -> tuple[Path, int]:
    name = f"{move.old or ZERO}.{quote(move.ref, safe='')}"
    if len(name) > MOST_NAME:
        raise NotPlain
    folder = common / LOCKS
    for count in itertools.count():
        own = folder / f"{os.getpid()}.{count}.{name}"
        with suppress(FileExistsError):
            descriptor = _make(own)
            if _fill(own, descriptor, move):
                break
    return own, descriptor


def _make(own: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(own, flags, 0o666)
    except FileNotFoundError:
        own.parent.mkdir(parents=True, exist_ok=True)
        return os.open(own, flags, 0o666)


def _fill(own: Path, descriptor: int, move: Move) -> bool:
    """Write what the ref shall hold; False where the file was taken for a dead process's."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        durable.append(descriptor, f"{move.new}\n".encode(), own)
        kept = os.fstat(descriptor).st_nlink > 0
    except BaseException:
        durable.unlink(own)
        os.close(descriptor)
        raise
    if not kept:
        os.close(descriptor)
    return kept


def remove_dead_locks(common: Path) -> None:
    """Remove the locks that killed processes have left; raises no error where it may not."""
    with suppress(OSError):
        for own in list((common / LOCKS).iterdir()):
            with suppress(OSError):
                _remove_dead(own)


def _remove_dead(own: Path) -> None:
    descriptor = os.open(own, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _has_lock(own):
            durable.unlink(_lock_path(_place(own)))
        durable.unlink(own)
    finally:
        os.close(descriptor)


def _place(own: Path) -> Path:
    return own.parents[2] / unquote(own.name.split(".", 3)[3])


def _has_lock(own: Path) -> bool:
    """Whether the ref's lock is the file itself, or was exchanged for it and holds the old value.

    Told by what they hold: a copy of a repository may have made two files of one.
    """
    place, new = _place(own), own.read_bytes()
    if len(new) != len(ZERO) + 1:
        return False
    with suppress(FileNotFoundError):
        lock = _lock_path(place).read_bytes()
        old = own.name.split(".", 3)[2].encode()
        return lock == new or (place.read_bytes() == new and lock == old + b"\n")
    return False
