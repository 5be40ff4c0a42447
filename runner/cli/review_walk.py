"""The walk through a review, without a terminal: keys in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Word = Literal["approve", "reject", "skip"]
Wants = Literal["key", "objection", "summary", "sign", "quit"]

KEYS: Mapping[str, str] = {
    "a": "approve this step",
    "r": "reject this step: a run leaves it out",
    "s": "skip: decide nothing about this step now",
    "A": "approve all steps of this plan that are left",
    "S": "skip all steps of this plan that are left",
    "b": "back to the step before",
    "v": "view the whole step in the pager",
    "q": "quit: nothing is signed",
    "?": "say what the keys do",
}


CONFIRM: Mapping[str, Wants] = {"y": "sign", "n": "quit", "\r": "quit", "\n": "quit"}


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A step on the way: always `asked`, or only where one before it is rejected on the way."""

    plan: int
    step: int
    asked: bool
    asked_behind_reject: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    word: Word
    objection: str = ""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Where the reviewer stands: `at` counts stops, `wants` says what is to come next.

    `passed` are the stops on the way here from where the reviewer was before.
    """

    stops: Sequence[Stop]
    at: int = -1
    wants: Wants = "key"
    choices: Mapping[int, Choice] = field(default_factory=dict)
    passed: tuple[int, ...] = ()


def start(stops: Sequence[Stop]) -> Walk:
    """Go to the first step that is asked."""
    return _forward(Walk(stops=stops), 0)


def press(walk: Walk, key: str) -> Walk:
    """Take one key; one that means nothing here changes nothing."""
    words: Mapping[str, Word] = {"a": "approve", "s": "skip", "A": "approve", "S": "skip"}
    if walk.wants == "summary" and key in CONFIRM:
        return replace(walk, wants=CONFIRM[key], passed=())
    if key == "q":
        return replace(walk, wants="quit", passed=())
    if key == "b":
        return _back(walk)
    if walk.wants != "key" or key not in {"r", *words}:
        return walk
    if key == "r":
        return replace(walk, wants="objection", passed=())
    choice = Choice(word=words[key])
    return _choose_rest(walk, choice) if key.isupper() else _choose(walk, choice)


def object_to(walk: Walk, objection: str | None) -> Walk:
    """Take the reason of a rejection; None goes back to the keys."""
    if objection is None:
        return replace(walk, wants="key", passed=())
    return _choose(walk, Choice(word="reject", objection=objection))


def asked(walk: Walk) -> list[int]:
    """Stops where the reviewer is asked, by what they have rejected so far."""
    found: list[int] = []
    with_rejects: set[int] = set()
    for number, stop in enumerate(walk.stops):
        if stop.asked or (stop.asked_behind_reject and stop.plan in with_rejects):
            found.append(number)
            if _word(walk, number) == "reject":
                with_rejects.add(stop.plan)
    return found


def decided(walk: Walk) -> Iterator[tuple[Stop, Choice]]:
    """What the reviewer approves and rejects, in order."""
    for number in asked(walk):
        if _word(walk, number) in {"approve", "reject"}:
            yield walk.stops[number], walk.choices[number]


def _word(walk: Walk, number: int) -> str:
    choice = walk.choices.get(number)
    return choice.word if choice else ""


def _choose(walk: Walk, choice: Choice) -> Walk:
    made = replace(walk, choices={**walk.choices, walk.at: choice})
    return _forward(made, walk.at + 1)


def _choose_rest(walk: Walk, choice: Choice) -> Walk:
    """Decide the same about this step and all that are left of its plan."""
    plan, first = walk.stops[walk.at].plan, walk.at
    last = max(number for number, stop in enumerate(walk.stops) if stop.plan == plan)
    rest = [number for number in asked(walk) if first <= number <= last]
    made = replace(walk, choices={**walk.choices, **dict.fromkeys(rest, choice)})
    return replace(_forward(made, last + 1), passed=_between(made, first + 1, last + 1))


def _between(walk: Walk, first: int, after: int) -> tuple[int, ...]:
    """The stops from `first` up to the next one that is asked, no sooner than `after`."""
    end = next((number for number in asked(walk) if number >= after), len(walk.stops))
    return tuple(range(first, end))


def _forward(walk: Walk, first: int) -> Walk:
    """Go to the first stop that is asked, from this one on, or to the end."""
    passed = _between(walk, first, first)
    at = first + len(passed)
    moved = replace(walk, at=at, wants="key", passed=passed)
    if at < len(walk.stops):
        return moved
    return replace(moved, wants="summary" if any(decided(moved)) else "quit")


def _back(walk: Walk) -> Walk:
    before = [number for number in asked(walk) if number < walk.at]
    return replace(walk, at=before[-1], wants="key", passed=()) if before else walk
