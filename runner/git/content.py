"""Content of files that a command left in a work tree: named as git names it, and read, safely."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runner.core.errors import WorkspaceSecurityError
from runner.git.objects import EXECUTABLE, FILE, LINK, Entry

CHUNK = 1 << 20
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def identify(root: Path, path: str) -> tuple[Entry, int]:
    """Give mode and blob id of a file as git would record it, and its size, without storing it.

    The file is read in pieces. Raises WorkspaceSecurityError for what is no file or link.
    """
    status = (root / path).lstat()
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode((root / path).readlink())
        return Entry(mode=LINK, oid=_named(len(content), [content])), len(content)
    with _opened(root, path) as (file, size):
        chunks = iter(lambda: file.read(CHUNK), b"")
        oid = _named(size, chunks)
    mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else FILE
    return Entry(mode=mode, oid=oid), size


def read(root: Path, path: str, *, mode: str, most: int) -> bytes:
    """Read a file, or where a link leads; raises WorkspaceSecurityError beyond `most` bytes."""
    if mode == LINK:
        return os.fsencode((root / path).readlink())
    with _opened(root, path) as (file, _):
        content = file.read(most + 1)
    if len(content) > most:
        raise changed_meanwhile(path)
    return content


def changed_meanwhile(path: str) -> WorkspaceSecurityError:
    reason = "changed while it was looked at"
    return WorkspaceSecurityError(path, reason, reason_code="unsteady")


def separate(root: Path, path: str) -> None:
    """Give a file with several names, perhaps outside, an inode of its own.

    Steps refuse to read hard links, and a write by another name would change this one.
    """
    target = root / path
    status = target.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
        return
    scratch = target.with_name(f".planlock-{secrets.token_hex(8)}.tmp")
    try:
        with _opened(root, path) as (file, _), scratch.open("xb") as copy:
            for chunk in iter(lambda: file.read(CHUNK), b""):
                copy.write(chunk)
            os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _opened(root: Path, path: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file, never waiting for a writer, and give its size."""
    if not stat.S_ISREG((root / path).lstat().st_mode):
        reason = "is neither a file, a folder nor a link"
        raise WorkspaceSecurityError(path, reason, reason_code="special_file")
    with os.fdopen(os.open(root / path, READ_FLAGS), "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _named(size: int, chunks: Iterator[bytes] | list[bytes]) -> str:
    hashed = hashlib.sha1(b"blob %d\0" % size)  # noqa: S324  # git names objects so
    for chunk in chunks:
        hashed.update(chunk)
    return hashed.hexdigest()
