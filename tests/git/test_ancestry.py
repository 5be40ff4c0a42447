"""Who descends from whom, against sets made the plain way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.git.ancestry import Ancestry

Histories = list[tuple[str, tuple[str, ...]]]


@st.composite
def histories(draw: st.DrawFn) -> Histories:
    """Commits named by numbers, each with up to three parents among those before it."""
    found: Histories = []
    for number in range(draw(st.integers(1, 12))):
        earlier = [name for name, _ in found]
        some = (
            st.lists(st.sampled_from(earlier), max_size=3, unique=True) if earlier else st.just([])
        )
        found.append((str(number), tuple(draw(some))))
    return found


def above(history: Histories) -> dict[str, set[str]]:
    """Each commit's ancestors, itself included."""
    found: dict[str, set[str]] = {}
    for name, parents in history:
        found[name] = {name}.union(*(found[each] for each in parents))
    return found


@given(histories(), st.data())
def test_questions_are_answered_as_from_whole_sets(history: Histories, data: st.DataObject) -> None:
    """Whatever the merges, a commit descends from exactly those that some way leads to."""
    ancestry, told = Ancestry(history), above(history)
    names = st.sampled_from([*told, "unknown"])
    one, other = data.draw(names), data.draw(names)
    assert ancestry.descends(one, other) == (other in told.get(one, ()))
    wanted, tips = data.draw(st.sets(names)), data.draw(st.lists(names))
    assert ancestry.among(wanted, tips) == wanted & set().union(*(told.get(t, ()) for t in tips))
    assert list(ancestry) == list(told)
    assert {name: ancestry.parents(name) for name in ancestry} == dict(history)


@given(histories(), st.data())
def test_each_commit_is_met_once(history: Histories, data: st.DataObject) -> None:
    """What was marked by earlier tips does not come again."""
    ancestry, told = Ancestry(history), above(history)
    marks = bytearray(len(ancestry))
    first, second = (data.draw(st.lists(st.sampled_from([*told]))) for _ in range(2))
    before = set().union(*(told[each] for each in first))
    assert sorted(ancestry.unmarked(marks, first)) == sorted(before)
    after = set().union(*(told[each] for each in second)) - before
    assert sorted(ancestry.unmarked(marks, second)) == sorted(after)


def test_lines_follow_first_parents() -> None:
    """The line of a branch leaves out what was merged into it."""
    ancestry = Ancestry([("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("c", "b"))])
    assert list(ancestry.first_parents("d")) == ["d", "c", "a"]
    assert list(ancestry.first_parents("unknown")) == []
