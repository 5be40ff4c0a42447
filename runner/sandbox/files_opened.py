"""One file in an open folder: opened without following a link, checked, read and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runner.core.errors import StaleInput, WorkspaceSecurityError
from runner.core.paths import HINTS

ABSENT = "absent"
MAX_BYTES = 1 << 30
PLAIN, EXECUTABLE = 0o644, 0o755
_CHUNK_BYTES = 1 << 20
_OPEN_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True)
class Target:
    """A name in an open folder; `path` is what people call it."""

    path: str
    folder: int
    name: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """Digest, None where nothing is there, and mode, as git would tell them."""

    digest: str | None = None
    mode: int = PLAIN


def find(target: Target, *, single: bool = False) -> Found:
    """Look at the file of that name; `single` refuses one that has other names too.

    Raises StaleInput where it changes meanwhile.
    """
    try:
        with opened(target) as file:
            if single:
                refuse_hard_link(target.path, file)
            return _found(target.path, file)
    except FileNotFoundError:
        return Found()


def check_unchanged(path: str, before: Found, now: Found) -> None:
    if before != now:
        was, is_now = before.digest or ABSENT, now.digest or ABSENT
        changed = "its mode changed" if was == is_now else f"found {is_now}"
        raise StaleInput(f"{path}: changed at this very moment: expected {was}, {changed}")


def check_expected(path: str, expect: str | None, found: str | None) -> None:
    if expect is not None and expect != (found or ABSENT):
        raise StaleInput(f"{path}: expected {expect}, found {found or ABSENT}")


def read(target: Target, max_bytes: int) -> bytes:
    with opened(target) as file:
        refuse_hard_link(target.path, file)
        return b"".join(_chunks(target.path, file, max_bytes))


def digest(target: Target) -> str:
    """`sha256:…`; refuses files over 1 GiB."""
    with opened(target) as file:
        refuse_hard_link(target.path, file)
        return _digest(target.path, file)


@contextmanager
def opened(target: Target) -> Iterator[int]:
    """Looks before opening, since opening a device can act, and again afterwards."""
    before = os.stat(target.name, dir_fd=target.folder, follow_symlinks=False)
    _refuse_irregular(target.path, before)
    descriptor = os.open(target.name, os.O_RDONLY | _OPEN_FILE, dir_fd=target.folder)
    try:
        _refuse_irregular(target.path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def refuse_hard_link(path: str, file: int) -> None:
    if os.fstat(file).st_nlink > 1:
        raise _refusal(path, "is hard-linked, perhaps from outside", "hard_link")


def through_link(path: str) -> WorkspaceSecurityError:
    return _refusal(path, "passes through a symbolic link", "symlink")


def final_mode(path: str, asked: int | None, found: Found) -> int:
    """The mode that a written file gets; raises WorkspaceSecurityError for one that git lacks."""
    if asked not in {None, PLAIN, EXECUTABLE}:
        raise _refusal(path, f"cannot have mode {asked:04o}", "mode")
    return found.mode if asked is None else asked


def _refuse_irregular(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refusal(path, "is a symbolic link", "symlink")
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "is no regular file", "not_regular")


def _found(path: str, file: int) -> Found:
    before = os.fstat(file)
    content = _digest(path, file)
    if _version(os.fstat(file)) != _version(before):
        raise StaleInput(f"{path}: another process is changing it")
    return Found(digest=content, mode=EXECUTABLE if before.st_mode & 0o100 else PLAIN)


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_size, status.st_mtime_ns, status.st_mode)


def _chunks(path: str, file: int, limit: int) -> Iterator[bytes]:
    """Counts what it reads: a file's stated size may be a hole or may grow."""
    if os.fstat(file).st_size > limit:
        raise _too_large(path, limit)
    size = 0
    while chunk := os.read(file, min(_CHUNK_BYTES, limit + 1 - size)):
        size += len(chunk)
        if size > limit:
            raise _too_large(path, limit)
        yield chunk


def _too_large(path: str, limit: int) -> WorkspaceSecurityError:
    return _refusal(path, f"is over {limit} bytes", "too_large")


def _digest(path: str, file: int) -> str:
    total = hashlib.sha256()
    for chunk in _chunks(path, file, MAX_BYTES):
        total.update(chunk)
    return f"sha256:{total.hexdigest()}"


def _refusal(path: str, reason: str, reason_code: str) -> WorkspaceSecurityError:
    hint = HINTS[reason_code]
    return WorkspaceSecurityError(path, reason, reason_code=reason_code, hint=hint)
