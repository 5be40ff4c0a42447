"""The private `.git` of a run's work tree: made anew before each command, not believed after it.

It borrows the objects of the governed repository, so that git in a command sees history, and has
no configuration, no remotes, no hooks and no tokens.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from runner.git import command, leftovers

# git itself rewrites it to note when files were looked at; nothing but commands reads it.
INDEX = "index"


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What there is at a path: names in a folder, bytes of a file."""

    mode: int
    size: int = 0
    content: bytes = b""
    names: frozenset[str] = frozenset()


class PrivateGit:
    def __init__(self, folder: Path, objects: Path) -> None:
        self.folder = folder
        self.objects = objects
        self._made: dict[str, _Look] = {}

    def renew(self, commit: str) -> None:
        """Make it from nothing, with an index, so that `git status` tells the truth."""
        leftovers.take_away(self.folder)
        leftovers.make_private_git(self.folder)
        (self.folder / "objects/info/alternates").write_text(f"{self.objects}\n")
        (self.folder / "HEAD").write_text(f"{commit}\n")
        command.run(["read-tree", "HEAD"], git_dir=self.folder, cwd=self.folder.parent)
        self._made = {path: _look(self.folder / path) for path in self._paths()}

    def _paths(self) -> list[str]:
        """Every path, folders before what is in them."""
        found = ["."]
        for folder, folders, files in os.walk(self.folder):
            inside = os.path.relpath(folder, self.folder)
            found += [os.path.normpath(f"{inside}/{name}") for name in (*folders, *files)]
        return found

    def changed(self) -> str | None:
        """Name the first path that is not as it was made; what is new is not looked into."""
        for path, was in self._made.items():
            try:
                now = _look(self.folder / path, like=was)
            except OSError:
                return path
            if now != was:
                return next(iter(sorted(now.names ^ was.names)), path)
        return None


def _look(path: Path, like: _Look | None = None) -> _Look:
    """Look without following a link, or reading a file of another size than `like`."""
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        return _Look(mode=status.st_mode, names=frozenset(inner.name for inner in path.iterdir()))
    if not stat.S_ISREG(status.st_mode) or path.name == INDEX:
        return _Look(mode=stat.S_IFMT(status.st_mode))
    is_alike = like is None or like.size == status.st_size
    content = path.read_bytes() if is_alike else b""
    return _Look(mode=status.st_mode, size=status.st_size, content=content)
