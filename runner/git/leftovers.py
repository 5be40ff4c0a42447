"""What a command may leave behind in a work tree, and how it is removed again.

A command decides how deep its folders are: nothing here recurses.
"""

from __future__ import annotations

import itertools
import os
import secrets
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from runner.core.errors import WorkspaceSecurityError

MAX_DEPTH = 200
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Yield the paths of all that is no folder; raises WorkspaceSecurityError where it is deep."""
    pending = [folder.rstrip("/")]
    while pending:
        path = pending.pop()
        if path.count("/") >= MAX_DEPTH:
            reason = f"lies more than {MAX_DEPTH} folders deep"
            raise WorkspaceSecurityError(f"{path[:64]}…", reason, reason_code="too_deep")
        let_write(root / path)
        for item in _items(root / path):
            inside = f"{path}/{item.name}"
            if item.is_dir(follow_symlinks=False) and item.name != ".git":
                pending.append(inside)
            else:
                yield inside


def let_write(folder: Path) -> None:
    """Open a folder that a command closed to writing: git records no modes of folders."""
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if not mode & stat.S_IWUSR:
        folder.chmod(mode | stat.S_IWUSR)


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that a path leads through."""
    found: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


def remove_compiled(root: Path, tracked: Collection[str], more: Collection[str] = ()) -> None:
    """Delete compiled Python that git does not track, in every folder of what it tracks.

    `more` has such folders besides those of `tracked`. One that a command planted would run in place of the source beside it.
    """
    folders = folders_of(tracked).union(more)
    for folder in sorted(folders | {"."}):
        place = root / folder
        if place.is_symlink() or not place.is_dir():
            continue
        for item in list(_items(place)):
            path = os.path.normpath(f"{folder}/{item.name}")
            is_compiled = item.name == "__pycache__" or item.name.endswith((".pyc", ".pyo"))
            if is_compiled and path not in folders and path not in tracked:
                take_away(Path(item.path))


def make_private_git(git: Path) -> None:
    """Make a repository without remotes, hooks or settings; its HEAD is for the caller."""
    (git / "objects" / "info").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "config").write_text(PRIVATE_CONFIG)


def take_away(path: Path) -> None:
    """Delete whatever is at a path, be it a folder, a link or nothing."""
    if path.is_dir() and not path.is_symlink():
        remove(path)
    else:
        path.unlink(missing_ok=True)


def remove(root: Path) -> None:
    """Delete a folder with all in it, however deep, and also where a command closed folders.

    Each inner folder is first moved up to the top, so that no path grows too long.
    """
    root.chmod(0o700)
    top = os.open(root, _FOLDER)
    try:
        _empty(top)
    finally:
        os.close(top)
    root.rmdir()


def _empty(top: int) -> None:
    fresh = map(f".planlock-{secrets.token_hex(8)}-{{}}".format, itertools.count())
    pending = _unlink_files(top, top, fresh)
    while pending:
        name = pending.pop()
        folder = os.open(name, _FOLDER, dir_fd=top)
        try:
            pending += _unlink_files(top, folder, fresh)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _unlink_files(top: int, folder: int, fresh: Iterator[str]) -> list[str]:
    """Empty a folder; what it has of folders lies at the top afterwards, under these names."""
    with os.scandir(folder) as items:
        inside = [(item.name, item.is_dir(follow_symlinks=False)) for item in items]
    moved: list[str] = []
    for name, is_folder in inside:
        if is_folder:
            os.chmod(name, 0o700, dir_fd=folder)
            moved.append(next(fresh))
            os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
        else:
            os.unlink(name, dir_fd=folder)
    return moved


def _items(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as items:
        return list(items)
