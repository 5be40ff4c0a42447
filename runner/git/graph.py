"""The whole history in memory: who descends from whom, and what commits changed below a folder.

Read with plumbing only, since settings such as `log.diffMerges` or `diff.ignoreSubmodules` bend
what `git log` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Graph:
    """Commits with their parents, each after its parents."""

    parents: Mapping[str, Parents]
    _above: dict[str, frozenset[str]] = field(default_factory=dict)

    def __contains__(self, commit: str) -> bool:
        return commit in self.parents

    def extend(self, seen: set[str], tips: Iterable[str]) -> None:
        """Add the tips and all that they descend from to a set that is closed in this sense."""
        waiting = [tip for tip in tips if tip in self.parents]
        while waiting:
            commit = waiting.pop()
            if commit not in seen:
                seen.add(commit)
                waiting.extend(self.parents.get(commit, ()))

    def ancestors(self, tip: str) -> frozenset[str]:
        """The commit itself and all that it descends from; empty where it is unknown."""
        if tip not in self._above:
            seen: set[str] = set()
            self.extend(seen, [tip])
            self._above[tip] = frozenset(seen)
        return self._above[tip]

    def first_parents(self, tip: str) -> Iterator[str]:
        """The line of a branch, newest first."""
        commit: str | None = tip
        while commit is not None and commit in self.parents:
            yield commit
            commit = next(iter(self.parents[commit]), None)


def load(git_dir: Path, tips: Sequence[str]) -> Graph:
    """Read all commits below the tips; raises GitError where one is missing or broken."""
    args = ["rev-list", "--topo-order", "--reverse", "--parents", "--stdin"]
    stdin = "".join(f"{tip}\n" for tip in tips).encode()
    lines = command.run(args, git_dir=git_dir, stdin=stdin).decode().splitlines()
    words = (line.split(" ") for line in lines)
    return Graph({first: tuple(rest) for first, *rest in words})


def touches(git_dir: Path, commits: Iterable[str], *, folder: str) -> list[Touch]:
    """What each commit changed below a folder, against every parent; raises GitError."""
    args = ["diff-tree", "--stdin", "-m", "--root", "-r", "-z", "--raw", "--no-renames"]
    stdin = "".join(f"{commit}\n" for commit in commits).encode()
    done = command.run([*args, "--no-abbrev", "--", folder], git_dir=git_dir, stdin=stdin)
    return list(_parse(done.decode("utf-8", "surrogateescape").split("\0")))


def _parse(words: Sequence[str]) -> Iterator[Touch]:
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
