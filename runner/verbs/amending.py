"""Let a model write the text of a step that only says what is wanted, into the run's own plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core import amendment, relevance
from runner.core.errors import (
    InvalidDocument,
    ModelError,
    OutsideError,
    Reason,
    StaleInput,
    StepFailed,
)
from runner.core.gate import Decision, Question, decide_draft
from runner.core.model_call import CacheWish
from runner.core.plan import EditFileInput, Step, typed_input
from runner.core.record import RecordedGate
from runner.core.redaction import redact
from runner.core.text import visible
from runner.core.values import time_text
from runner.git.objects import EXECUTABLE, FILE, Entry
from runner.steps.edit_file import pin
from runner.verbs import amended, asking, publishing, recording, stops
from runner.verbs.adopting import amendment_record, plan_file
from runner.verbs.asking import StepModels
from runner.verbs.drafting import DraftWish, draft
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.session import Session
from runner.verbs.stops import Stop

# Three questions of the time that each may take.
SECONDS = 1800
# What a draft sees of earlier steps' outputs, in characters.
MATERIAL = 12_000


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A draft that is being made: which step, since when, by whose leave, by which models.

    `approvals` are the files of those that it relies on.
    """

    number: int
    step: Step
    digest: str
    attempt: int
    started: str
    gate: RecordedGate
    approvals: Mapping[str, Entry]
    models: StepModels
    complaints: list[str] = field(default_factory=list)


def write(
    held: Session, number: int, found: Evidence, question: Question, *, again: bool
) -> Stop | None:
    """Have a step drafted and amend the plan by it; None where the text is there now.

    One that failed is done `again` only where that is asked for, past the answers in store.
    """
    step, failed = held.plan.file.plan.steps[number], _has_failed(held, number)
    if failed and not again:
        return stops.still_failed(held, number, "failed")
    decision = decide_draft(question)
    if not decision.allowed:
        return stops.wait(held, number, decision.reasons)
    begun = _begin(held, number, found, question, decision)
    try:
        newer = _drafted(held, begun, CacheWish(mode="record" if failed else "auto"))
    except asking.HALTS as error:
        if begun.models.remembered:
            return stops.pause(held, number, asking.halted(error))
        return _failed(held, begun, error)
    except (StepFailed, StaleInput, ModelError) as error:
        return _failed(held, begun, error)
    held.plan = newer
    _record(held, begun, status="completed", after=newer)
    for each in begun.complaints:
        held.tell("note", text=f"{step.id}: {each}")
    return None


def _has_failed(held: Session, number: int) -> bool:
    """Whether the last draft of the step as it is now has failed."""
    digest = held.plan.file.digests[number]
    drafts = [each for each in held.run.drafts if each.draft and each.draft.before == digest]
    return bool(drafts) and drafts[-1].status == "failed"


def _begin(
    held: Session, number: int, found: Evidence, question: Question, decision: Decision
) -> Begun:
    step = held.plan.file.plan.steps[number]
    attempt = 1 + sum(1 for each in held.run.drafts if each.about == step.id)
    gate = recording.gate_block(found, decision)
    started = held.intend(gate, step=step.id, attempt=attempt, seconds=SECONDS, usd="0.00")
    held.tell("step_started", step=number, text=f"a model drafts it: {step.description}")
    return Begun(
        number=number,
        step=step,
        digest=held.plan.file.digests[number],
        attempt=attempt,
        started=time_text(started),
        gate=gate,
        approvals=publishing.approval_files(held, found, gate),
        models=StepModels(held, step, question=question, decision=decision),
    )


def _drafted(held: Session, begun: Begun, cache: CacheWish) -> PlanAt:
    """The run's plan with the draft; raises StepFailed, StaleInput, ModelError or LedgerError."""
    given = typed_input(begun.step)
    if not isinstance(given, EditFileInput) or given.instruction is None:
        raise ValueError(f"step {begun.step.id} asks for no draft")
    before = _file(held, given)
    wish = DraftWish(
        goal=held.plan.file.plan.goal,
        path=given.path,
        instruction=given.instruction,
        before=before.decode() if before is not None else None,
        material=_material(held),
        cache=cache,
    )
    made = draft(
        begun.models,
        wish,
        on_text=lambda text: held.tell("output", step=begun.number, text=text),
    )
    begun.complaints.extend(made.complaints)
    concrete = amendment.drafted(begun.step.input, made.input, pin=pin(before))
    try:
        text = amendment.rewrite(held.plan.document, {begun.number: concrete})
        return amended.amended(held.plan, text)
    except (ValueError, InvalidDocument) as error:
        message = f"drafting {given.path}: no plan can hold the text: {error}"
        raise StepFailed(message) from error


def _file(held: Session, given: EditFileInput) -> bytes | None:
    """The file that the draft is about, as the run has it; raises StepFailed or StaleInput."""
    store = held.project.store
    entry = store.entry(store.commit(held.tip).tree, given.path)
    if entry is not None and entry.mode not in {FILE, EXECUTABLE}:
        raise StepFailed(f"drafting {given.path}: it is not a regular file")
    content = store.blob(entry.oid) if entry else None
    if given.replaces not in {None, pin(content)}:
        raise StaleInput(
            f"drafting {given.path}: it is not the file that the instruction was written against"
        )
    if relevance.is_secret(given.path) or redact(_text(given.path, content)).names:
        message = f"drafting {given.path}: it may hold a secret, so it is not sent to a model"
        raise StepFailed(message, hint="write new_content or edits")
    return content


def _text(path: str, content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError as error:
        raise StepFailed(f"drafting {path}: not UTF-8 text at byte {error.start}") from error


def _material(held: Session) -> list[tuple[str, str]]:
    """Outputs of the steps so far, the newest first, as far as they fit."""
    found, left = [], MATERIAL
    for step in reversed(held.plan.file.plan.steps):
        record = held.run.latest(step.id)
        output = record.output if record and record.status == "completed" else None
        if output and output.text and len(output.text) <= left:
            found.append((f"output of step {step.id}", output.text))
            left -= len(output.text)
    return found


def _failed(held: Session, begun: Begun, error: OutsideError | ModelError) -> Stop:
    """Record what went wrong, and what it cost all the same."""
    message = visible(error.message)
    _record(held, begun, status="failed", error={"code": error.code, "message": message})
    held.tell("step_finished", step=begun.number, status="failed", text=message)
    fix = stops.fix(held.plan.id, error.code, begun.step.step_type)
    reason = Reason(code=error.code, message=message, fix=fix)
    return Stop(status="failed", step=begun.step.id, reasons=(reason,))


def _record(
    held: Session,
    begun: Begun,
    *,
    status: str,
    after: PlanAt | None = None,
    error: dict[str, str] | None = None,
) -> None:
    """Publish the amendment: the record, the calls, and the plan where it has the text now."""
    told: dict[str, Any] = {
        "step": begun.step.id,
        "number": begun.number + 1,
        "before": begun.digest,
    }
    if after is not None:
        told["after"] = after.file.digests[begun.number]
    record = amendment_record(begun.started, status=status, attempt=begun.attempt)
    record |= {"gate": begun.gate.model_dump(), "draft": told}
    record |= {"calls": [call.model_dump() for call in begun.models.recorded()]}
    if error is not None:
        record["error"] = error
    entries: dict[str, Entry | None] = {
        **begun.approvals,
        **publishing.transcript_files(held, begun.models.transcripts),
    }
    if after is not None:
        record["plan_digest"] = after.file.digest
        entries |= plan_file(held, after)
    publishing.publish_record(
        held, f"draft-{begun.step.id}", record, entries, status=status, number=begun.number
    )
