"""A run in our hands: started or taken over, with its lease, its branch and its last record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.core.approval import Vote
from runner.core.errors import AuthorityRefused, BranchBusy, RunHeld
from runner.core.gate import Question
from runner.core.policy import PLANS_FOLDER
from runner.core.run import (
    NAMESPACE,
    RUN_FILE,
    RecordedGate,
    RunFile,
    chain_problems,
    lease_ref,
    run_branch,
    run_folder,
)
from runner.core.values import parse_time, time_text
from runner.git import leases, refs, sshsig, trailers
from runner.git.home import SEEN
from runner.git.leases import Lease
from runner.git.objects import Entry, NewCommit, Signature
from runner.git.refs import Move
from runner.git.sshsig import BadSignature
from runner.git.trailers import Trailer
from runner.git.worktree import WorkTree
from runner.project import Authority, Project
from runner.sandbox.contract import Backend
from runner.verbs import evidence, holder, recording, runs
from runner.verbs.events import Event, Kind, Listener
from runner.verbs.evidence import Evidence, PlanAt

GRACE = timedelta(seconds=120)


@dataclass
class Session:
    """What changes while we hold a run; `tip` is the branch as we last moved it.

    `votes` are the decisions seen so far, `noted` the digests of those that the ledger has,
    `backends` the sandboxes that confined a trial command, by what the policy requires.
    """

    project: Project
    plan: PlanAt
    run: RunFile
    tip: str
    lease: Lease
    lease_oid: str
    by: Signature
    listener: Listener
    others: tuple[RunFile, ...] = ()
    tree: WorkTree | None = None
    retried: set[str] = field(default_factory=set)
    votes: dict[str, Vote] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    backends: dict[str, Backend] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.run.header.run

    @property
    def branch(self) -> str:
        return run_branch(self.plan.id, self.number)

    @property
    def folder(self) -> str:
        return run_folder(self.plan.id, self.number)

    def now(self) -> datetime:
        """The later of the clock and the last record's end (design section 5)."""
        return max(self.project.world.now(), parse_time(self.run.last_moment))

    def question(self, found: Evidence, step: int) -> Question:
        so_far = evidence.so_far(self.run, self.others, self.number)
        return evidence.question(
            found, step=step, so_far=so_far, now=self.now(), plan=self.plan.file
        )

    def move_lease(self, **changes: Any) -> None:
        """Go one link further in the lease; raises RunHeld where it is no longer ours."""
        now = self.now()
        lease = replace(self.lease, taken_at=now, **changes)
        oid = leases.write(self.project.store, lease, parent=self.lease_oid, by=self.by)
        move = Move(ref=lease_ref(self.plan.id, self.number), old=self.lease_oid, new=oid)
        self._publish([move], reason="lease")
        self.lease, self.lease_oid = lease, oid

    def intend(
        self, gate: RecordedGate, *, step: str, attempt: int, seconds: int, usd: str
    ) -> datetime:
        """Write down what is about to start, before it starts; gives the moment."""
        now = self.now()
        self.move_lease(
            holder=holder.this_process(),
            expires_at=now + timedelta(seconds=seconds) + GRACE,
            started_at=now,
            approvals=tuple(gate.approvals),
            step=step,
            attempt=attempt,
            authority=gate.authority,
            plan_tip=gate.plan_tip,
            reserved_usd=usd,
        )
        return now

    def tell(
        self, kind: Kind, *, step: int | None = None, status: str = "", text: str = ""
    ) -> None:
        """Let the listener know; `step` counts from 0."""
        steps = self.plan.file.plan.steps
        self.listener(
            Event(
                kind=kind,
                plan=self.plan.id,
                run=self.number,
                step=steps[step].id if step is not None else "",
                number=step + 1 if step is not None else 0,
                total=len(steps),
                status=status,
                text=text,
            )
        )

    def release(self) -> None:
        """Let go of the lease, and note how far the branch is.

        What the lease says of a started step stays until that is recorded.
        """
        self.move_lease(holder=holder.FREE, expires_at=self.now())
        self.project.home.run_tip(self.plan.id, self.number)

    def publish(
        self,
        entries: Mapping[str, Entry | None],
        *,
        subject: str,
        pairs: Sequence[Trailer],
        tag: str = "",
    ) -> str:
        """Add one signed commit to the run branch and one link to the lease, both or neither.

        The link says the same of the started step as the one before: whichever of the two refs
        a crash leaves behind, no lease ever denies a command that had started.
        """
        store = self.project.store
        tree = store.edit_tree(store.commit(self.tip).tree, entries)
        draft = NewCommit(
            tree=tree,
            parents=(self.tip,),
            by=replace(self.by, when=int(self.now().timestamp())),
            message=trailers.message(subject, pairs),
        )
        commit = recording.sign_commit(self.project, draft)
        lease = replace(self.lease, taken_at=self.now())
        lease_oid = leases.write(store, lease, parent=self.lease_oid, by=self.by)
        moves = [
            Move(ref=self.branch, old=self.tip, new=commit),
            Move(ref=lease_ref(self.plan.id, self.number), old=self.lease_oid, new=lease_oid),
        ]
        if tag:
            moves.append(Move(ref=tag, old=None, new=commit))
        self._publish(moves, reason=subject)
        self.tip, self.lease, self.lease_oid = commit, lease, lease_oid
        if self.tree:
            self.tree.point_to(commit)
            for path, entry in entries.items():
                if path.startswith(f"{PLANS_FOLDER}/"):
                    self.tree.write(path, entry)
        return commit

    def _publish(self, moves: Sequence[Move], *, reason: str) -> None:
        try:
            self.project.home.publish(moves, reason=reason)
        except BranchBusy as error:
            message = f"run {self.plan.id}/{self.number} is no longer ours: {error.message}"
            raise RunHeld(message, hint=f"planlock status {self.plan.id}") from error


