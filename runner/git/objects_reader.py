"""Objects read through one long-lived `git cat-file` (git-cat-file(1))."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from runner.core.errors import GitError, ToolNotFound
from runner.git import command
from runner.git.objects_kept import Found
from runner.git.objects_loose import oid_of


class Reader:
    """Starts git when it is first asked, and again where that ended."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin and process.stdout:
            with suppress(BrokenPipeError):  # what is left in the pipe of a dead reader
                process.stdin.close()
            process.stdout.close()
            process.wait()

    def look_up(self, name: str) -> Found | None:
        """Give id, kind and content; None where there is no such object."""
        return self.look_up_all([name])[0]

    def look_up_all(self, names: Sequence[str]) -> list[Found | None]:
        """Look up a few dozen objects at the price of one question."""
        process = self._start()
        if process.stdin is None or process.stdout is None:
            raise GitError("reading objects: no pipe to git cat-file")
        try:
            # So few that git's pipe holds all of them while we do not read yet.
            process.stdin.write("".join(f"{name}\n" for name in names).encode())
            process.stdin.flush()
            return [_answer(process.stdout, name) for name in names]
        except (BrokenPipeError, GitError) as error:
            self.close()  # what it would answer next is to an earlier question
            if isinstance(error, GitError):
                raise
            raise GitError(f"reading objects: git cat-file answered {error}") from error

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            try:
                self._process = subprocess.Popen(
                    command.arguments(self._git_dir, ["cat-file", "--batch"]),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=command.environment(),
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                hint = "apt-get install git"
                raise ToolNotFound("starting git: not installed", hint=hint) from error
            except OSError as error:
                raise GitError(f"starting git: {error.strerror}") from error
        return self._process


def _answer(pipe: IO[bytes], name: str) -> Found | None:
    header = pipe.readline().rstrip(b"\n")
    if header.endswith((b" missing", b" ambiguous")) or not header:
        return None
    try:
        oid, kind, size = header.decode().split(" ")
        content = pipe.read(int(size) + 1)[:-1]
    except ValueError as error:
        raise GitError(f"reading object {name}: git cat-file answered {error}") from error
    if oid_of(kind, content) != oid:  # git itself does not look
        raise GitError(f"reading object {name}: its content is not what {oid} names")
    return oid, kind, content
