"""The files of a run, reached through descriptors so that no link can lead out."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import FileAccessError, StaleInput, StepFailed, WorkspaceSecurityError
from runner.core.paths import check_path
from runner.sandbox.folders import open_folder, supports_openat2

ABSENT = "absent"
_ROOT = "."
# What the file system says because of the path that the step names: the step is to blame.
_HINTS = {
    errno.ENOENT: "git ls-files: the path must exist before the step",
    errno.ENOTDIR: "git ls-files: a file stands where the path has a folder",
    errno.EISDIR: "git ls-files: a folder stands where the path has a file",
    errno.ENAMETOOLONG: "name a shorter path",
}
_CHUNK_BYTES = 1 << 20
_MAX_DIGEST_BYTES = 1 << 30
_OPEN_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, kw_only=True)
class Change:
    """Digests before and after, None where the file was or is absent; `mode` as in chmod."""

    path: str
    before: str | None
    after: str | None
    mode: int


@dataclass(frozen=True, kw_only=True)
class _Found:
    digest: str | None
    mode: int


class Workspace:
    """Raises WorkspaceSecurityError for what may not be touched, FileAccessError for the rest.

    StepFailed where the path does not fit the files there: the machine is not to blame.
    """

    def __init__(self, root: Path, *, openat2: bool | None = None) -> None:
        with _explained(_ROOT):
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._openat2 = supports_openat2(self._root) if openat2 is None else openat2

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._root)

    def validate_path(self, path: str) -> str:
        return check_path(path)

    def check_folder(self, path: str) -> None:
        """Raises StepFailed unless it is a folder that no link leads to."""
        with _explained(path):
            try:
                os.close(open_folder(self._root, check_path(path), openat2=self._openat2))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise StepFailed(f"{path}: no such folder") from error

    def read(self, path: str, *, max_bytes: int = 1_000_000) -> bytes:
        with (
            _explained(path),
            self._parent(path) as (folder, name),
            _opened(folder, name, path=path) as file,
        ):
            _refuse_hard_link(path, file)
            return b"".join(_chunks(path, file, max_bytes))

    def digest(self, path: str) -> str | None:
        """`sha256:…`, or None when absent; refuses files over 1 GiB."""
        with _explained(path), ExitStack() as stack:
            try:
                folder, name = stack.enter_context(self._parent(path))
                file = stack.enter_context(_opened(folder, name, path=path))
            except FileNotFoundError:
                return None
            _refuse_hard_link(path, file)
            return _digest(path, file)

    def write(
        self, path: str, content: bytes, *, expect: str | None = None, mode: int | None = None
    ) -> Change:
        """Replaces the file in one step; `expect` is a digest, `absent` or None for any."""
        with _explained(path):
            _check_expected(path, expect, self._look(path).digest)
            with self._parent(path, create=True) as (folder, name):
                return _replace(_Target(path, folder, name), content, expect=expect, mode=mode)

    def delete(self, path: str, *, expect: str | None = None) -> Change:
        with _explained(path), self._parent(path) as (folder, name):
            found = _find(_Target(path, folder, name))
            _check_expected(path, expect, found.digest)
            os.unlink(name, dir_fd=folder)
        return Change(path=path, before=found.digest, after=None, mode=found.mode)

    def _look(self, path: str) -> _Found:
        try:
            with self._parent(path) as (folder, name):
                return _find(_Target(path, folder, name))
        except FileNotFoundError:
            return _Found(digest=None, mode=0o644)

    @contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        folder, _, name = check_path(path).rpartition("/")
        descriptor = open_folder(self._root, folder, create=create, openat2=self._openat2)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Target:
    path: str
    folder: int
    name: str


def _replace(target: _Target, content: bytes, *, expect: str | None, mode: int | None) -> Change:
    temporary = f".planlock-{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=target.folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            found = _find(target)
            final_mode = found.mode if mode is None else mode
            _check_expected(target.path, expect, found.digest)
            os.fchmod(descriptor, final_mode)
        os.replace(temporary, target.name, src_dir_fd=target.folder, dst_dir_fd=target.folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=target.folder)
        raise
    after = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Change(path=target.path, before=found.digest, after=after, mode=final_mode)


def _find(target: _Target) -> _Found:
    try:
        with _opened(target.folder, target.name, path=target.path) as file:
            mode = stat.S_IMODE(os.fstat(file).st_mode) & 0o777
            return _Found(digest=_digest(target.path, file), mode=mode)
    except FileNotFoundError:
        return _Found(digest=None, mode=0o644)


@contextmanager
def _opened(folder: int, name: str, *, path: str) -> Iterator[int]:
    """Looks before opening, since opening a device can act, and again afterwards."""
    _refuse_irregular(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
    descriptor = os.open(name, os.O_RDONLY | _OPEN_FILE, dir_fd=folder)
    try:
        _refuse_irregular(path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_irregular(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise WorkspaceSecurityError(path, "is a symbolic link", reason_code="symlink")
    if not stat.S_ISREG(found.st_mode):
        raise WorkspaceSecurityError(path, "is no regular file", reason_code="not_regular")


def _refuse_hard_link(path: str, file: int) -> None:
    if os.fstat(file).st_nlink > 1:
        raise WorkspaceSecurityError(
            path, "is hard-linked, perhaps from outside", reason_code="hard_link"
        )


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
    return WorkspaceSecurityError(path, f"is over {limit} bytes", reason_code="too_large")


def _digest(path: str, file: int) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path, file, _MAX_DIGEST_BYTES):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _check_expected(path: str, expect: str | None, found: str | None) -> None:
    if expect is not None and expect != (found or ABSENT):
        raise StaleInput(f"{path}: expected {expect}, found {found or ABSENT}")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV}:
            raise WorkspaceSecurityError(
                path, "passes through a symbolic link", reason_code="symlink"
            ) from error
        cause = os.strerror(error.errno) if error.errno else str(error)
        if path != _ROOT and error.errno in _HINTS:
            raise StepFailed(f"{path}: {cause}", hint=_HINTS[error.errno]) from error
        raise FileAccessError(f"{path}: {cause}") from error