def load_others(project: Project, plan: str, number: int) -> tuple[RunFile, ...]:
    """Read every other run of a plan, also one that was seen here and whose refs are gone."""
    known = runs.of_plan(project, plan)
    prefix = f"{SEEN}/run/{plan}/"
    for ref, oid in refs.under(project.git_dir, prefix).items():
        known.setdefault(int(ref.removeprefix(prefix)), oid)
    return tuple(
        runs.load_run(project.store, oid, plan, run) for run, oid in known.items() if run != number
    )


def take_over(
    project: Project, plan_id: str, number: int, *, found: Evidence, listener: Listener
) -> Session:
    """Go on with a run that nobody holds; raises RunHeld, or AuthorityRefused for a broken chain."""
    tip = project.home.run_tip(plan_id, number) or ""
    run = runs.load_run(project.store, tip, plan_id, number)
    check_chain(project, found.authority, run, tip)
    plan = evidence.plan_at(project.store, tip, plan_id, on_branch=True)
    if plan is None:
        message = f"run {plan_id}/{number}: its branch holds no plan"
        raise AuthorityRefused(message, hint="planlock audit")
    ref = lease_ref(plan_id, number)
    old_oid = refs.read(project.git_dir, ref)
    old = leases.read(project.store, old_oid) if old_oid else None
    now = max(project.world.now(), parse_time(run.last_moment))
    if old and not holder.gone(old.holder) and now < old.expires_at:
        raise RunHeld(
            f"run {plan_id}/{number} is held by {old.holder} since {time_text(old.taken_at)}, "
            f"until {time_text(old.expires_at)}",
            hint=f"planlock status {plan_id}",
        )
    fresh = Lease(holder="", epoch=0, taken_at=now, expires_at=now)
    lease = replace(
        old or fresh,
        holder=holder.this_process(),
        epoch=(old.epoch if old else 0) + 1,
        taken_at=now,
        expires_at=now + GRACE,
    )
    by = project.runner_identity(project.runner_name(found.authority))
    oid = leases.write(project.store, lease, parent=old_oid, by=by)
    try:
        project.home.publish([Move(ref=ref, old=old_oid, new=oid)], reason="take lease")
    except BranchBusy as error:
        message = f"run {plan_id}/{number}: another runner took it at this moment"
        raise RunHeld(message, hint="try again") from error
    return Session(
        project=project,
        plan=plan,
        run=run,
        tip=tip,
        lease=lease,
        lease_oid=oid,
        by=by,
        listener=listener,
        others=load_others(project, plan_id, number),
    )


def check_chain(project: Project, authority: Authority, run: RunFile, tip: str) -> None:
    """Raise AuthorityRefused for a run whose records or signatures are not in order."""
    problems = list(chain_problems(run))
    now = project.world.now()
    signer = evidence.commit_signer(project.store.commit(tip), authority, now)
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
