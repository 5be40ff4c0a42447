"""A run in our hands: started or taken over, with its lease, its branch and its last record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.core.approval import Vote
from runner.core.errors import AuthorityRefused, BranchBusy, GitError, PlanlockError, RunHeld
from runner.core.gate import Question
from runner.core.policy import PLANS_FOLDER
from runner.core.record import RecordedGate
from runner.core.run import (
    NAMESPACE,
    RUN_FILE,
    RunFile,
    chain_problems,
    lease_ref,
    run_branch,
    run_folder,
)
from runner.core.values import parse_time, time_text
from runner.git import leases, refs, sshsig, trailers
from runner.git.control import Request
from runner.git.home import SEEN
from runner.git.leases import Lease
from runner.git.objects import Entry, NewCommit, Signature
from runner.git.refs import Move
from runner.git.sshsig import BadSignature
from runner.git.trailers import Trailer
from runner.git.worktree import WorkTree
from runner.project import Authority, Project
from runner.sandbox.contract import Backend
from runner.verbs import evidence, holder, provenance, recording, runs
from runner.verbs.control import Wishes
from runner.verbs.events import Event, Kind, Listener
from runner.verbs.evidence import Evidence, PlanAt

GRACE = timedelta(seconds=120)


@dataclass
class Session:
    """What changes while we hold a run; `tip` is the branch as we last moved it.

    `published_lease` is the link that the lease's ref names; a deferred intent comes after it.
    `votes` are the decisions seen so far, `noted` the digests of those that the ledger has,
    `backends` the sandboxes that confined a trial command, by what the policy requires; `done` is a
    plan's digest and how many of its first steps are done.
    """

    project: Project
    plan: PlanAt
    run: RunFile
    tip: str
    lease: Lease
    lease_oid: str
    by: Signature
    listener: Listener
    published_lease: str = ""
    others: tuple[RunFile, ...] = ()
    tree: WorkTree | None = None
    retried: set[str] = field(default_factory=set)
    votes: dict[str, Vote] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    backends: dict[str, Backend] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)
    done: tuple[str, int] = ("", 0)

    def __post_init__(self) -> None:
        self.published_lease = self.published_lease or self.lease_oid

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

    def move_lease(self, *, sync: bool = True, **changes: Any) -> None:
        """Go one link further in the lease; raises RunHeld where it is no longer ours."""
        self._add_link(**changes)
        self._publish([], reason="lease", sync=sync)

    def _add_link(self, **changes: Any) -> None:
        lease = replace(self.lease, taken_at=self.now(), **changes)
        oid = leases.write(self.project.store, lease, parent=self.lease_oid, by=self.by)
        self.lease, self.lease_oid = lease, oid

    def intend(  # noqa: PLR0913  # what a link says of a step
        self,
        gate: RecordedGate,
        *,
        step: str,
        attempt: int,
        seconds: int,
        usd: str,
        deferred: bool = False,
        undo: bool = False,
    ) -> datetime:
        """Write down what is about to start, before it starts; gives the moment.

        Deferred, it is published with the step's own commit: for what has no effect before.
        """
        now = self.now()
        write = self._add_link if deferred else self.move_lease
        write(
            holder=holder.this_process(),
            expires_at=now + timedelta(seconds=seconds) + GRACE,
            started_at=now,
            approvals=tuple(gate.approvals),
            step=step,
            attempt=attempt,
            undo=undo,
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

    def attend(self) -> bool:
        """Renew the lease in good time while a step goes on; whether the run is to end now.

        Raises RunHeld where somebody took the run over meanwhile.
        """
        if not self.lease_oid:
            return False  # nobody holds what is only replayed
        if self.now() >= self.lease.taken_at + GRACE / 4:
            self.move_lease(sync=False, expires_at=self.now() + GRACE)
        try:
            asked = self.asked()
        except GitError:
            return False  # the home may be back before the step has ended
        return asked is not None and asked.wish == "cancel"

    def asked(self) -> Request | None:
        """What somebody asks of this run now, here or from elsewhere; raises GitError."""
        return self.wishes.look(self.project, self.plan.id, self.number)

    @contextmanager
    def releasing(self) -> Iterator[None]:
        """Let go of the lease in the end; what went wrong before is what there is to tell."""
        try:
            yield
        except BaseException:
            with suppress(PlanlockError):
                self.release()
            raise
        self.release()

    def release(self) -> None:
        """Let go of the lease, and note how far the branch is.

        What the lease says of a started step stays until that is recorded.
        """
        try:
            self.move_lease(sync=False, holder=holder.FREE, expires_at=self.now())
        finally:
            self.project.publisher.end()
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
        self._add_link()
        moves = [Move(ref=self.branch, old=self.tip, new=commit)]
        if tag:
            moves.append(Move(ref=tag, old=None, new=commit))
        self._publish(moves, reason=subject)
        self.tip = commit
        if self.tree:
            self.tree.point_to(commit)
            for path, entry in entries.items():
                if path.startswith(f"{PLANS_FOLDER}/"):
                    self.tree.write(path, entry)
        return commit

    def _publish(self, moves: Sequence[Move], *, reason: str, sync: bool = True) -> None:
        """Move refs, and the lease's to its last link."""
        ref = lease_ref(self.plan.id, self.number)
        link = Move(ref=ref, old=self.published_lease, new=self.lease_oid)
        try:
            self.project.publisher.publish([*moves, link], reason=reason, sync=sync)
        except BranchBusy as error:
            message = f"run {self.plan.id}/{self.number} is no longer ours: {error.message}"
            raise RunHeld(message, hint=f"planlock status {self.plan.id}") from error
        self.published_lease = self.lease_oid


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
    project: Project, plan_id: str, number: int, *, authority: Authority, listener: Listener
) -> Session:
    """Go on with a run that nobody holds; raises RunHeld, or AuthorityRefused for a broken chain."""
    tip = project.home.run_tip(plan_id, number) or ""
    run = runs.load_run(project.store, tip, plan_id, number)
    check_chain(project, authority, run, tip)
    plan = evidence.plan_at(project.store, tip, plan_id, on_branch=True)
    if plan is None:
        message = f"run {plan_id}/{number}: its branch holds no plan"
        raise AuthorityRefused(message, hint="planlock audit")
    ref = lease_ref(plan_id, number)
    old_oid = refs.read(project.git_dir, ref)
    old = leases.read(project.store, old_oid) if old_oid else None
    now = max(project.world.now(), parse_time(run.last_moment))
    if old and holder.is_at_work(old, now):
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
    by = project.runner_identity(project.runner_name(authority))
    others = load_others(project, plan_id, number)
    with project.publisher.begin(plan_id, number):
        oid = leases.write(project.store, lease, parent=old_oid, by=by)
        try:
            move = Move(ref=ref, old=old_oid, new=oid)
            project.publisher.publish([move], reason="take lease")
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
        others=others,
    )


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
