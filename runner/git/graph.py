"""History as git lists it: who descends from whom, and what commits changed below a folder.

Read with plumbing only, since settings such as `log.diffMerges` or `diff.ignoreSubmodules` bend
what `git log` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import GitError
from runner.git import command
from runner.git.objects import FOLDER, Entry, ObjectStore
from runner.git.refs import ZERO

Parents = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One path that differs between two trees; None where it is absent."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True, kw_only=True)
class Touch:
    """A change that a commit made against one of its parents."""

    commit: str
    change: Change


def commits(git_dir: Path, tips: Iterable[str]) -> Iterator[tuple[str, Parents]]:
    """Give all commits below the tips, each after its parents, with these.

    A tip with a `^` leaves out what is below it. Raises GitError where one is missing or broken.
    """
    args = ["rev-list", "--topo-order", "--reverse", "--parents", "--stdin"]
    names = (f"{tip}\n" for tip in tips)
    for line in command.words(args, git_dir=git_dir, separator="\n", stdin=names):
        first, *rest = line.split(" ")
        yield first, tuple(rest)


def touches(git_dir: Path, commits: Iterable[str], *, folder: str) -> Iterator[Touch]:
    """What each commit changed below a folder, against every parent; raises GitError."""
    args = ["diff-tree", "--stdin", "-m", "--root", "-r", "-z", "--raw", "--no-renames"]
    args += ["--no-abbrev", "--", folder]
    names = (f"{commit}\n" for commit in commits)
    yield from _parse(command.words(args, git_dir=git_dir, separator="\0", stdin=names))


def _parse(words: Iterable[str]) -> Iterator[Touch]:
    commit, head = "", ""
    for word in words:
        if head:
            yield Touch(commit=commit, change=_change(head, word))
            head = ""
        elif word.startswith(":"):
            head = word
        else:
            commit = word
    if head:
        raise GitError("reading history: git diff-tree stopped within an entry")


def _change(head: str, path: str) -> Change:
    old_mode, mode, old, new, _ = head[1:].split(" ")
    return Change(
        path=path,
        old=Entry(mode=old_mode, oid=old) if old != ZERO else None,
        new=Entry(mode=mode, oid=new) if new != ZERO else None,
    )


def diff(
    store: ObjectStore, old: str | None, new: str | None, prefix: str = ""
) -> Iterator[Change]:
    """Compare two trees in process, reading only the folders that differ; raises GitError."""
    if old == new:
        return
    before = store.tree(old) if old else {}
    after = store.tree(new) if new else {}
    for name in sorted({*before, *after}):
        a, b = before.get(name), after.get(name)
        if a == b:
            continue
        folders = [each.oid if each and each.mode == FOLDER else None for each in (a, b)]
        if any(folders):
            yield from diff(store, folders[0], folders[1], f"{prefix}{name}/")
        files = [None if each and each.mode == FOLDER else each for each in (a, b)]
        if any(files):
            yield Change(path=prefix + name, old=files[0], new=files[1])
