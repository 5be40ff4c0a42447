"""A run in our hands: started or taken over, with its lease, its branch and its last record.

Nobody takes it while the home knows of a lease that has not run out. So no step begins, and no
command goes on, when that is about to happen and the home cannot be told of a later end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.core.approval import Vote
from runner.core.errors import BranchBusy, GitError, RunHeld
from runner.core.gate import Question
from runner.core.policy import PLANS_FOLDER
from runner.core.record import RecordedGate
from runner.core.run import RunFile, lease_ref, run_branch, run_folder
from runner.core.values import parse_time, time_text
from runner.git import leases, trailers
from runner.git.control import Request
from runner.git.leases import GRACE, Lease
from runner.git.objects import Entry, NewCommit, Signature
from runner.git.refs import Move
from runner.git.trailers import Trailer
from runner.git.worktree import WorkTree
from runner.project import Project
from runner.sandbox.contract import Backend
from runner.verbs import evidence, holder, recording
from runner.verbs.control import Wishes
from runner.verbs.events import Event, Kind, Listener
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.witness import Desk

# How long to wait after a renewal that did not reach the home.
AGAIN = GRACE / 24


@dataclass
class Session:
    """What changes while we hold a run; `tip` is the branch as we last moved it.

    `published_lease` is the link that the lease's ref names, `told` the newest that the home has;
    a deferred intent comes after it. `votes` are the decisions seen so far, `noted` the digests of
    those that the ledger has, `desk` is where reviewers decide, `backends` the sandboxes that confined a trial command, by what the
    policy requires; `done` is a plan's digest and how many of its first steps are done.
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
    told: Lease = field(init=False)
    others: tuple[RunFile, ...] = ()
    tree: WorkTree | None = None
    retried: set[str] = field(default_factory=set)
    votes: dict[str, Vote] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    backends: dict[str, Backend] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)
    desk: Desk | None = None
    done: tuple[str, int] = ("", 0)

    def __post_init__(self) -> None:
        self.published_lease = self.published_lease or self.lease_oid
        self.told = self.lease

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
        """The latest of the clock, the last record's end (design section 5) and the lease."""
        recorded = parse_time(self.run.last_moment)
        return max(self.project.world.now(), recorded, self.lease.taken_at)

    def question(self, found: Evidence, step: int) -> Question:
        so_far = evidence.so_far(self.run, self.others, self.number)
        return evidence.question(
            found, step=step, so_far=so_far, now=self.now(), plan=self.plan.file
        )

    def move_lease(self, *, sync: bool = True, tell: bool = False, **changes: Any) -> None:
        """Go one link further in the lease; raises RunHeld where it is no longer ours."""
        self._add_link(**changes)
        self._publish([], reason="lease", sync=sync, tell=tell)

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
        self._add_link(
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
        if not deferred:
            # Where it may take long, nobody attends to the lease meanwhile.
            self._publish([], reason="lease", tell=seconds > 0)
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

        Raises RunHeld where somebody took the run over meanwhile, and GitError where the lease is
        about to run out because the home cannot be reached.
        """
        if not self.lease_oid:
            return False  # nobody holds what is only replayed
        if self.told.is_due(self.now()) and self.now() >= self.lease.taken_at + AGAIN:
            self._renew()
        try:
            asked = self.asked()
        except GitError:
            return False  # the home may be back before the step has ended
        return asked is not None and asked.wish == "cancel"

    def _renew(self) -> None:
        try:
            self.move_lease(sync=False, tell=True, expires_at=self.now() + GRACE)
        except GitError:
            if self.now() >= self.told.expires_at - GRACE / 4:
                raise

    def asked(self) -> Request | None:
        """What somebody asks of this run now, here or from elsewhere; raises GitError."""
        return self.wishes.look(self.project, self.plan.id, self.number)

    def publish(
        self,
        entries: Mapping[str, Entry | None],
        *,
        subject: str,
        pairs: Sequence[Trailer],
        tag: str = "",
        tell: bool = False,
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
        self._publish(moves, reason=subject, tell=tell)
        self.tip = commit
        if self.tree:
            self.tree.point_to(commit)
            for path, entry in entries.items():
                if path.startswith(f"{PLANS_FOLDER}/"):
                    self.tree.write(path, entry)
        return commit

    def _publish(
        self, moves: Sequence[Move], *, reason: str, sync: bool = True, tell: bool = False
    ) -> None:
        """Move refs, and the lease's to its last link; the home is told in time or as asked."""
        publisher, tell = self.project.publisher, tell or self.told.is_due(self.now())
        ref = lease_ref(self.plan.id, self.number)
        link = Move(ref=ref, old=self.published_lease, new=self.lease_oid)
        try:
            is_told = publisher.publish([*moves, link], reason=reason, sync=sync, tell=tell)
        except BranchBusy as error:
            message = f"run {self.plan.id}/{self.number} is no longer ours: {error.message}"
            if publisher.is_ahead:
                message += (
                    f"; what was done since {time_text(self.told.taken_at)} stays unpublished"
                )
            raise RunHeld(message, hint=f"planlock status {self.plan.id}") from error
        self.published_lease = self.lease_oid
        if is_told:
            self.told = self.lease
