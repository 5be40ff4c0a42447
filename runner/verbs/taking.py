"""Take over a run that nobody holds, its records and signatures in order, and let go of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from runner.core.errors import AuthorityRefused, BranchBusy, PlanlockError, RunHeld
from runner.core.run import (
    NAMESPACE,
    RUN_FILE,
    RunFile,
    chain_problems,
    lease_ref,
    run_folder,
)
from runner.core.values import parse_time, time_text
from runner.git import leases, refs, sshsig
from runner.git.home import SEEN
from runner.git.leases import GRACE, Lease
from runner.git.refs import Move
from runner.git.sshsig import BadSignature
from runner.project import Authority, Project
from runner.verbs import control, evidence, holder, provenance, runs
from runner.verbs.events import Listener
from runner.verbs.session import Session


def load_others(project: Project, plan: str, number: int) -> tuple[RunFile, ...]:
    """Read every other run of a plan, also one that was seen here and whose refs are gone."""
    known = runs.of_plan(project, plan)
    prefix = f"{SEEN}/run/{plan}/"
    for ref, oid in refs.under(project.git_dir, prefix).items():
        known.setdefault(int(ref.removeprefix(prefix)), oid)
    return tuple(
        runs.load_run(project.store, oid, plan, run) for run, oid in known.items() if run != number
    )


def take_over(  # noqa: PLR0913  # a run, by whom, for whom, and in which state
    project: Project,
    plan_id: str,
    number: int,
    *,
    authority: Authority,
    listener: Listener,
    may_be_over: bool = False,
) -> Session:
    """Go on with a run that nobody holds; raises RunHeld, or AuthorityRefused for a broken chain.

    Raises RunOver for one that has ended meanwhile, unless that is what is asked for.
    """
    _check_free(project, plan_id, number)
    with project.publisher.begin(plan_id, number):
        # What is settled in the beginning may have brought the run further.
        held = _taken(project, plan_id, number, authority, listener)
    if held.run.ended and not may_be_over:
        with holding(held):
            control.refuse_over(held.run)
    return held


def _check_free(project: Project, plan_id: str, number: int) -> None:
    tip = project.home.run_tip(plan_id, number) or ""
    run = runs.load_run(project.store, tip, plan_id, number)
    _free_lease(project, run)


def _free_lease(project: Project, run: RunFile) -> tuple[str | None, Lease | None]:
    """The lease's last link, which holds nobody off; raises RunHeld."""
    plan_id, number = run.header.plan, run.header.run
    oid = refs.read(project.git_dir, lease_ref(plan_id, number))
    found = leases.read(project.store, oid) if oid else None
    now = max(project.world.now(), parse_time(run.last_moment))
    if found and holder.is_at_work(found, now):
        raise RunHeld(
            f"run {plan_id}/{number} is held by {found.holder} since "
            f"{time_text(found.taken_at)}, until {time_text(found.expires_at)}",
            hint=f"planlock status {plan_id}",
        )
    return oid, found


def _taken(
    project: Project, plan_id: str, number: int, authority: Authority, listener: Listener
) -> Session:
    tip = project.home.run_tip(plan_id, number) or ""
    run = runs.load_run(project.store, tip, plan_id, number)
    check_chain(project, authority, run, tip)
    plan = evidence.plan_at(project.store, tip, plan_id, on_branch=True)
    if plan is None:
        message = f"run {plan_id}/{number}: its branch holds no plan"
        raise AuthorityRefused(message, hint="planlock audit")
    old_oid, old = _free_lease(project, run)
    now = max(project.world.now(), parse_time(run.last_moment))
    fresh = Lease(holder="", epoch=0, taken_at=now, expires_at=now)
    lease = replace(
        old or fresh,
        holder=holder.this_process(),
        epoch=(old.epoch if old else 0) + 1,
        taken_at=now,
        expires_at=now + GRACE,
    )
    by = project.runner_identity(project.runner_name(authority))
    others = load_others(project, plan_id, number)
    oid = leases.write(project.store, lease, parent=old_oid, by=by)
    try:
        move = Move(ref=lease_ref(plan_id, number), old=old_oid, new=oid)
        project.publisher.publish([move], reason="take lease")
    except BranchBusy as error:
        message = f"run {plan_id}/{number} was not taken: {error.message}"
        raise RunHeld(message, hint=error.hint) from error
    return Session(
        project=project,
        plan=plan,
        run=run,
        tip=tip,
        lease=lease,
        lease_oid=oid,
        by=by,
        listener=listener,
        others=others,
    )


@contextmanager
def holding(held: Session) -> Iterator[None]:
    """Let go of the lease in the end; what went wrong before is what there is to tell."""
    try:
        yield
    except BaseException:
        with suppress(PlanlockError):
            _release(held)
        raise
    _release(held)


def _release(held: Session) -> None:
    """Let go of the lease, and note how far the branch is.

    What the lease says of a started step stays until that is recorded.
    """
    try:
        held.move_lease(sync=False, tell=True, holder=holder.FREE, expires_at=held.now())
    finally:
        held.project.publisher.end()
    held.project.home.run_tip(held.plan.id, held.number)


def check_chain(project: Project, authority: Authority, run: RunFile, tip: str) -> None:
    """Raise AuthorityRefused for a run whose records or signatures are not in order."""
    problems = list(chain_problems(run))
    now = project.world.now()
    signer = provenance.commit_signer(project.store.commit(tip), authority, now)
    if signer != run.header.runner:
        problems.append(f"its last commit is not signed by {run.header.runner}")
    # In a namespace that no person has, so that nobody can name themselves the runner.
    if _header_signer(project, authority, run, tip) != run.header.runner:
        problems.append(f"its {RUN_FILE} is not signed by {run.header.runner} as a runner")
    if problems:
        name = f"{run.header.plan}/{run.header.run}"
        message = f"run {name} cannot be continued: {'; '.join(problems)}"
        raise AuthorityRefused(message, hint="planlock audit")


def _header_signer(project: Project, authority: Authority, run: RunFile, tip: str) -> str | None:
    store, path = project.store, f"{run_folder(run.header.plan, run.header.run)}/{RUN_FILE}"
    tree = store.commit(tip).tree
    data, armored = store.file(tree, path), store.file(tree, f"{path}.sig")
    try:
        signed = sshsig.verify(armored or b"", data or b"", namespace=NAMESPACE)
    except BadSignature:
        return None
    now = project.world.now()
    return authority.signers.find(signed, namespace=NAMESPACE, at=now).principal
