"""A work tree of its own, filled from a new commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from overlaid import work_tree
from team import Team

from runner.git.objects import ObjectStore
from runner.git.worktree import WorkTree


@contextmanager
def filled(
    team: Team, place: Path, files: Mapping[str, str], *, kind: str = "plain"
) -> Iterator[WorkTree]:
    team.commit(files, "Files")
    commit = team.git("rev-parse", "HEAD")
    with ObjectStore(team.root / ".git", team.root / ".git/objects") as store:
        tree = work_tree(kind, place, store)
        tree.fill(store.commit(commit).tree, commit)
        tree.index()
        try:
            yield tree
        finally:
            if tree.root.exists():
                tree.remove()
