"""Drafts of a run: each changed one step of the plan, from what people asked for to a text."""

from __future__ import annotations

from runner.core.amendment import carried, strayed, with_inputs
from runner.core.canonical import canonical_json
from runner.core.errors import StepFailed
from runner.core.plan import EditFileInput, Step, step_digests, typed_input
from runner.core.record import RecordedDraft
from runner.core.run import RunFile
from runner.steps import edit_file
from runner.verbs.audit_shape import Link, Walk
from runner.verbs.evidence import PlanAt


def check(walk: Walk, link: Link, turn: str | None) -> None:
    """Hold the record of a draft against the plan before and after it; `turn` is the next step."""
    draft = link.record.draft
    before, after = walk.plan_before(link), walk.plan_after(link)
    if draft is None or before is None or after is None:
        return  # told of the plan that is missing
    number = before.file.index(draft.step)
    if number is None or (draft.number, draft.before) != (number + 1, before.file.digests[number]):
        message = f"step {draft.step} is not the one that the plan has at that point"
        walk.add("digest_differs", link.file.name, message)
        return
    if link.record.about != turn:
        message = f"step {link.record.about} was drafted while {turn or 'nothing'} was next"
        walk.add("order", link.file.name, message)
    trouble = _trouble(walk, link, draft, before, after)
    if trouble:
        walk.add("draft_differs", link.file.name, f"{draft.step}: {trouble}")


def _trouble(walk: Walk, link: Link, draft: RecordedDraft, before: PlanAt, after: PlanAt) -> str:
    """What a draft did that it may not."""
    if link.record.status != "completed":
        same = before.document.text == after.document.text and draft.after is None
        return "" if same else "it failed, and yet it changed the plan"
    number = draft.number - 1
    steps = after.file.plan.steps
    if number >= len(steps) or draft.after != after.file.digests[number]:
        return "the plan has another text than the record says"
    wanted = with_inputs(before.document.value, {number: steps[number].input})
    if canonical_json(wanted) != canonical_json(after.document.value):
        return "more of the plan changed than this step"
    return strayed(before.file.plan.steps[number], steps[number]) or _misfit(
        walk, link, steps[number]
    )


def _misfit(walk: Walk, link: Link, step: Step) -> str:
    """Whether the text was written for the file as the run had it."""
    given = typed_input(step)
    if not isinstance(given, EditFileInput):
        return "it is no edit"
    found, _ = walk.contents(link, given.path)
    if given.replaces != edit_file.pin(found):
        return f"it was written against another {given.path}"
    try:
        edit_file.apply(given, found)
    except StepFailed as error:
        return error.message
    return ""


def explains(there: PlanAt, plan: PlanAt, run: RunFile) -> bool:
    """Whether the plan that ran is the one of the plan's branch with the run's drafts so far."""
    if there.file.digests == plan.file.digests:
        return True
    drafts = [each.draft for each in run.drafts if each.draft]
    inputs = carried(there.document.value, plan.file, drafts)
    return step_digests(with_inputs(there.document.value, inputs)) == plan.file.digests
