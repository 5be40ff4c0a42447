from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from gate_cases import CHECK, EDIT, READ, make_plan, step
from hypothesis import given
from hypothesis import strategies as st

from runner.core import plan_diff
from runner.core.plan import PlanFile
from runner.core.plan_diff import FieldChange

BASE = [READ, EDIT, CHECK]


def approved(plan: PlanFile, *names: str) -> Mapping[str, frozenset[str]]:
    """What an approval of these steps, or of all, names."""
    pairs = zip(plan.plan.steps, plan.digests, strict=True)
    return {each.id: frozenset({digest}) for each, digest in pairs if not names or each.id in names}


def states(then: PlanFile, now: PlanFile, *names: str) -> list[tuple[str, str]]:
    """Each step with how it stands, in the order shown."""
    found: list[tuple[str, str]] = []
    for pair in plan_diff.pairs(then.plan, now.plan):
        place = pair.now if pair.now is not None else pair.then
        plan = now if pair.now is not None else then
        name = plan.plan.steps[place or 0].id
        found.append((name, plan_diff.state(pair, then, now, approved(then, *names))))
    return found


def changed(then: Any, now: Any) -> tuple[FieldChange, ...]:
    return plan_diff.field_changes({"x": then}, {"x": now})


class TestStates:
    def test_a_change_leaves_what_is_before_and_shifts_what_is_behind(self) -> None:
        """Before it unchanged, behind it the same content under another digest."""
        then = make_plan(*BASE)
        now = make_plan(READ, {**EDIT, "description": "other"}, CHECK)
        assert states(then, now) == [
            ("read", "unchanged"),
            ("edit", "changed"),
            ("check", "context"),
        ]

    def test_appended_and_removed_steps(self) -> None:
        """What is gone stands where it was; what came stands where it is."""
        then, now = (
            make_plan(*BASE),
            make_plan(READ, CHECK, step("new", "run_command", command="x")),
        )
        assert states(then, now) == [
            ("read", "unchanged"),
            ("edit", "removed"),
            ("check", "context"),
            ("new", "added"),
        ]

    def test_a_removed_first_step_stands_first(self) -> None:
        """Nothing is left before it that it could stand behind."""
        assert states(make_plan(*BASE), make_plan(EDIT, CHECK))[0] == ("read", "removed")

    def test_a_moved_step_is_called_so_once(self) -> None:
        """Of two steps that changed places one has moved, and its content is known."""
        found = states(make_plan(*BASE), make_plan(READ, CHECK, EDIT))
        assert sorted(state for _, state in found) == ["context", "moved", "unchanged"]

    def test_a_renamed_step_is_changed_and_not_new(self) -> None:
        """What it does is the same, so it is not to be read as a new step."""
        then, now = make_plan(*BASE), make_plan(READ, {**EDIT, "id": "write"}, CHECK)
        assert states(then, now)[1:] == [("write", "changed"), ("check", "context")]

    def test_a_change_of_the_header_leaves_nothing_unchanged(self) -> None:
        """Every digest covers the goal."""
        found = states(make_plan(*BASE), make_plan(*BASE, goal="Else"))
        assert {state for _, state in found} == {"context"}

    def test_what_was_never_approved_is_not_called_known(self) -> None:
        """Neither where its digest is as it was, nor behind a change."""
        then = make_plan(*BASE)
        assert states(then, then, "read") == [
            ("read", "unchanged"),
            ("edit", "not_approved"),
            ("check", "not_approved"),
        ]
        now = make_plan({**READ, "description": "other"}, EDIT, CHECK)
        assert states(then, now, "read", "edit")[1:] == [
            ("edit", "context"),
            ("check", "not_approved"),
        ]

    @given(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), st.data())
    def test_every_step_of_both_versions_is_told_once(
        self, old: list[str], data: st.DataObject
    ) -> None:
        """Nothing is lost in the comparison, and the order of now is kept."""
        new = data.draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1))
        then, now = (
            make_plan(*(step(name, "run_command", command=name) for name in names))
            for names in (old, new)
        )
        pairs = plan_diff.pairs(then.plan, now.plan)
        assert [pair.now for pair in pairs if pair.now is not None] == list(range(len(new)))
        assert sorted(pair.then for pair in pairs if pair.then is not None) == list(range(len(old)))
        for pair in pairs:
            if pair.then is not None and pair.now is not None:
                assert old[pair.then] == new[pair.now]


class TestFields:
    @pytest.mark.parametrize(
        "then,now,expected",
        [
            ("a", "b", ("a", "b")),
            (["a", "b"], ["a"], ("a, b", "a")),
            ([], ["a"], ("none", "a")),
            (60, 90, ("60", "90")),
            ({"A": "1"}, {"A": "2"}, ('{"A": "1"}', '{"A": "2"}')),
        ],
    )
    def test_values_are_written_as_people_read_them(
        self, then: Any, now: Any, expected: tuple[str, str]
    ) -> None:
        """Texts bare, lists by their items, the rest as JSON."""
        (found,) = changed(then, now)
        assert (found.then, found.now) == expected

    @pytest.mark.parametrize(
        "then,now", [(["a, b"], ["a", "b"]), ("1", 1), (1, True), ("none", []), ("null", None)]
    )
    def test_values_that_look_alike_are_told_apart(self, then: Any, now: Any) -> None:
        """A change that would read as none is written exactly."""
        (found,) = changed(then, now)
        assert found.then != found.now

    def test_equal_values_are_no_change(self) -> None:
        """Whatever the order of keys."""
        assert not changed({"a": 1, "b": 2}, {"b": 2, "a": 1})

    def test_absent_fields_are_none(self) -> None:
        """What came and what went are told apart from what changed."""
        came, went = plan_diff.field_changes({"went": "x"}, {"came": "y"})[::-1]
        assert (came.field, came.then, came.now) == ("came", None, "y")
        assert (went.field, went.then, went.now) == ("went", "x", None)

    def test_hidden_characters_are_shown(self) -> None:
        """A stranger's text is written so that it can be seen."""
        (found,) = changed("a\x1b[2J", "a\u202e")
        assert (found.then, found.now) == ("a\\x1b[2J", "a\\u202e")

    def test_header_and_notes_are_told_apart(self) -> None:
        """The goal is covered by digests; budget, planner, assumptions and questions are not."""
        then = make_plan(READ, questions=["Why?", "Still?"], budget={"usd": "1"}).plan
        now = make_plan(READ, goal="Else", questions=["Still?", "How?"], budget={"tokens": 5}).plan
        (header,) = plan_diff.header_changes(then, now)
        assert (header.field, header.then, header.now) == ("goal", "Do it", "Else")
        notes = [(each.field, each.then, each.now) for each in plan_diff.note_changes(then, now)]
        assert notes == [
            ("budget.usd", "1", None),
            ("budget.tokens", None, "5"),
            ("questions", "Why?", None),
            ("questions", None, "How?"),
        ]
