"""Start a run: header, branch and lease appear together, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.core.documents import dump
from runner.core.errors import Refused
from runner.core.gate import Answer, Question, decide, decide_next
from runner.core.run import NAMESPACE, RUN_FILE, RunFile, lease_ref, run_branch, run_folder
from runner.core.values import time_text
from runner.git import leases, trailers
from runner.git.leases import GRACE, Lease
from runner.git.objects import FILE, Entry, NewCommit, Signature
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import evidence, forking, holder, recording, runs
from runner.verbs.desk import Opening
from runner.verbs.events import Listener
from runner.verbs.evidence import Evidence
from runner.verbs.forking import Fork
from runner.verbs.session import Session
from runner.verbs.taking import load_others


def create(  # noqa: PLR0913  # a run has these beginnings
    project: Project,
    found: Evidence,
    number: int,
    listener: Listener,
    *,
    fork: Fork | None = None,
    opening: Opening | None = None,
) -> Session:
    """Create run branch and lease in the home; raises BranchBusy where somebody was first."""
    plan_id, now = found.plan.id, project.world.now()
    principal = project.runner_name(found.authority)
    by = project.runner_identity(principal)
    others = load_others(project, plan_id, number)
    header = _header(found, number, others=others, runner=principal, now=now, fork=fork)
    if opening:
        header["desk"] = opening.block
    lease = Lease(holder=holder.this_process(), epoch=1, taken_at=now, expires_at=now + GRACE)
    with project.publisher.begin(plan_id, number):
        commit = _header_commit(project, found, header, by, fork=fork, opening=opening)
        lease_oid = leases.write(project.store, lease, parent=None, by=by)
        moves = [
            Move(ref=run_branch(plan_id, number), old=None, new=commit),
            Move(ref=lease_ref(plan_id, number), old=None, new=lease_oid),
        ]
        project.publisher.publish(moves, reason=f"start run {plan_id}/{number}")
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


def _header(  # noqa: PLR0913  # what a header says
    found: Evidence,
    number: int,
    *,
    others: Sequence[RunFile],
    runner: str,
    now: datetime,
    fork: Fork | None,
) -> dict[str, Any]:
    plan, authority = found.plan, found.authority
    value = {
        "version": 1,
        "plan": plan.id,
        "run": number,
        "repository": authority.policy.repository,
        "plan_digest": plan.file.digest,
        "plan_tip": plan.commit,
        "base": plan.file.plan.base,
        "trusted_ref": authority.ref,
        "authority": authority.commit,
        "approvals": _counting(found, others, number, now, fork=fork),
        "runner": runner,
        "executor": recording.executor(),
        "started_at": time_text(now),
    }
    return {**value, "fork": fork.block()} if fork else value


def _header_commit(  # noqa: PLR0913  # what the first commit brings
    project: Project,
    found: Evidence,
    header: dict[str, Any],
    by: Signature,
    *,
    fork: Fork | None,
    opening: Opening | None,
) -> str:
    store, plan = project.store, found.plan
    data = dump(header)
    path = f"{run_folder(plan.id, header['run'])}/{RUN_FILE}"
    signature = project.runner.sign(data, namespace=NAMESPACE)
    entries: dict[str, Entry | None] = {
        **(opening.brought.files if opening else {}),
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
    parents: tuple[str, ...] = (plan.commit,)
    if fork is not None:
        # what only the other run has of approvals and records stays: they are never deleted
        entries = {**forking.tree_files(store, plan), **entries}
        parents = (plan.commit, fork.commit)
    draft = NewCommit(
        tree=store.edit_tree(store.commit(parents[-1]).tree, entries),
        parents=parents,
        by=by,
        message=trailers.message(subject, pairs),
    )
    return recording.sign_commit(project, draft)


def question(  # noqa: PLR0913  # what a question is made of
    found: Evidence,
    others: Sequence[RunFile],
    number: int,
    *,
    step: int,
    now: datetime,
    fork: Fork | None,
) -> Question:
    """What to ask about a step of a run that is not there yet."""
    so_far = evidence.so_far(None, others, number)
    if fork is not None:
        so_far = replace(so_far, skipped=fork.skipped)
    return evidence.question(found, step=step, so_far=so_far, now=now)


def _counting(
    found: Evidence,
    others: Sequence[RunFile],
    number: int,
    now: datetime,
    *,
    fork: Fork | None,
) -> list[str]:
    """Digests of the approvals that count for some step at the start; the run consumes them."""
    used: set[str] = set()
    for step in range(fork.first if fork else 0, len(found.plan.file.plan.steps)):
        asked = question(found, others, number, step=step, now=now, fork=fork)
        used.update(vote.digest for vote in decide(asked).approvals)
    return sorted(used)


def check_first_step(
    found: Evidence,
    others: Sequence[RunFile],
    number: int,
    now: datetime,
    *,
    fork: Fork | None = None,
) -> None:
    """Raise Refused where not even the first step may run, so that no run is made for nothing."""
    first = fork.first if fork else 0
    decision = decide_next(question(found, others, number, step=first, now=now, fork=fork))
    if decision.answer is Answer.REFUSED:
        plan = found.plan
        name = f"step {first + 1} {plan.file.plan.steps[first].id}"
        message = f"plan {plan.id} may not run: {name} (trusted: {found.authority})"
        raise Refused(message, reasons=decision.reasons, hint=f"planlock status {plan.id}")
