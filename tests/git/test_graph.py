"""The graph of commits and the differences of trees, against git's own answers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import GitError
from runner.git import graph
from runner.git.graph import Change
from runner.git.objects import EXECUTABLE, FILE, LINK, Entry, NewCommit, ObjectStore, Signature

NAMES = st.sampled_from(["a", "b", "a.b", "ä", "c d", "b\n"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
LEAVES = st.tuples(st.sampled_from([FILE, EXECUTABLE, LINK]), st.sampled_from([b"1", b"2"]))
TREES = st.dictionaries(PATHS, LEAVES, max_size=6)
BY = Signature(name="a", email="a@example.com", when=1_700_000_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    git_dir = tmp_path_factory.mktemp("bare") / "it.git"
    subprocess.run(["git", "init", "-q", "--bare", str(git_dir)], check=True)
    with ObjectStore(git_dir, git_dir / "objects") as opened:
        yield opened


def write(store: ObjectStore, files: dict[str, tuple[str, bytes]]) -> str:
    """Write a tree; a path that runs through an earlier file takes its place."""
    tree = store.write_tree({})
    for path, (mode, data) in files.items():
        entry = Entry(mode=mode, oid=store.write("blob", data))
        tree = store.edit_tree(tree, {path: entry})
    return tree


def commit(store: ObjectStore, tree: str, *parents: str) -> str:
    draft = NewCommit(tree=tree, parents=parents, by=BY, message="x\n")
    return store.write("commit", draft.unsigned())


def by_path(changes: list[Change]) -> list[tuple[str, Entry | None, Entry | None]]:
    """Sort; a file that became a folder is a change of several paths."""
    return sorted(((each.path, each.old, each.new) for each in changes), key=lambda each: each[0])


@settings(max_examples=40, deadline=None)
@given(before=TREES, after=TREES)
def test_difference_of_trees_is_gits(
    store: ObjectStore,
    before: dict[str, tuple[str, bytes]],
    after: dict[str, tuple[str, bytes]],
) -> None:
    """Comparing in process gives what `git diff-tree` gives, whatever the names and kinds."""
    old, new = write(store, before), write(store, after)
    first = commit(store, old)
    second = commit(store, new, first)
    told = [each.change for each in graph.touches(store.git_dir, [second], folder=".")]
    assert by_path(list(graph.diff(store, old, new))) == by_path(told)


def test_merges_are_compared_with_every_parent(store: ObjectStore) -> None:
    """What a merge dropped of either side is told."""
    file = (FILE, b"1")
    left = commit(store, write(store, {"p/left": file}))
    right = commit(store, write(store, {"p/right": file}))
    merge = commit(store, write(store, {"p/left": file}), left, right)
    told = graph.touches(store.git_dir, [merge], folder="p")
    gone = [each.change.path for each in told if each.change.new is None]
    assert gone == ["p/right"]


def test_commits_come_after_their_parents(store: ObjectStore) -> None:
    """A history is told from its root on, each commit with all its parents."""
    tree = write(store, {})
    root = commit(store, tree)
    side = commit(store, write(store, {"x": (FILE, b"1")}), root)
    tip = commit(store, tree, root, side)
    assert list(graph.commits(store.git_dir, [tip])) == [
        (root, ()),
        (side, (root,)),
        (tip, (root, side)),
    ]


def test_missing_commits_are_an_error(store: ObjectStore, tmp_path: Path) -> None:
    """A history that is not all there is never taken for a shorter one."""
    orphan = commit(store, write(store, {}), "1" * 40)
    with pytest.raises(GitError):
        list(graph.commits(store.git_dir, [orphan]))
    with pytest.raises(GitError):
        list(graph.commits(tmp_path, ["1" * 40]))
