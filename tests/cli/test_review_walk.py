"""The walk through a review as a pure state machine: keys in, verdicts out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import review_walk
from runner.cli.review_walk import KEYS, Stop, Walk


def stops(*plans: str) -> list[Stop]:
    """A letter a step: `a` asked, `f` asked only behind a reject, `-` never."""
    return [
        Stop(plan=plan, step=step, asked=letter == "a", asked_behind_reject=letter == "f")
        for plan, letters in enumerate(plans)
        for step, letter in enumerate(letters)
    ]


def walked(keys: str, *plans: str) -> Walk:
    """Press keys one after another; `r` is followed by an empty objection."""
    walk = review_walk.start(stops(*plans))
    for key in keys:
        walk = review_walk.press(walk, key)
        if walk.wants == "objection":
            walk = review_walk.object_to(walk, "")
    return walk


def verdicts(walk: Walk) -> str:
    """The first letters of what was decided, `.` where nothing was."""
    made = {(stop.plan, stop.step): choice.word[0] for stop, choice in review_walk.decided(walk)}
    return "".join(made.get((stop.plan, stop.step), ".") for stop in walk.stops)


@pytest.mark.parametrize(
    "keys,plans,expected",
    [
        ("aa", ["aa"], "aa"),
        ("ar", ["aa"], "ar"),
        ("as", ["aa"], "a."),
        ("A", ["aaa"], "aaa"),
        ("rA", ["aaa"], "raa"),
        ("aS", ["aaa"], "a.."),
        ("Aa", ["aa", "a"], "aaa"),
        ("SA", ["aa", "aa"], "..aa"),
        ("aba", ["aa"], "a."),
        ("abr", ["aa"], "r."),
        ("a", ["fa-"], ".a."),
        ("ra", ["af"], "ra"),
        ("rs", ["af"], "r."),
        ("ra", ["af", "f"], "ra."),
        ("rA", ["aff"], "raa"),
        ("rabba", ["af"], "a."),
        ("x\r\n ?vya", ["a"], "a"),
    ],
)
def test_keys_become_verdicts(keys: str, plans: list[str], expected: str) -> None:
    """Each key decides about one step, or the capital ones about the rest of the plan."""
    assert verdicts(walked(keys, *plans)) == expected


def test_a_reject_that_is_taken_back_asks_nothing_behind_it() -> None:
    """What was said about steps that are asked only behind a reject does not count any more."""
    walk = walked("ra", "af")
    assert (walk.wants, verdicts(walk)) == ("summary", "ra")
    walk = review_walk.press(review_walk.press(walk, "b"), "b")
    assert verdicts(review_walk.press(walk, "a")) == "a."


def test_what_is_passed_is_told() -> None:
    """Steps that are not asked, and those that a capital key decides, are shown on the way."""
    walk = walked("", "-fa-", "-a")
    assert (walk.at, walk.passed) == (2, (0, 1))
    walk = review_walk.press(walk, "a")
    assert (walk.at, walk.passed) == (5, (3, 4))
    walk = walked("A", "aa-a", "a")
    assert (walk.at, walk.passed) == (4, (1, 2, 3))


@pytest.mark.parametrize(
    "keys,wants",
    [
        ("", "key"),
        ("a", "summary"),
        ("s", "quit"),
        ("q", "quit"),
        ("ay", "sign"),
        ("an", "quit"),
        ("a\r", "quit"),
        ("aq", "quit"),
        ("ab", "key"),
        ("ax", "summary"),
        ("aA", "summary"),
        ("b", "key"),
    ],
)
def test_what_comes_next(keys: str, wants: str) -> None:
    """Only `y` at the summary signs; Enter there does not, and no summary comes without a verdict."""
    assert walked(keys, "a").wants == wants


def test_a_key_that_means_nothing_gives_the_same_walk() -> None:
    """So that the screen stays as it is."""
    walk = walked("", "a")
    assert all(review_walk.press(walk, key) is walk for key in ("\r", "y", "", "aa", "\x1b[A", "b"))


def test_an_objection_can_be_left() -> None:
    """Whoever pressed `r` by mistake is asked again."""
    walk = review_walk.press(walked("", "aa"), "r")
    assert walk.wants == "objection"
    again = review_walk.object_to(walk, None)
    assert (again.wants, again.at, verdicts(again)) == ("key", 0, "..")


def test_objections_are_kept() -> None:
    """The reason stands beside the rejection."""
    walk = review_walk.object_to(review_walk.press(walked("", "a"), "r"), "no need")
    ((_, choice),) = review_walk.decided(walk)
    assert (choice.word, choice.objection) == ("reject", "no need")


@given(
    st.lists(st.text("af-", min_size=1, max_size=5), min_size=1, max_size=3),
    st.text([*KEYS, "y", "n", "\r", "x"], max_size=30),
)
def test_nothing_is_approved_that_was_not_on_the_way(plans: list[str], keys: str) -> None:
    """Whatever is pressed, verdicts are about asked steps that were shown before."""
    if not any("a" in letters for letters in plans):
        plans = [*plans, "a"]
    walk = review_walk.start(stops(*plans))
    shown = {*walk.passed, walk.at}
    for key in keys:
        walk = review_walk.press(walk, key)
        if walk.wants == "objection":
            walk = review_walk.object_to(walk, "")
        shown |= {*walk.passed, walk.at}
    for stop, _ in review_walk.decided(walk):
        number = walk.stops.index(stop)
        assert number in shown
        assert stop.asked or stop.asked_behind_reject
