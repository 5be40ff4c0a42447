"""What closes a run, and what closes a step whose runner is gone."""

from __future__ import annotations

from typing import Literal

from runner.core import record
from runner.core.plan import PlanFile, Step
from runner.core.record import RecordedGate
from runner.core.run import RunFile
from runner.core.values import time_text
from runner.git.control import Request
from runner.git.leases import Lease
from runner.git.worktree import WorkTree
from runner.project import Project
from runner.steps import registry
from runner.verbs import evidence, publishing, recording
from runner.verbs.session import Session


def settle_intent(held: Session) -> None:
    """A command that had started and left no record is recorded as interrupted, not repeated."""
    lease = held.lease
    number = unrecorded(held.project, held.plan.file, held.run, lease)
    if number is None:
        return
    step = held.plan.file.plan.steps[number]
    found = evidence.gather(
        held.project, held.plan, now=held.now(), extra_tips=[held.tip, lease.plan_tip]
    )
    relied = [vote for vote in found.votes if vote.digest in lease.approvals]
    gate = RecordedGate(
        authority=lease.authority,
        plan_tip=lease.plan_tip,
        approvals=sorted(vote.digest for vote in relied),
        approvers=sorted({vote.record.approver for vote in relied}),
    )
    error = {"code": "interrupted", "message": "the runner ended while the command was running"}
    value = publishing.step_value(held, number, status="interrupted", attempt=lease.attempt)
    value |= {"gate": gate.model_dump(), "error": error}
    value["kind"] = "undo" if lease.undo else "step"
    value["started_at"] = time_text(lease.started_at or lease.taken_at)
    entries = publishing.approval_files(held, found, gate)
    name = record.undo_name(step.id) if lease.undo else step.id
    publishing.publish_record(held, name, value, entries, status="interrupted", number=number)
    held.tell("step_finished", step=number, status="interrupted", text=error["message"])


def unrecorded(project: Project, plan: PlanFile, run: RunFile, lease: Lease) -> int | None:
    """The place of the step whose command, or undo command, had started and left no record."""
    number = plan.index(lease.step) if lease.step else None
    if number is None:
        return None
    step = plan.plan.steps[number]
    latest = run.latest_undo(step.id) if lease.undo else run.latest(step.id)
    if latest is not None and latest.attempt >= lease.attempt:
        return None
    return None if not lease.undo and _idempotent(project, step) else number


def _idempotent(project: Project, step: Step) -> bool:
    plugins = project.authority().policy.plugins
    return registry.find(step.step_type, plugins).idempotent


def end(
    held: Session, *, status: Literal["completed", "cancelled"], asked: Request | None = None
) -> None:
    """Write the closing record, signed on its own, and the tag; take the work tree away."""
    now = time_text(held.now())
    value = {
        "kind": "end",
        "started_at": now,
        "ended_at": now,
        "executor": recording.executor(),
        "status": status,
        "plan_digest": held.plan.file.digest,
        "total": recording.total_block(held.run.cost),
    }
    if asked is not None:
        message = asked.reason or "somebody asked for it"
        value |= {"asked_by": asked.asked_by, "error": {"code": status, "message": message}}
    publishing.publish_record(held, "end", value, {}, status=status, number=None)
    clear(held)
    held.tell("run_finished", status=status)


def clear(held: Session) -> None:
    """Take away the files of a run that is over, also those that an earlier call left."""
    folder = held.project.work_folder(held.plan.id, held.number)
    tree = held.tree or WorkTree(folder, held.project.store)
    if folder.exists():
        tree.remove()
    held.tree = None
