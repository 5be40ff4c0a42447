"""Questions about history, answered by git with grafts and replace refs off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.git import command
from runner.git.objects import SUBMODULE


@dataclass(frozen=True, kw_only=True)
class Added:
    """A file version that some commit introduced."""

    path: str
    oid: str
    commit: str


class _NotSeen(Exception):
    """Git found no way from one commit to the other, or not both commits."""


def is_ancestor(git_dir: Path, old: str, new: str) -> bool:
    """Whether `new` descends from `old`; git is not asked again once it said so."""
    try:
        return _descends(git_dir, old, new)
    except _NotSeen:
        return False


@lru_cache(maxsize=4096)
def _descends(git_dir: Path, old: str, new: str) -> bool:
    done = command.attempt(["merge-base", "--is-ancestor", old, new], git_dir=git_dir)
    if done.returncode != 0:
        raise _NotSeen  # which is not remembered: what is missing may come
    return True


def versions(git_dir: Path, tips: Sequence[str], *, base: str, folder: str) -> list[Added]:
    """Give every version of every file below `folder` that any commit since `base` introduced.

    Merges are compared with each parent, and no branch of history is left out, so that a
    record that a merge or a later commit dropped is still found.
    """
    if not tips:
        return []
    args = ["log", "--full-history", "-m", "--raw", "-z", "--no-abbrev", "--no-renames"]
    args += ["--diff-filter=AMT", "--format=%x01%H", *tips, f"^{base}", "--", folder]
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
            _, mode, _, oid, _ = text.split(" ")
            oid = "" if mode == SUBMODULE else oid
        elif text and oid:
            found.append(Added(path=text, oid=oid, commit=commit))
            oid = ""
    return found


def first_parents(git_dir: Path, tip: str, *, stop: str) -> list[str]:
    """Commits from `stop` (left out) to `tip` along first parents, oldest first."""
    args = ["rev-list", "--first-parent", "--reverse", tip, f"^{stop}"]
    return command.run(args, git_dir=git_dir).decode().split()


def merge_base(git_dir: Path, one: str, other: str) -> str | None:
    """A newest commit that two descend from; None where they have none in common."""
    done = command.attempt(["merge-base", one, other], git_dir=git_dir)
    return done.stdout.decode().strip() or None
