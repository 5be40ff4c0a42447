"""What commits changed at a path, each read once: an object id never comes to mean anything else.

New commits are read in process, so that those are seen too that only this process has yet. Of
commits that do not plainly follow on known ones, git tells which came after the base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter

from runner.git import graph
from runner.git.graph import Change, Parents
from runner.git.history import Added
from runner.git.objects import FOLDER, SUBMODULE, Commit, ObjectStore

MOST_READ = 100
MOST_LINES = 16
MOST_ANSWERS = 8
MOST_COMMITS = 256


@dataclass(frozen=True, kw_only=True)
class Touch:
    """What a commit introduced against any of its parents.

    `counts` is whether git lists it in the path's history; `above` are the nearest commits before
    it that changed the path.
    """

    place: int
    added: tuple[Added, ...]
    counts: bool
    above: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """Versions that commits introduced, and the commits that changed the path, newest first.

    The same answer is the same object, so that what follows from it can be remembered with it.
    """

    versions: tuple[Added, ...]
    commits: tuple[str, ...]


class KnownHistory:
    """The history below some bases, at some paths: of those asked for last, what was read.

    Of more than `most_read` new commits the older ones are read by git.
    """

    def __init__(self, store: ObjectStore, *, most_read: int = MOST_READ) -> None:
        self._store, self._most_read = store, most_read
        self._lines: dict[tuple[str, str], Line] = {}
        self._present: set[str] = set()
        self._commit = lru_cache(maxsize=MOST_COMMITS)(store.commit)

    def has(self, commit: str) -> bool:
        """Whether this repository has an object; it is not looked for again once it was there."""
        if commit not in self._present and self._store.look_up(commit) is not None:
            self._present.add(commit)
        return commit in self._present

    def changed(self, tips: Sequence[str], *, base: str, path: str) -> Changed:
        """What the commits below `tips`, without those below `base`, changed at or below a path.

        Merges are compared with each parent, and no branch of history is left out, so that a
        record that a merge or a later commit dropped is still found.
        """
        line = self._lines.pop((base, path), None) or self._line(base, path)
        self._lines[base, path] = line
        if len(self._lines) > MOST_LINES:
            del self._lines[next(iter(self._lines))]
        return line.changed(tips)

    def _line(self, base: str, path: str) -> Line:
        return Line(
            self._store, base=base, path=path, commit=self._commit, most_read=self._most_read
        )


class Line:
    """The commits since `base`: for each the nearest that changed the path, itself included."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        base: str,
        path: str,
        commit: Callable[[str], Commit],
        most_read: int,
    ) -> None:
        self._store, self._commit, self._most_read = store, commit, most_read
        self._base, self._path = base, path
        self._near: dict[str, tuple[str, ...]] = {}
        self._before = {base}
        self._touches: dict[str, Touch] = {}
        self._answers: dict[frozenset[str], Changed] = {}

    def changed(self, tips: Sequence[str]) -> Changed:
        self._learn(tips)
        nearest = frozenset(each for tip in tips for each in self._near.get(tip, ()))
        if nearest not in self._answers:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[nearest] = self._collect(nearest)
        return self._answers[nearest]

    def _collect(self, nearest: Iterable[str]) -> Changed:
        found: dict[str, Touch] = {}
        waiting = list(nearest)
        while waiting:
            commit = waiting.pop()
            if commit not in found:
                found[commit] = self._touches[commit]
                waiting += found[commit].above
        order = sorted(found, key=lambda commit: found[commit].place, reverse=True)
        return Changed(
            versions=tuple(each for commit in order for each in found[commit].added),
            commits=tuple(commit for commit in order if found[commit].counts),
        )

    def _knows(self, commit: str) -> bool:
        return commit in self._near or commit in self._before

    def _learn(self, tips: Iterable[str]) -> None:
        unknown = [tip for tip in tips if not self._knows(tip)]
        if not unknown:
            return
        read, rest = self._read(unknown)
        if rest:
            self._ask(rest)
        unsure = self._settle(read)
        if unsure:
            self._ask(unsure)

    def _read(self, tips: Iterable[str]) -> tuple[dict[str, Commit], list[str]]:
        """Commits that are not known yet, and those at which reading stopped."""
        read: dict[str, Commit] = {}
        waiting = list(tips)
        while waiting and len(read) < self._most_read:
            oid = waiting.pop()
            if oid not in read and not self._knows(oid):
                read[oid] = self._commit(oid)
                waiting += read[oid].parents
        return read, [oid for oid in waiting if oid not in read and not self._knows(oid)]

    def _settle(self, read: Mapping[str, Commit]) -> list[str]:
        """Note what plainly came after the base; give the commits that may be older."""
        unsure = []
        order = TopologicalSorter({oid: commit.parents for oid, commit in read.items()})
        for oid in order.static_order():
            if oid in read and not self._knows(oid):
                if self._follows(read[oid].parents):
                    self._note(oid, read[oid].parents, changed=True)
                else:
                    unsure.append(oid)
        return unsure

    def _follows(self, parents: Parents) -> bool:
        """What has only parents older than the base may be older than it too."""
        since = any(each in self._near or each == self._base for each in parents)
        return since and all(map(self._knows, parents))

    def _ask(self, commits: Sequence[str]) -> None:
        """Let git tell which of the commits, and of those before them, came after the base."""
        git_dir = self._store.git_dir
        since = dict(graph.commits(git_dir, [*commits, f"^{self._base}"]))
        fresh = [oid for oid in since if oid not in self._near]
        touched = {each.commit for each in graph.touches(git_dir, fresh, folder=self._path)}
        for oid in fresh:
            self._before.update(each for each in since[oid] if each not in self._near)
            self._note(oid, since[oid], changed=oid in touched)
        self._before.update(oid for oid in commits if oid not in self._near)

    def _note(self, oid: str, parents: Parents, *, changed: bool) -> None:
        """Remember a commit whose parents are known; `changed` is False if the path surely stays."""
        above = tuple({near: None for each in parents for near in self._near.get(each, ())})
        touch = self._touch(oid, parents, above) if changed else None
        if touch is not None:
            self._touches[oid] = touch
        self._near[oid] = above if touch is None else (oid,)

    def _touch(self, oid: str, parents: Parents, above: tuple[str, ...]) -> Touch | None:
        tree = self._commit(oid).tree
        changes = {each: list(self._changes(each, tree)) for each in parents or ("",)}
        if not any(changes.values()):
            return None
        # git-rev-list(1) weighs a merge against parents since the base, if there are any
        weighed = [each for each in parents if each in self._near or each == self._base]
        return Touch(
            place=len(self._touches),
            added=tuple(
                Added(path=change.path, oid=change.new.oid, commit=oid)
                for against in changes.values()
                for change in against
                if change.new is not None and change.new.mode != SUBMODULE
            ),
            counts=any(changes[each] for each in weighed or changes),
            above=above,
        )

    def _changes(self, parent: str, tree: str) -> Iterator[Change]:
        """What differs at the path from a parent, or from nothing."""
        old_tree = self._commit(parent).tree if parent else None
        old = self._store.entry(old_tree, self._path) if old_tree else None
        new = self._store.entry(tree, self._path)
        if old == new:
            return
        folders = [each.oid if each and each.mode == FOLDER else None for each in (old, new)]
        yield from graph.diff(self._store, folders[0], folders[1], f"{self._path}/")
        files = [None if each and each.mode == FOLDER else each for each in (old, new)]
        if any(files):
            yield Change(path=self._path, old=files[0], new=files[1])
