"""Differences of many trees at once, against those of two at a time, and against broken objects."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import GitError
from runner.git import graph, objects_ahead, tree_changes
from runner.git.graph import Change
from runner.git.objects import FILE, LINK, Entry
from runner.git.objects_ahead import AheadStore
from runner.git.tree_changes import Pair

NAMES = st.sampled_from(["a", "b", "a.b", "ä", "c d", "1 x"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
LEAVES = st.tuples(st.sampled_from([FILE, LINK]), st.sampled_from([b"1", b"2"]))
TREES = st.dictionaries(PATHS, LEAVES, max_size=6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AheadStore]:
    git_dir = tmp_path_factory.mktemp("bare") / "it.git"
    subprocess.run(["git", "init", "-q", "--bare", str(git_dir)], check=True)
    with AheadStore(git_dir, git_dir / "objects") as opened:
        yield opened


def write(store: AheadStore, files: dict[str, tuple[str, bytes]]) -> str:
    tree = store.write_tree({})
    for path, (mode, data) in files.items():
        entry = Entry(mode=mode, oid=store.write("blob", data))
        tree = store.edit_tree(tree, {path: entry})
    return tree


def raw(*entries: tuple[str, str, str]) -> bytes:
    return b"".join(
        b"%b %b\0%b" % (m.encode(), n.encode(), bytes.fromhex(o)) for m, n, o in entries
    )


def sorted_by_path(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda each: (each.path, each.new is None))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TREES, TREES), max_size=4))
def test_many_are_compared_as_two_are(
    store: AheadStore, pairs: list[tuple[dict[str, tuple[str, bytes]], ...]]
) -> None:
    """Reading whole levels together changes no answer."""
    trees = [(write(store, old), write(store, new)) for old, new in pairs]
    store.drop()
    found = tree_changes.between(store, [Pair(old=old, new=new) for old, new in trees])
    for (old, new), compared in zip(trees, found, strict=True):
        wanted = list(graph.diff(store, old, new))
        assert sorted_by_path(compared.told()) == sorted_by_path(wanted)


def test_one_name_of_the_top(store: AheadStore) -> None:
    """With a name, nothing else at the top is looked at; below it everything is."""
    tree = write(store, {"p/p": (FILE, b"1"), "p/q": (FILE, b"1"), "q/p": (FILE, b"1")})
    found = tree_changes.between(store, [Pair(old=None, new=tree)], only="p")[0]
    assert sorted(each.path for each in found.told()) == ["p/p", "p/q"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"100644 cut", id="cut"),
        pytest.param(raw((FILE, "x", "1" * 40))[:-1], id="short"),
        pytest.param(b"x" + raw((FILE, "x", "1" * 40)), id="no-mode"),
        pytest.param(raw((FILE, "x", "1" * 40), (FILE, "x", "2" * 40)), id="twice"),
    ],
)
def test_malformed_trees_are_told_of_by_themselves(store: AheadStore, data: bytes) -> None:
    """A tree that is not exactly one, or has a name twice, is an error; its neighbours are not."""
    broken, sound = store.write("tree", data), write(store, {"a": (FILE, b"1")})
    pairs = [Pair(old=None, new=broken), Pair(old=None, new=sound)]
    first, second = tree_changes.between(store, pairs)
    with pytest.raises(GitError, match="malformed"):
        first.told()
    assert [each.path for each in second.told()] == ["a"]


def test_broken_objects_are_told_of_when_they_are_read(store: AheadStore) -> None:
    """Neither a missing object nor one with another content spoils what is read with it."""
    sound = store.write("blob", b"sound")
    other = store.write("blob", b"other")
    path = store.objects / other[:2] / other[2:]
    false = store.objects / "ab" / ("c" * 38)
    false.parent.mkdir(exist_ok=True)
    false.write_bytes(path.read_bytes())
    store.drop()
    store.read_ahead([sound, "1" * 40, f"ab{'c' * 38}", other])
    assert store.blob(sound) == b"sound"
    assert store.blob(other) == b"other"
    for oid in ("1" * 40, f"ab{'c' * 38}"):
        with pytest.raises(GitError):
            store.blob(oid)


def test_more_than_fits_is_read_when_it_is_needed(store: AheadStore) -> None:
    """What is read ahead has a bound, beyond which nothing is lost."""
    size = objects_ahead.MOST_BYTES // 2 + 1
    oids = [store.write("blob", bytes([number]) * size) for number in range(3)]
    store.drop()
    store.read_ahead(oids)
    assert [store.blob(oid)[:1] for oid in oids] == [b"\0", b"\1", b"\2"]
