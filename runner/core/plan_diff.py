"""What differs between two versions of a plan, step by step, for somebody who read the first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from runner.core.canonical import canonical_json
from runner.core.plan import HEADER, Plan, PlanFile, Step
from runner.core.text import visible

State = Literal[
    "unchanged", "context", "moved", "changed", "added", "removed", "not_approved", "unknown"
]


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field then and now, safe to show; None where it was or is absent."""

    field: str
    then: str | None
    now: str | None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A step of both versions, or of one: its place then and now, counted from 0."""

    then: int | None
    now: int | None
    moved: bool = False


def header_changes(then: Plan, now: Plan) -> tuple[FieldChange, ...]:
    """What differs in the fields that every step's digest covers."""
    old, new = ({name: getattr(each, name) for name in HEADER} for each in (then, now))
    return field_changes(_present(old), _present(new))


def note_changes(then: Plan, now: Plan) -> tuple[FieldChange, ...]:
    """What differs in the fields that no digest covers."""
    return (
        *field_changes(_notes(then), _notes(now)),
        *_lines("assumptions", then.assumptions, now.assumptions),
        *_lines("questions", then.questions, now.questions),
    )


def _notes(plan: Plan) -> dict[str, Any]:
    budget, planner = plan.budget, plan.planner
    model = planner.model if planner else None
    found = {"planner": model, "budget.usd": budget.usd, "budget.tokens": budget.tokens}
    return _present(found)


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _lines(field: str, then: Sequence[str], now: Sequence[str]) -> Iterator[FieldChange]:
    for line in then:
        if line not in now:
            yield FieldChange(field=field, then=visible(line), now=None)
    for line in now:
        if line not in then:
            yield FieldChange(field=field, then=None, now=visible(line))


def field_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Compare two mappings field by field."""
    found = []
    for name in dict.fromkeys([*then, *now]):
        old, new = ([each[name]] if name in each else [] for each in (then, now))
        if canonical_json(old) != canonical_json(new):
            a, b = ([_text(value) for value in values] for values in (old, new))
            if a == b:  # a list of one text and that text, say
                a, b = ([_json(value) for value in values] for values in (old, new))
            found.append(FieldChange(field=name, then=(*a, None)[0], now=(*b, None)[0]))
    return tuple(found)


def _text(value: Any) -> str:
    """A value as people read it: texts bare, lists by their items, the rest as JSON."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return visible(", ".join(value) or "none")
    return _json(value)


def _json(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def step_fields(step: Step) -> dict[str, Any]:
    """A step's fields by name, those of its input with `input.` before."""
    inner = {f"input.{name}": value for name, value in step.input.items()}
    own = {"id": step.id, "step_type": step.step_type, "description": step.description}
    undo = step.undo.model_dump(exclude_unset=True) if step.undo else {}
    return own | inner | {f"undo.{name}": value for name, value in undo.items()}


def same_content(then: Step, now: Step) -> bool:
    return canonical_json(then.model_dump()) == canonical_json(now.model_dump())


def pairs(then: Plan, now: Plan) -> tuple[Pair, ...]:
    """Match steps by id, else by what they do; what is gone stands behind what it followed."""
    kept = _kept_in_order([each.id for each in then.steps], [each.id for each in now.steps])
    partners = _partners(then, now)
    known = {step.id for step in then.steps}
    found = [
        Pair(then=partners.get(number), now=number, moved=step.id in known and step.id not in kept)
        for number, step in enumerate(now.steps)
    ]
    for number in range(len(then.steps)):
        if number not in partners.values():
            found.insert(_behind(found, number), Pair(then=number, now=None))
    return tuple(found)


def _partners(then: Plan, now: Plan) -> dict[int, int]:
    """The place of each step now → its place then; a renamed step is found by what it does."""
    places = {step.id: number for number, step in enumerate(then.steps)}
    found = {n: places[step.id] for n, step in enumerate(now.steps) if step.id in places}
    left: dict[bytes, list[int]] = {}
    for number, step in enumerate(then.steps):
        if number not in found.values():
            left.setdefault(_deed(step), []).append(number)
    for number, step in enumerate(now.steps):
        if number not in found and left.get(_deed(step)):
            found[number] = left[_deed(step)].pop(0)
    return found


def _deed(step: Step) -> bytes:
    undo = step.undo.model_dump() if step.undo else None
    return canonical_json([step.step_type, step.input, undo])


def _kept_in_order(old: Sequence[str], new: Sequence[str]) -> frozenset[str]:
    """Steps whose order among one another is as it was."""
    both = set(old) & set(new)
    a, b = ([name for name in names if name in both] for names in (old, new))
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return frozenset(name for block in blocks for name in a[block.a : block.a + block.size])


def _behind(found: Sequence[Pair], number: int) -> int:
    """Where a step that is gone belongs: behind the one that it followed."""
    places = [place for place, each in enumerate(found) if each.then == number - 1]
    return places[0] + 1 if places else 0


def state(
    pair: Pair, then: PlanFile, now: PlanFile, approved: Mapping[str, frozenset[str]]
) -> State:
    """How a step stands for a person whose approvals name these digests of each step."""
    if pair.now is None:
        return "removed"
    step = now.plan.steps[pair.now]
    if now.digests[pair.now] in approved.get(step.id, ()):
        return "unchanged"
    if pair.then is None:
        return "added"
    if not same_content(then.plan.steps[pair.then], step):
        return "changed"
    if then.digests[pair.then] not in approved.get(step.id, ()):
        return "not_approved"
    return "moved" if pair.moved else "context"
