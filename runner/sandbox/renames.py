"""Renames that replace nothing unseen: renameat2(2), and the nearest thing where it is missing."""

from __future__ import annotations

import ctypes
import errno
import os

_NOREPLACE, _EXCHANGE = 1, 2
# Old kernels, container filters, and file systems that do not know the flag.
_MISSING = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})

_libc = ctypes.CDLL(None, use_errno=True)


class FlagMissing(Exception):
    """The kernel or the file system cannot rename in this way."""


def exchange(folder: int, one: str, other: str) -> None:
    """Swap two names in one step; raises FlagMissing, or OSError."""
    _renameat2(folder, one, folder, other, flag=_EXCHANGE)


def move_new(folder: int, name: str, to_folder: int, to_name: str, *, flagged: bool = True) -> None:
    """Give a file a name that is free; raises FileExistsError where it is taken.

    Without the flag a file that appears between the look and the rename is replaced.
    """
    try:
        if flagged:
            return _renameat2(folder, name, to_folder, to_name, flag=_NOREPLACE)
    except FlagMissing:
        pass
    try:
        os.stat(to_name, dir_fd=to_folder, follow_symlinks=False)
    except FileNotFoundError:
        return os.rename(name, to_name, src_dir_fd=folder, dst_dir_fd=to_folder)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to_name)


def _renameat2(folder: int, name: str, to_folder: int, to_name: str, *, flag: int) -> None:
    function = getattr(_libc, "renameat2", None)
    if function is None:
        raise FlagMissing
    if function(folder, os.fsencode(name), to_folder, os.fsencode(to_name), flag) == 0:
        return
    cause = ctypes.get_errno()
    if cause in _MISSING:
        raise FlagMissing
    raise OSError(cause, os.strerror(cause), name)
