"""The files of a run, reached through descriptors so that no link can lead out."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runner.core.errors import FileAccessError, StepFailed
from runner.core.paths import check_path
from runner.sandbox import files_opened as one
from runner.sandbox import files_replacing as replacing
from runner.sandbox.files_opened import ABSENT, MAX_BYTES, Found, Target
from runner.sandbox.folders import open_folder, prune, supports_openat2

__all__ = ["ABSENT", "MAX_BYTES", "Change", "Workspace"]
_ROOT = "."
# What the file system says because of the path that the step names: the step is to blame.
_HINTS = {
    errno.EEXIST: "git ls-files: a rename takes a name that is free",
    errno.ENOENT: "git ls-files: the path must exist before the step",
    errno.ENOTDIR: "git ls-files: a file stands where the path has a folder",
    errno.EISDIR: "git ls-files: a folder stands where the path has a file",
    errno.ENAMETOOLONG: "name a shorter path",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """Digests before and after, None where the file was or is absent; `mode` as git has it."""

    path: str
    before: str | None
    after: str | None
    mode: int


class Workspace:
    """Raises WorkspaceSecurityError for what may not be touched, FileAccessError for the rest.

    StepFailed where the path does not fit the files there: the machine is not to blame. Changes
    are compare-and-swap: StaleInput where another process was faster, and its file stays. What a
    call leaves empty it removes, since git knows no empty folders. A temporary file outlives only
    a killed process; nothing reads it, and it goes with the run's work tree.
    """

    def __init__(self, root: Path, *, openat2: bool | None = None, renameat2: bool = True) -> None:
        with _explained(_ROOT):
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._openat2 = supports_openat2(self._root) if openat2 is None else openat2
        self._renameat2 = renameat2

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        with _explained(path), self._target(path) as target:
            return one.read(target, max_bytes)

    def digest(self, path: str) -> str | None:
        """`sha256:…`, or None when absent; refuses files over 1 GiB."""
        with _explained(path):
            try:
                with self._target(path) as target:
                    return one.digest(target)
            except FileNotFoundError:
                return None

    def write(
        self, path: str, content: bytes, *, expect: str | None = None, mode: int | None = None
    ) -> Change:
        """Replaces the file in one step; `expect` is a digest, `absent` or None for any."""
        with _explained(path):
            found = self._look(path)
            one.check_expected(path, expect, found.digest)
            final = one.final_mode(path, mode, found)
            with self._made(path) as target:
                replacing.replace(target, content, found=found, mode=final, flagged=self._renameat2)
        after = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return Change(path=path, before=found.digest, after=after, mode=final)

    def delete(self, path: str, *, expect: str | None = None) -> Change:
        """Removes the file, and the folders that it leaves empty."""
        with _explained(path):
            with self._target(path) as target:
                found = _present(target, one.find(target))
                one.check_expected(path, expect, found.digest)
                replacing.remove(target, found=found, flagged=self._renameat2)
            self._prune(path)
        return Change(path=path, before=found.digest, after=None, mode=found.mode)

    def rename(
        self, source: str, target: str, *, expect: str | None = None
    ) -> tuple[Change, Change]:
        """Gives a file a name that is free, in a new folder where there is none yet.

        `expect` is the digest of the source. The first change is the source's, the second the
        target's.
        """
        self.validate_path(target)
        with _explained(source), self._target(source) as old:
            found = _present(old, one.find(old, single=True))
            one.check_expected(source, expect, found.digest)
            with _explained(target), self._made(target) as new:
                replacing.move(old, new, found=found, flagged=self._renameat2)
        self._prune(source)
        gone = Change(path=source, before=found.digest, after=None, mode=found.mode)
        return gone, Change(path=target, before=None, after=found.digest, mode=found.mode)

    def _look(self, path: str) -> Found:
        try:
            with self._target(path) as target:
                return one.find(target)
        except FileNotFoundError:
            return Found()

    @contextmanager
    def _made(self, path: str) -> Iterator[Target]:
        """The name in its folder, which is made where it is missing, and unmade after errors."""
        check_path(path)
        try:
            with self._target(path, create=True) as target:
                yield target
        except BaseException:
            self._prune(path)
            raise

    def _prune(self, path: str) -> None:
        prune(self._root, path.rpartition("/")[0], openat2=self._openat2)

    @contextmanager
    def _target(self, path: str, *, create: bool = False) -> Iterator[Target]:
        folder, _, name = check_path(path).rpartition("/")
        descriptor = open_folder(self._root, folder, create=create, openat2=self._openat2)
        try:
            yield Target(path, descriptor, name)
        finally:
            os.close(descriptor)


def _present(target: Target, found: Found) -> Found:
    if found.digest is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target.path)
    return found


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV}:
            raise one.through_link(path) from error
        cause = os.strerror(error.errno) if error.errno else str(error)
        if path != _ROOT and error.errno in _HINTS:
            raise StepFailed(f"{path}: {cause}", hint=_HINTS[error.errno]) from error
        raise FileAccessError(f"{path}: {cause}") from error
