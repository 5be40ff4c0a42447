"""What is kept of objects in memory is right, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.git import objects, objects_kept
from runner.git.objects import FILE, FOLDER, Entry
from runner.git.objects_kept import Collected, Recent
from runner.git.objects_tree import Pieces

NAMES = st.text("ab-.0/é", min_size=1, max_size=3).map(lambda name: name.replace("/", "0"))
ENTRIES = st.builds(Entry, mode=st.sampled_from([FILE, FOLDER]), oid=st.just("1" * 40))


@given(first=st.dictionaries(NAMES, ENTRIES), second=st.dictionaries(NAMES, ENTRIES))
def test_changed_pieces_are_those_of_the_changed_tree(
    first: dict[str, Entry], second: dict[str, Entry]
) -> None:
    """Entries dropped and put one by one give the bytes of the whole tree, and no copy changes."""
    pieces = pieces_of(first)
    before, copy = pieces.rendered(), pieces.copy()
    for name, entry in first.items():
        copy.drop(objects.tree_key(name, entry))
    for name, entry in second.items():
        copy.put(objects.tree_key(name, entry), objects.tree_piece(name, entry))
    assert copy.rendered() == objects.render_tree(second)
    assert pieces.rendered() == before == objects.render_tree(first)


def pieces_of(tree: dict[str, Entry]) -> Pieces:
    return Pieces((objects.tree_key(*each), objects.tree_piece(*each)) for each in tree.items())


def test_what_was_used_last_is_kept() -> None:
    """The value that was not used for longest goes first, and one that is too large is not kept."""
    recent: Recent[str, int] = Recent(40)
    for number, name in enumerate("abcd"):
        recent.put(name, number, 10)
    assert recent.get("a") == 0
    recent.put("e", 4, 10)
    assert [recent.get(name) for name in "abcde"] == [0, None, 2, 3, 4]
    recent.put("f", 5, 11)
    assert recent.get("f") is None


def test_each_object_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written already does not wait again; too much is asked to be written at once."""
    monkeypatch.setattr(objects_kept, "MOST_COLLECTED", 3)
    monkeypatch.setattr(objects_kept, "MOST_WRITTEN", 1)
    spilled: list[int] = []
    collected = Collected(lambda: spilled.append(len(collected.done())))
    for oid in "aab":
        collected.add(oid, "blob", b"xx")
    assert spilled == [2]
    collected.add("a", "blob", b"xx")
    assert collected.waiting() == []
    collected.add("c", "blob", b"xx")
    assert collected.get("c") == ("c", "blob", b"xx")
    collected.done()
    collected.add("a", "blob", b"xx")  # forgotten, and written again
    assert [oid for oid, _, _ in collected.waiting()] == ["a"]
