"""Opens folders beneath a folder without ever following a link."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from contextlib import suppress

_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 16

_libc = ctypes.CDLL(None, use_errno=True)


def supports_openat2(root: int) -> bool:
    """Old kernels lack the call, and some container filters forbid it."""
    try:
        os.close(_openat2(root, "."))
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EPERM}:
            return False
        raise
    return True


def open_folder(root: int, path: str, *, openat2: bool, create: bool = False) -> int:
    """A descriptor, for the caller to close; raises OSError, ELOOP where a link is met."""
    if not path:
        return os.dup(root)
    if openat2:
        with suppress(FileNotFoundError):
            return _openat2(root, path)
        if not create:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return _walk(root, path, create=create)


def prune(root: int, path: str, *, openat2: bool) -> None:
    """Remove a folder and those above it as far as they are empty, but never the root."""
    while path:
        above, _, name = path.rpartition("/")
        try:
            folder = open_folder(root, above, openat2=openat2)
        except OSError:
            return
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError:
            return
        finally:
            os.close(folder)
        path = above


def _openat2(root: int, path: str) -> int:
    # Without O_NOFOLLOW: it would report a link at the end as no folder, not as a link.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    how = struct.pack("QQQ", flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    for _ in range(_ATTEMPTS):
        found: int = _libc.syscall(_OPENAT2, root, os.fsencode(path), how, len(how))
        if found >= 0:
            return found
        # EAGAIN: something was renamed during the walk, and the kernel could not be sure.
        if (cause := ctypes.get_errno()) != errno.EAGAIN:
            break
    raise OSError(cause, os.strerror(cause), path)


def _walk(root: int, path: str, *, create: bool) -> int:
    folder = os.dup(root)
    for name in path.split("/"):
        try:
            deeper = _step(folder, name, create=create)
        finally:
            os.close(folder)
        folder = deeper
    return folder


def _step(folder: int, name: str, *, create: bool) -> int:
    made = create and _make(folder, name)
    deeper = _open_step(folder, name)
    if made:
        os.fchmod(deeper, 0o755)  # whatever the umask is
    return deeper


def _make(folder: int, name: str) -> bool:
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _open_step(folder: int, name: str) -> int:
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=folder)
    except NotADirectoryError as error:
        # With O_DIRECTORY the kernel says so of a link as well.
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from error
        raise
