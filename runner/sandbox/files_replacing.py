"""Change one file as compare-and-swap: what comes out must be what was found, or goes back.

Where the file system lacks renameat2's flags, the look and the rename are two steps, and what
another process writes in between is lost. Nothing is synced: after a power cut the work tree is
made anew from what was recorded.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from runner.core.errors import StaleInput
from runner.sandbox.files_opened import Found, Target, check_unchanged, find, opened
from runner.sandbox.renames import FlagMissing, exchange, move_new

_ATTEMPTS = 100
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(
    target: Target, content: bytes, *, found: Found, mode: int, flagged: bool = True
) -> None:
    """Put content under the name; raises StaleInput where not what was found is there."""
    with _written(target, content, mode) as fresh:
        if found.digest is None:
            _appear(fresh, target, flagged=flagged)
        elif not flagged:
            _overwrite(fresh, target, found)
        else:
            ours = _identity(fresh)
            try:
                exchange(target.folder, fresh.name, target.name)
            except FlagMissing:
                _overwrite(fresh, target, found)
            except FileNotFoundError:
                check_unchanged(target.path, found, Found())
            else:
                _check_or(lambda: _undo(target, fresh, ours), fresh, found)


def remove(target: Target, *, found: Found, flagged: bool = True) -> None:
    """Take the name away; raises StaleInput where not what was found is there."""
    gone = Target(target.path, target.folder, _scratch_name())
    try:
        move_new(target.folder, target.name, gone.folder, gone.name, flagged=flagged)
    except FileNotFoundError:
        check_unchanged(target.path, found, Found())
    _check_or(lambda: _move_back(gone, target), gone, found)
    os.unlink(gone.name, dir_fd=gone.folder)


def move(source: Target, target: Target, *, found: Found, flagged: bool = True) -> None:
    """Give a file another name that is free; raises FileExistsError, or StaleInput."""
    try:
        move_new(source.folder, source.name, target.folder, target.name, flagged=flagged)
    except FileNotFoundError:
        check_unchanged(source.path, found, Found())
    arrived = Target(source.path, target.folder, target.name)
    _check_or(lambda: _move_back(arrived, source), arrived, found, single=True)
    _settle_mode(arrived, found.mode)


def _scratch_name() -> str:
    return f".planlock-{secrets.token_hex(8)}.tmp"


@contextmanager
def _written(target: Target, content: bytes, mode: int) -> Iterator[Target]:
    """A new file beside the target; removed at the end, whatever its name holds."""
    name = _scratch_name()
    descriptor = os.open(name, _CREATE, 0o600, dir_fd=target.folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
        yield Target(target.path, target.folder, name)
    finally:
        with suppress(OSError):
            os.unlink(name, dir_fd=target.folder)


def _appear(fresh: Target, target: Target, *, flagged: bool) -> None:
    try:
        move_new(fresh.folder, fresh.name, target.folder, target.name, flagged=flagged)
    except FileExistsError as error:
        reason = "expected absent, another process has just made it"
        raise StaleInput(f"{target.path}: {reason}") from error


def _overwrite(fresh: Target, target: Target, found: Found) -> None:
    check_unchanged(target.path, found, find(target))
    os.replace(fresh.name, target.name, src_dir_fd=fresh.folder, dst_dir_fd=target.folder)


def _check_or(
    undo: Callable[[], None], there: Target, found: Found, *, single: bool = False
) -> None:
    """Compare what is there now with what was found; anything but equality is undone."""
    try:
        check_unchanged(there.path, found, find(there, single=single))
    except BaseException:
        undo()
        raise


def _undo(target: Target, taken: Target, ours: tuple[int, int]) -> None:
    """Put back what an exchange took out; what somebody put in our file's place stays instead."""
    for _ in range(_ATTEMPTS):
        try:
            if _undone(target, taken, ours):
                return
        except FileNotFoundError:
            _move_back(taken, target)


def _undone(target: Target, taken: Target, ours: tuple[int, int]) -> bool:
    if _identity(target) != ours:
        return True
    exchange(target.folder, taken.name, target.name)
    if _identity(taken) == ours:
        return True
    exchange(target.folder, taken.name, target.name)
    return False


def _move_back(there: Target, target: Target) -> None:
    """Undo a rename, unless a newer file has the old name by now: that one stays."""
    with suppress(FileExistsError, FileNotFoundError):
        move_new(there.folder, there.name, target.folder, target.name)


def _identity(target: Target) -> tuple[int, int]:
    status = os.stat(target.name, dir_fd=target.folder, follow_symlinks=False)
    return status.st_dev, status.st_ino


def _settle_mode(target: Target, mode: int) -> None:
    with opened(target) as file:
        if stat.S_IMODE(os.fstat(file).st_mode) != mode:
            os.fchmod(file, mode)
