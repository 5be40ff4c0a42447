"""What a command may leave behind in a work tree, and how it is removed again.

A command decides how deep its folders are and what a new .gitignore says: nothing here
recurses, and only the rules that the tree had before the step are asked.
"""

from __future__ import annotations

import itertools
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.core.errors import WorkspaceSecurityError
from runner.git import command

RULES = ".gitignore"
MAX_DEPTH = 200
# Caches of test and lint tools; nothing loads code from them, as it does from __pycache__.
CACHES = frozenset({".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"})
PRIVATE_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Yield the paths of all that is no folder; raises WorkspaceSecurityError where it is deep."""
    pending = [folder.rstrip("/")]
    while pending:
        path = pending.pop()
        if path.count("/") >= MAX_DEPTH:
            reason = f"lies more than {MAX_DEPTH} folders deep"
            raise WorkspaceSecurityError(f"{path[:64]}…", reason, reason_code="too_deep")
        for item in _items(root / path):
            inside = f"{path}/{item.name}"
            if item.is_dir(follow_symlinks=False) and item.name != ".git":
                pending.append(inside)
            else:
                yield inside


def in_cache(path: str) -> bool:
    """Whether the path, with `/` at the end for a folder, is or lies in a cache folder."""
    return not CACHES.isdisjoint(path.split("/")[:-1])


def ignored(paths: Sequence[str], rules: Mapping[str, bytes]) -> set[str]:
    """Those paths that .gitignore files leave out; `rules` is path → content of each of those.

    git is shown the rules alone, in a folder of their own: in the work tree it would open what
    the command put there.
    """
    if not paths:
        return set()
    with tempfile.TemporaryDirectory(prefix="planlock-rules-") as name:
        place = Path(name)
        make_private_git(place / ".git")
        (place / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        for path, content in rules.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        for path in paths:
            # A rule such as `build/` is about folders only, so that git looks.
            if path.endswith("/") and not f"/{path}".endswith(f"/{RULES}/"):
                (place / path).mkdir(parents=True, exist_ok=True)
        done = command.attempt(
            [f"--work-tree={place}", "check-ignore", "--no-index", "-z", "--stdin"],
            git_dir=place / ".git",
            cwd=place,
            stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
        )
    return {os.fsdecode(word) for word in done.stdout.split(b"\0") if word}


def make_private_git(git: Path) -> None:
    """Make a repository without remotes, hooks or settings; its HEAD is for the caller."""
    (git / "objects" / "info").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "config").write_text(PRIVATE_CONFIG)


def remove(root: Path) -> None:
    """Delete a folder with all in it, however deep, and also where a command closed folders.

    Each inner folder is first moved up to the top, so that no path grows too long.
    """
    prefix = f".planlock-{secrets.token_hex(8)}-"
    numbers = itertools.count()
    root.chmod(0o700)
    pending = [root]
    while pending:
        folder = pending.pop()
        for item in _items(folder):
            inner = Path(item.path)
            if item.is_dir(follow_symlinks=False):
                inner.chmod(0o700)
                pending.append(inner.rename(root / f"{prefix}{next(numbers)}"))
            else:
                inner.unlink()
        if folder != root:
            folder.rmdir()
    root.rmdir()


def _items(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as items:
        return list(items)
