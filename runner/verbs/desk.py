"""A run that is decided on a pull request: what reviewers say there goes into its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.core.errors import Reason, Refused
from runner.core.gate import Question
from runner.core.run import Desk as Of
from runner.core.values import time_text
from runner.project import Project
from runner.verbs import publishing, recording, witness
from runner.verbs.evidence import Evidence
from runner.verbs.session import Session
from runner.verbs.stops import Stop
from runner.verbs.witness import Brought, Desk


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a run that starts from a pull request has besides: for its header and first commit."""

    found: Evidence
    brought: Brought
    block: dict[str, Any]


def open_with(project: Project, found: Evidence, question: Question, desk: Desk) -> Opening:
    """Look before a run starts; raises Refused where the pull request holds it."""
    seen = desk.look(found, question)
    if seen.weighed.holds:
        message = f"plan {found.plan.id} may not run: pull request {seen.pull_request}"
        raise Refused(message, reasons=seen.weighed.holds)
    brought = witness.bring(project, found, question, seen)
    makers = sorted(seen.weighed.makers)
    block = {"url": seen.url, "pull_request": seen.pull_request, "makers": makers}
    return Opening(
        found=witness.with_makers(brought.added_to(found), makers),
        brought=brought,
        block={**block, "decisions": brought.digests},
    )


def consult(held: Session, found: Evidence) -> Evidence | Stop:
    """Look again before a step, and record what was decided since."""
    of_run = held.run.header.desk
    if held.desk is None:
        return _without(held.plan.id, of_run) if of_run else found
    found = witness.with_makers(found, of_run.makers) if of_run else found
    question = held.question(found, 0)
    seen = held.desk.look(found, question)
    if seen.weighed.holds:
        return Stop(status="awaiting_approval", reasons=seen.weighed.holds)
    found = witness.with_makers(found, sorted(seen.weighed.makers))
    brought = witness.bring(held.project, found, question, seen)
    if not brought.votes:
        return found
    _record(held, brought)
    held.votes.update((vote.digest, vote) for vote in brought.votes)
    return brought.added_to(found)


def _without(plan: str, of_run: Of) -> Stop:
    """A run that a pull request decides goes on only where that is asked: it may have changed."""
    number = of_run.pull_request
    reason = Reason(
        code="desk_needed",
        message=f"plan {plan} is decided on pull request {number}, which is not asked here",
        fix=f"planlock github execute --pull-request {number}",
    )
    return Stop(status="awaiting_approval", reasons=(reason,))


def _record(held: Session, brought: Brought) -> None:
    now = time_text(held.now())
    value = {
        "kind": "review",
        "started_at": now,
        "ended_at": now,
        "executor": recording.executor(),
        "status": "running",
        "decisions": brought.digests,
    }
    publishing.publish_record(held, "review", value, brought.files, status="running", number=None)
    for vote in brought.votes:
        held.tell(
            "note", text=f"recorded: {vote.record.approver} {vote.record.decision}s by review"
        )
