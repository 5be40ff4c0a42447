"""Start a run: header, branch and lease appear together, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from runner.core.documents import dump
from runner.core.errors import Refused
from runner.core.gate import Answer, Question, decide, decide_next
from runner.core.run import NAMESPACE, RUN_FILE, RunFile, lease_ref, run_branch, run_folder
from runner.core.values import time_text
from runner.git import leases, trailers
from runner.git.leases import Lease
from runner.git.objects import FILE, Entry, NewCommit, Signature
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import evidence, holder, recording, runs
from runner.verbs.events import Listener
from runner.verbs.evidence import Evidence
from runner.verbs.session import GRACE, Session, load_others


def create(project: Project, found: Evidence, number: int, listener: Listener) -> Session:
    """Create run branch and lease in the home; raises BranchBusy where somebody was first."""
    plan_id, now = found.plan.id, project.world.now()
    principal = project.runner_name(found.authority)
    by = project.runner_identity(principal)
    others = load_others(project, plan_id, number)
    header = _header(found, number, others=others, runner=principal, now=now)
    commit = _header_commit(project, found, header, by)
    lease = Lease(holder=holder.this_process(), epoch=1, taken_at=now, expires_at=now + GRACE)
    lease_oid = leases.write(project.store, lease, parent=None, by=by)
    moves = [
        Move(ref=run_branch(plan_id, number), old=None, new=commit),
        Move(ref=lease_ref(plan_id, number), old=None, new=lease_oid),
    ]
    project.home.publish(moves, reason=f"start run {plan_id}/{number}")
    return Session(
        project=project,
        plan=found.plan,
        run=runs.load_run(project.store, commit, plan_id, number),
        tip=commit,
        lease=lease,
        lease_oid=lease_oid,
        by=by,
        listener=listener,
        others=others,
    )


def _header(
    found: Evidence, number: int, *, others: Sequence[RunFile], runner: str, now: datetime
) -> dict[str, Any]:
    plan, authority = found.plan, found.authority
    return {
        "version": 1,
        "plan": plan.id,
        "run": number,
        "repository": authority.policy.repository,
        "plan_digest": plan.file.digest,
        "plan_tip": plan.commit,
        "base": plan.file.plan.base,
        "trusted_ref": authority.ref,
        "authority": authority.commit,
        "approvals": _counting(found, others, number, now),
        "runner": runner,
        "executor": recording.executor(),
        "started_at": time_text(now),
    }


def _header_commit(project: Project, found: Evidence, header: dict[str, Any], by: Signature) -> str:
    store, plan = project.store, found.plan
    data = dump(header)
    path = f"{run_folder(plan.id, header['run'])}/{RUN_FILE}"
    signature = project.runner.sign(data, namespace=NAMESPACE)
    entries = {
        path: Entry(mode=FILE, oid=store.write("blob", data)),
        f"{path}.sig": Entry(mode=FILE, oid=store.write("blob", signature)),
    }
    pairs = [
        ("Plan", plan.id),
        ("Plan-Digest", plan.file.digest),
        ("Run", str(header["run"])),
        ("Authority", found.authority.commit),
    ]
    subject = f"planlock: start run {plan.id}/{header['run']}"
    draft = NewCommit(
        tree=store.edit_tree(store.commit(plan.commit).tree, entries),
        parents=(plan.commit,),
        by=by,
        message=trailers.message(subject, pairs),
    )
    return recording.sign_commit(project, draft)


def _question(
    found: Evidence, others: Sequence[RunFile], number: int, *, step: int, now: datetime
) -> Question:
    so_far = evidence.so_far(None, others, number)
    return evidence.question(found, step=step, so_far=so_far, now=now)


def _counting(found: Evidence, others: Sequence[RunFile], number: int, now: datetime) -> list[str]:
    """Digests of the approvals that count for some step at the start; the run consumes them."""
    used: set[str] = set()
    for step in range(len(found.plan.file.plan.steps)):
        question = _question(found, others, number, step=step, now=now)
        used.update(vote.digest for vote in decide(question).approvals)
    return sorted(used)


def check_first_step(
    found: Evidence, others: Sequence[RunFile], number: int, now: datetime
) -> None:
    """Raise Refused where not even the first step may run, so that no run is made for nothing."""
    decision = decide_next(_question(found, others, number, step=0, now=now))
    if decision.answer is Answer.REFUSED:
        plan = found.plan
        step = plan.file.plan.steps[0]
        message = f"plan {plan.id} may not run: step 1 {step.id} (trusted: {found.authority})"
        raise Refused(message, reasons=decision.reasons, hint=f"planlock status {plan.id}")
