"""Commits and folders, read many at a time.

All that git is asked about is read here too: git does not compare objects with their ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core.errors import GitError
from runner.core.policy import PLANS_FOLDER
from runner.git import tree_changes
from runner.git.objects import FILE
from runner.git.tree_changes import Compared, Pair
from runner.verbs.audit_past import AT_ONCE, Past


def compared(past: Past, line: Sequence[str]) -> Iterator[tuple[str, Compared]]:
    """Compare commits, each of which follows another, with their first parents.

    The new files are read ahead, and what was read stays until the next commits are.
    """
    for some in _portions(line):
        found = _compare(past, some, only="")
        changes = (change for each in found.values() for change in each.changes)
        files = [each.new.oid for each in changes if each.new and each.new.mode == FILE]
        past.store.read_ahead(oid for oid in files if oid not in past.records)
        for oid, each in found.items():
            if each.error is None:
                past.part.read.append(past.graph.place(oid))
            yield oid, each
    past.store.drop()


def check(past: Past) -> None:
    """Read the commits that are in no run, with what differs below `plans/`."""
    left = [oid for oid in past.graph if not past.was_read(oid)]
    for some in _portions(left):
        for oid, found in _compare(past, some, only=PLANS_FOLDER).items():
            if found.error is not None:  # perhaps of its parent, which is told of by itself
                with past.found.reading(f"commit {oid[:12]}"):
                    pair = Pair(old=None, new=past.commit(oid).tree)
                    tree_changes.between(past.store, [pair], only=PLANS_FOLDER)[0].told()
    past.store.drop()


def _portions(commits: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(commits), AT_ONCE):
        yield commits[start : start + AT_ONCE]


def _compare(past: Past, commits: Sequence[str], *, only: str) -> dict[str, Compared]:
    above = {oid: next(iter(past.graph.parents(oid)), None) for oid in commits}
    past.store.drop()
    past.store.read_ahead([*commits, *filter(None, above.values())])
    found: dict[str, Compared] = {}
    pairs: dict[str, Pair] = {}
    for oid, parent in above.items():
        try:
            old = past.commit(parent).tree if parent else None
            pairs[oid] = Pair(old=old, new=past.commit(oid).tree)
        except GitError as error:
            found[oid] = Compared(error=error)
    told = tree_changes.between(past.store, list(pairs.values()), only=only)
    found |= dict(zip(pairs, told, strict=True))
    return {oid: found[oid] for oid in commits}
