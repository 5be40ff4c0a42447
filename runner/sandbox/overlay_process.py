"""Lays a workspace over a folder that is only read, and starts a program that sees both as one.

It runs alone, as the launcher does. What is written goes into the workspace; the mount is nobody
else's, and is gone with the last process that sees it. Arguments: the folder beneath, the
workspace, an empty folder of its file system for the kernel, and the program with its arguments.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import NoReturn

_SET_UP_FAILED = 71
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
# SIGPIPE and SIGXFSZ, which Python ignores and a program expects to end it.
_IGNORED = (13, 25)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A crash ends the run's workspace anyhow, so nothing need be synced when the mount goes.
_OPTIONS = "lowerdir={},upperdir={},workdir={},userxattr,index=off,metacopy=off,volatile"

_libc = ctypes.CDLL(None, use_errno=True)


def main(below: str, workspace: str, own: str, *argv: str) -> NoReturn:
    try:
        _enter_namespaces()
        _mount(below, workspace, own)
        for number in _IGNORED:
            _libc.signal(number, None)
        os.execvp(argv[0], argv)  # noqa: S606  # a shell of its own would come between
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        os.write(2, f"overlay: {error.strerror}{place}\n".encode(errors="replace"))
    finally:
        os._exit(_SET_UP_FAILED)


def _enter_namespaces() -> None:
    """Who we are stays the same; only so may a person without privileges mount."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEW_USERS | _NEW_MOUNTS), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def _mount(*folders: str) -> None:
    # Names would need escapes; descriptors must be of the new namespace.
    places = [f"/proc/self/fd/{os.open(folder, _FOLDER)}" for folder in folders]
    options = _OPTIONS.format(*places).encode()
    target = os.fsencode(folders[1])
    _check(_libc.mount(b"overlay", target, b"overlay", 0, options), "mount")


def _write(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)


if __name__ == "__main__":
    main(*sys.argv[1:])
