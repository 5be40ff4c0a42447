"""Run the undo command of a step: approved as the step is, confined and recorded as a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.core import undoing
from runner.core.errors import AuthorityRefused, NotFound, Reason, WorkspaceSecurityError
from runner.core.gate import Decision, Question
from runner.core.plan import Step, undo_step
from runner.core.record import RecordedGate, undo_name
from runner.core.text import visible
from runner.core.values import time_text
from runner.git import history
from runner.git.worktree import WorkTree
from runner.sandbox.contract import Backend
from runner.steps.contract import Failure, Output
from runner.verbs import amended, evidence, execute, performing, preparing, publishing, recording
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.performing import Performed, Performer
from runner.verbs.session import Session
from runner.verbs.stops import Stop


class _Undoer(Performer):
    """Performs a command of which nothing stays in the workspace."""

    def _judged(self, output: Output, writes: Sequence[str]) -> Output:  # noqa: ARG002  # it has none
        try:
            self.tree.check_protected()
        except WorkspaceSecurityError as error:
            failure = Failure(code=f"workspace_{error.reason_code}", message=visible(error.message))
            return replace(output, failure=failure)
        return output


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    """An undo command that may run now."""

    number: int
    step: Step
    found: Evidence
    question: Question
    decision: Decision
    backend: Backend | None

    @property
    def gate(self) -> RecordedGate:
        return recording.gate_block(self.found, self.decision)


def run(held: Session, number: int) -> Stop | None:
    """Run the undo command of a step and record what came of it; a Stop where it did not succeed.

    Raises AuthorityRefused where the plan of the run is nowhere any more.
    """
    allowed = _allowed(held, number)
    if isinstance(allowed, Stop):
        return allowed
    if held.tree is None:
        held.tree = performing.fresh_tree(held)
    failure = _perform(held, allowed, held.tree)
    if failure is None:
        return None
    reason = Reason(code=failure.code, message=failure.message, fix=_fix(held, allowed.step))
    return Stop(status="failed", step=allowed.step.id, reasons=(reason,))


def not_repeated(held: Session, step: str, status: str) -> Stop:
    """Stop at an undo command that failed, or whose outcome nobody knows."""
    return Stop(
        status="failed",
        step=step,
        reasons=(
            Reason(
                code="undo_failed",
                message=f"the undo command of {step} {status} and is not repeated by itself",
                fix=f"planlock rollback {held.plan.id}/{held.number} --retry, or --skip-undo {step}",
            ),
        ),
    )


def _fix(held: Session, step: Step) -> str:
    return not_repeated(held, step.id, "failed").reasons[0].fix


def _allowed(held: Session, number: int) -> _Allowed | Stop:
    """Ask the gate, and find what the command needs of this machine."""
    step = held.plan.file.plan.steps[number]
    undo = undo_step(step)
    if undo is None:
        raise ValueError(f"step {step.id} has no undo command")
    found = _evidence(held)
    question = held.question(found, number)
    decision = undoing.decide(question)
    if not decision.allowed:
        return Stop(status="awaiting_approval", step=step.id, reasons=decision.reasons)
    policy = question.policy.policy
    backend, lacking = preparing.prepare_command(held, undo, policy)
    if lacking:
        return Stop(status="paused", step=step.id, reasons=lacking)
    return _Allowed(
        number=number,
        step=step,
        found=found,
        question=question,
        decision=decision,
        backend=backend,
    )


def _perform(held: Session, allowed: _Allowed, tree: WorkTree) -> Failure | None:
    step, number, undo = allowed.step, allowed.number, undo_step(allowed.step)
    last = held.run.latest_undo(step.id)
    attempt = (last.attempt if last else 0) + 1
    if allowed.backend is not None:
        tree.complete(allowed.backend.can_layer)
    started = held.intend(
        allowed.gate, step=step.id, attempt=attempt, seconds=0, usd="0", undo=True
    )
    held.tell("step_started", step=number, text=f"undo: {step.description}")
    performer = _Undoer(held, undo or step, question=allowed.question, decision=allowed.decision)
    done = performer.perform(allowed.backend, execute.streamer(held, number))
    status = execute.ended_as(done.output.failure)
    value = _value(held, allowed, done, status=status, attempt=attempt)
    value["started_at"] = time_text(started)
    entries = publishing.approval_files(held, allowed.found, allowed.gate)
    name = undo_name(step.id)
    publishing.publish_record(held, name, value, entries, status=status, number=number)
    tree.restore()
    failure = done.output.failure
    held.tell("step_finished", step=number, status=status, text=failure.message if failure else "")
    return failure


def _value(
    held: Session, allowed: _Allowed, done: Performed, *, status: str, attempt: int
) -> dict[str, object]:
    value = publishing.step_value(held, allowed.number, status=status, attempt=attempt)
    value |= {"kind": "undo", "gate": allowed.gate.model_dump()}
    return value | publishing.output_block(done)


def _evidence(held: Session) -> Evidence:
    """Authority, approvals and the origin of the run's plan, as they are now."""
    project = held.project
    project.home.fetch(held.plan.id)
    try:
        now = evidence.find_plan(project, held.plan.id)
    except NotFound:
        now = None
    plan = _origin(held, now)
    tips = [held.tip, *([now.commit] if now else [])]
    found = evidence.gather(project, plan, now=held.now(), extra_tips=tips)
    last = held.run.authority
    if not history.is_ancestor(project.git_dir, last, found.authority.commit):
        message = f"the trusted ref moved backwards: {last[:12]} was used, now {found.authority}"
        raise AuthorityRefused(message, hint="planlock audit")
    return found


def _origin(held: Session, now: PlanAt | None) -> PlanAt:
    """The plan that the run follows where people wrote it: its branch, or as it last relied on.

    On the trusted branch, where a merge brought it, nobody sees any more who made it.
    """
    relied = _relied_on(held)
    for each in (now if now and now.on_branch else None, relied, now):
        if each is not None and _is_followed(held, each):
            return each
    message = f"run {held.plan.id}/{held.number}: its plan is on no branch as the run has it"
    hint = f"planlock rollback {held.plan.id}/{held.number} --skip-undo STEP"
    raise AuthorityRefused(message, hint=hint)


def _is_followed(held: Session, plan: PlanAt) -> bool:
    file = amended.continued(held.plan, plan, held.run).file
    return amended.same(file, held.plan.file)


def _relied_on(held: Session) -> PlanAt | None:
    gates = [each.record.gate for each in held.run.records if each.record.gate]
    if not gates or not held.project.history.has(gates[-1].plan_tip):
        return None
    tip, on_branch = gates[-1].plan_tip, gates[-1].plan_tip != gates[-1].authority
    return evidence.plan_at(held.project.store, tip, held.plan.id, on_branch=on_branch)
