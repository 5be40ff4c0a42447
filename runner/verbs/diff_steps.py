"""Two versions of a plan side by side: what a reader of the first finds new in each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.core import plan_diff
from runner.core.amendment import is_draft
from runner.core.errors import Reason
from runner.core.plan import PlanFile
from runner.core.plan_diff import FieldChange, Pair, State
from runner.core.text import visible
from runner.git.objects import ObjectStore
from runner.verbs.diff_versions import Approved
from runner.verbs.evidence import PlanAt
from runner.verbs.preview import StepPreview, simulate, unified_diff
from runner.verbs.show import PlanView, StepView, base_tree, reached

# What a step does to a file is told by the file that comes of it.
CONTENT = frozenset({"input.new_content", "input.edits", "input.delete"})
TO_READ = frozenset({"changed", "added", "not_approved", "unknown"})
# By step: why the last approval of what it is now does not count; nothing where one counts.
Standing = Mapping[str, tuple[Reason, ...]]


@dataclass(frozen=True, kw_only=True)
class StepChange:
    """One step then and now; places count from 1, and are 0 where it is not.

    `stands` tells whether the person's approval of it counts, `lapse` why one of this very
    content does not. `diff` goes from the file as the step left it then to as it leaves it now.
    `view` has the whole step where it is to be read.
    """

    number: int
    was: int
    id: str
    step_type: str
    line: str
    state: State
    stands: bool
    lapse: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    path: str = ""
    diff: tuple[str, ...] = ()
    view: StepView | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both versions with their edits played, and which approvals of now count."""

    then: PlanFile
    now: PlanFile
    old: Sequence[StepPreview]
    new: Sequence[StepPreview]
    view: PlanView
    approved: Approved
    standing: Standing


def compare(  # noqa: PLR0913  # a comparison has two sides, a reader and what they approved
    store: ObjectStore,
    then: PlanFile,
    plan: PlanAt,
    *,
    view: PlanView,
    approved: Approved,
    standing: Standing,
) -> tuple[StepChange, ...]:
    """Tell of every step, in the order of now, how it stands."""
    now = plan.file
    sides = Comparison(
        then=then,
        now=now,
        old=simulate(store, base_tree(store, then.plan), then.plan),
        new=simulate(store, base_tree(store, now.plan), now.plan, reached(plan)),
        view=view,
        approved=approved,
        standing=standing,
    )
    return tuple(_change(sides, pair) for pair in plan_diff.pairs(then.plan, now.plan))


def _change(sides: Comparison, pair: Pair) -> StepChange:
    state = plan_diff.state(pair, sides.then, sides.now, sides.approved)
    if pair.now is None:
        return _removed(sides, pair.then or 0)
    step = sides.view.steps[pair.now]
    diff = _result_diff(sides, pair)
    return StepChange(
        number=step.number,
        was=0 if pair.then is None else pair.then + 1,
        id=step.id,
        step_type=step.step_type,
        line=step.line,
        state=state,
        stands=sides.standing.get(step.id) == (),
        lapse=sides.standing.get(step.id, ()),
        fields=tuple(_fields(sides, pair, told=bool(diff))) if state == "changed" else (),
        path=step.path,
        diff=diff,
        view=step if state in TO_READ else None,
    )


def _removed(sides: Comparison, place: int) -> StepChange:
    was = sides.old[place]
    return StepChange(
        number=0,
        was=place + 1,
        id=was.step.id,
        step_type=was.step.step_type,
        line=visible(was.preview.line),
        state="removed",
        stands=False,
    )


def _fields(sides: Comparison, pair: Pair, *, told: bool) -> Iterator[FieldChange]:
    """The fields that differ, but for those whose outcome a diff tells."""
    if pair.then is not None and pair.now is not None:
        steps = sides.then.plan.steps[pair.then], sides.now.plan.steps[pair.now]
        old, new = (plan_diff.step_fields(each) for each in steps)
        for each in plan_diff.field_changes(old, new):
            if not (told and each.field in CONTENT):
                yield each


def _result_diff(sides: Comparison, pair: Pair) -> tuple[str, ...]:
    """What the step makes of its file now against what it made of it then."""
    if pair.then is None or pair.now is None:
        return ()
    old, new = sides.old[pair.then].preview, sides.new[pair.now].preview
    if is_draft(sides.old[pair.then].step) and new.path and not new.trouble:
        return tuple(unified_diff(new.path, new.before, new.after))
    if old.path is None or old.path != new.path or old.trouble or new.trouble:
        return ()
    if old.after == new.after:
        return ()
    return tuple(unified_diff(new.path, old.after, new.after))


def by_digest(view: PlanView, approved: Approved, standing: Standing) -> Iterator[StepChange]:
    """What can be said where the version that was approved is not here."""
    for step in view.steps:
        known = step.digest in approved.get(step.id, ())
        yield StepChange(
            number=step.number,
            was=0,
            id=step.id,
            step_type=step.step_type,
            line=step.line,
            state="unchanged" if known else "unknown",
            stands=standing.get(step.id) == (),
            lapse=standing.get(step.id, ()),
            path=step.path,
            view=None if known else step,
        )
