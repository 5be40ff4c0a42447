"""Keep a run up with the plan's branch: what was decided there, and a plan that moved on."""

from __future__ import annotations

from typing import Any

from runner.core.errors import AuthorityRefused, Reason
from runner.core.values import time_text
from runner.git import history
from runner.git.objects import FILE, Entry
from runner.verbs import amended, desk, evidence, publishing, recording
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.session import Session
from runner.verbs.stops import Stop


def fresh_evidence(held: Session) -> Evidence | Stop:
    """Read authority, plan branch and decisions as they are now; adopt a plan that only grew."""
    found = _brought_up(held)
    return found if isinstance(found, Stop) else desk.consult(held, found)


def _brought_up(held: Session) -> Evidence | Stop:
    project = held.project
    project.home.fetch(held.plan.id)
    plan = evidence.find_plan(project, held.plan.id)
    found = evidence.gather(project, plan, now=held.now(), extra_tips=[held.tip])
    held.votes.update((vote.digest, vote) for vote in found.votes)
    last = held.run.authority
    if not history.is_ancestor(project.git_dir, last, found.authority.commit):
        message = f"the trusted ref moved backwards: {last[:12]} was used, now {found.authority}"
        raise AuthorityRefused(message, hint="planlock audit")
    if found.provenance.problems or _nobodys(found):
        return found  # the gate says what is wrong with it; our signature must not hide that
    newer = amended.continued(held.plan, plan, held.run)
    if amended.same(newer.file, held.plan.file):
        held.plan = newer
        return found
    return _adopt(held, found, newer)


def _nobodys(found: Evidence) -> bool:
    """Whether the plan's branch has commits that no person signed, where that is asked for."""
    return found.authority.policy.plans_signed and bool(found.provenance.unsigned)


def _adopt(held: Session, found: Evidence, newer: PlanAt) -> Evidence | Stop:
    """Go on with what the plan's branch has now, where that leaves alone what was done."""
    changed = amended.changed_steps(held.run, newer.file)
    if changed or newer.file.plan.base != held.plan.file.plan.base:
        names = ", ".join(changed) or "the base"
        reason = Reason(
            code="stale",
            message=f"the plan changed under this run: {names} is not what was recorded",
            fix=f"planlock run {held.plan.id} --new",
        )
        return Stop(
            status="awaiting_approval", step=changed[0] if changed else "", reasons=(reason,)
        )
    record = amendment_record(time_text(held.now()), status="completed")
    record["plan_digest"] = newer.file.digest
    if newer.file.digest != found.plan.file.digest:
        record["source"] = found.plan.file.digest
    held.plan = newer
    entries = plan_file(held, newer)
    publishing.publish_record(held, "plan", record, entries, status="completed", number=None)
    held.tell("note", text=f"adopted the plan of {found.plan.commit[:12]}")
    return found


def amendment_record(started: str, *, status: str, attempt: int = 1) -> dict[str, Any]:
    """What the record of every amendment begins with."""
    return {
        "kind": "amendment",
        "started_at": started,
        "ended_at": started,
        "executor": recording.executor(),
        "status": status,
        "attempt": attempt,
    }


def plan_file(held: Session, plan: PlanAt) -> dict[str, Entry]:
    """The tree entry of a plan as the run's branch shall have it."""
    oid = held.project.store.write("blob", plan.document.text.encode())
    return {evidence.plan_path(plan.id): Entry(mode=FILE, oid=oid)}
