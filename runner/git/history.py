"""Questions about history, answered by git with grafts and replace refs off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.git import command

GONE = "000000"


@dataclass(frozen=True, kw_only=True)
class Added:
    """A file version that some commit introduced."""

    path: str
    oid: str
    commit: str


def is_ancestor(git_dir: Path, old: str, new: str) -> bool:
    done = command.attempt(["merge-base", "--is-ancestor", old, new], git_dir=git_dir)
    return done.returncode == 0


def versions(git_dir: Path, tips: Sequence[str], *, base: str, folder: str) -> list[Added]:
    """Give every version of every file below `folder` that any commit since `base` introduced.

    Merges are compared with each parent, and no branch of history is left out, so that a
    record that a merge or a later commit dropped is still found.
    """
    if not tips:
        return []
    args = ["log", "--full-history", "-m", "--raw", "-z", "--no-abbrev", "--no-renames"]
    args += ["--diff-filter=AM", "--format=%x01%H", *tips, f"^{base}", "--", folder]
    words = command.run(args, git_dir=git_dir).decode("utf-8", "surrogateescape").split("\0")
    return list(_parse_raw(words))


def _parse_raw(words: Sequence[str]) -> list[Added]:
    found, commit, oid = [], "", ""
    for word in words:
        text = word.lstrip("\n")
        if text.startswith("\x01"):
            commit = text[1:41]
            text = text[41:].lstrip("\n")
        if text.startswith(":"):
            oid = text.split(" ")[3]
        elif text and oid:
            found.append(Added(path=text, oid=oid, commit=commit))
            oid = ""
    return found


def commits_touching(git_dir: Path, tip: str, *, base: str, path: str) -> list[str]:
    """Commits since `base` that changed a path, newest first."""
    args = ["rev-list", "--full-history", tip, f"^{base}", "--", path]
    return command.run(args, git_dir=git_dir).decode().split()


def first_parents(git_dir: Path, tip: str, *, stop: str) -> list[str]:
    """Commits from `stop` (left out) to `tip` along first parents, oldest first."""
    args = ["rev-list", "--first-parent", "--reverse", tip, f"^{stop}"]
    return command.run(args, git_dir=git_dir).decode().split()


def changed_paths(git_dir: Path, old: str, new: str) -> dict[str, str]:
    """Paths that differ between two trees or commits: path → new mode, GONE where it is gone."""
    args = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", old, new]
    words = command.run(args, git_dir=git_dir).decode("utf-8", "surrogateescape").split("\0")
    pairs = zip(words[0::2], words[1::2], strict=False)
    return {path: head.split(" ")[1] for head, path in pairs if head}
