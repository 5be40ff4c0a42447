"""The acts on files that a power cut or a kill may come between, each through one name.

Whoever wants to stop, count or fail them puts another function in the place of `perform`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
# Of renameat2(2): paths count from the current folder; both names stay.
_HERE, _SWAP = -100, 2
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has no such call


def perform(_name: str, _place: Path, act: Callable[[], Result], /) -> Result:
    """Do one act; `_name` is the kind of act and `_place` what it changes."""
    return act()


def append(descriptor: int, data: bytes, place: Path) -> None:
    """Write all of the data at the end of an open file."""
    perform("append", place, lambda: _write_all(descriptor, data))


def sync(descriptor: int, place: Path) -> None:
    """Wait until the file's data are on the disk, with its length."""
    perform("sync", place, lambda: _fdatasync(descriptor))


def write_at(descriptor: int, data: bytes, offset: int, *, place: Path) -> None:
    """Write all of the data into an open file, over what is there."""

    def act() -> None:
        left, here = memoryview(data), offset
        while left:
            count = os.pwrite(descriptor, left, here)
            left, here = left[count:], here + count

    perform("write at", place, act)


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Make a read-only file, or make it anew."""
    perform("write durably" if durable else "write", path, lambda: _write(path, data, durable))


def _write(path: Path, data: bytes, durable: bool) -> None:  # noqa: FBT001  # told by keyword above
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o444)
    except FileExistsError:
        path.unlink()
        descriptor = os.open(path, flags, 0o444)
    try:
        _write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def rename(old: Path, new: Path) -> None:
    perform("rename", new, lambda: old.rename(new))


def link(old: Path, new: Path) -> None:
    """Give a file a second name; raises FileExistsError where that is taken."""
    perform("link", new, lambda: new.hardlink_to(old))


def exchange(one: Path, other: Path) -> bool:
    """Swap two files in one step; False where the system or its file system cannot."""
    return perform("exchange", other, lambda: _exchange(one, other))


def _exchange(one: Path, other: Path) -> bool:
    function = _renameat2()
    if function is None:
        return False
    return bool(function(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) == 0)


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def unlink(path: Path) -> None:
    """Remove a file, or find it removed."""
    perform("unlink", path, lambda: path.unlink(missing_ok=True))


def sync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""

    def act() -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    perform("sync", path, act)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that a power cut leaves them."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        perform("make folder", each, partial(each.mkdir, exist_ok=True))
        sync_path(each.parent)
