"""Do one recorded step again, in a scratch work tree that starts as the run's own did."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from runner.core.gate import Answer, Decision, Provenance, Question
from runner.core.plan import RunCommandInput, typed_input
from runner.core.plan_checks import BUILT_IN
from runner.core.record import Record, RecordedGate, RecordFile
from runner.core.run import RunFile
from runner.core.values import parse_time
from runner.git import graph, shared_checkouts
from runner.git.leases import Lease
from runner.git.worktree import WorkTree
from runner.project import Project
from runner.sandbox.contract import Backend
from runner.steps import registry
from runner.steps.contract import Output
from runner.verbs import evidence, holder, preparing, replay_compare, secret_values, votes
from runner.verbs.events import Listener
from runner.verbs.evidence import PlanAt
from runner.verbs.performing import Performer
from runner.verbs.replay_answers import RecordedAnswers
from runner.verbs.replay_compare import Difference, What
from runner.verbs.session import Session

# What a record says of a command that nothing confined (runner/sandbox/unconfined.py).
UNCONFINED = "none"


@dataclass(frozen=True, kw_only=True)
class Link:
    """One commit of a run, the commit before it, and the record that it adds."""

    before: str
    commit: str
    file: RecordFile

    @property
    def record(self) -> Record:
        return self.file.record


class Replayer:
    """Goes along a run, record by record; what it writes is never stored in the repository.

    Each step starts from the files that the run had, so that the first difference is its own.
    """

    def __init__(
        self, project: Project, run: RunFile, listener: Listener, *, network: bool
    ) -> None:
        self.project = project
        self.listener = listener
        self.network = network
        self.before = replace(run, records=())
        self.plan_id, self.number = run.header.plan, run.header.run
        name = f"{self.plan_id}-{self.number}@{holder.this_process().replace('/', '@')}"
        folder = project.repository.state / "replay" / name
        checkouts = shared_checkouts.of(project.repository.state, project.store)
        self.tree = WorkTree(folder, project.store, checkouts)
        self._backends: dict[str, Backend] = {}
        self._filled = False

    def __enter__(self) -> Self:
        self._collect()
        return self

    def __exit__(self, *_: object) -> None:
        self.project.store.stop_collecting()
        self.tree.remove()

    def _collect(self) -> None:
        """Forget what a step wrote, and keep what the next one writes out of the repository."""
        self.project.store.collect(lambda: None)

    def perform(self, link: Link) -> Output | Difference | str:
        """Do a step again: its output, the difference that shows, or why it cannot be done."""
        record = link.record
        plan = evidence.plan_at(self.project.store, link.before, self.plan_id, on_branch=True)
        number = plan.file.index(record.about or "") if plan else None
        if plan is None or number is None or record.step is None or record.gate is None:
            return self._difference(link, "step", "its step", "no such step in the plan")
        if plan.file.digests[number] != record.step.digest:
            return self._difference(link, "step", record.step.digest, plan.file.digests[number])
        held = self._session(plan, link, record.gate)
        question = self._question(held, link, number=number, gate=record.gate)
        return self._prepared(held, question, link)

    def _session(self, plan: PlanAt, link: Link, gate: RecordedGate) -> Session:
        """What the performer asks of a session; nothing is ever published from it."""
        moment = parse_time(link.record.started_at)
        lease = Lease(
            holder="", epoch=0, taken_at=moment, expires_at=moment, authority=gate.authority
        )
        if not self._filled:
            self.tree.fill(self.project.store.commit(link.before).tree, link.before)
            self._filled = True
        return Session(
            project=self.project,
            plan=plan,
            run=self.before,
            tip=link.before,
            lease=lease,
            lease_oid="",
            by=self.project.runner_identity(self.before.header.runner),
            listener=self.listener,
            tree=self.tree,
            backends=self._backends,
        )

    def _question(self, held: Session, link: Link, *, number: int, gate: RecordedGate) -> Question:
        """What the gate was asked, with the approvals that the run's own branch holds."""
        moment = parse_time(link.record.started_at)
        authority = self.project.authority_at(gate.authority)
        found = votes.read(
            self.project,
            self.plan_id,
            base=held.run.header.base,
            tips=[link.commit],
            authority=authority,
            at=moment,
        )
        return Question(
            plan=held.plan.file,
            step=number,
            policy=authority.policy_file,
            votes=found.votes,
            provenance=Provenance(),
            so_far=evidence.so_far(held.run, (), self.number),
            now=moment,
        )

    def _prepared(self, held: Session, question: Question, link: Link) -> Output | Difference | str:
        given = typed_input(question.plan.plan.steps[question.step])
        if isinstance(given, RunCommandInput) and given.network and not self.network:
            return "it had a network; --network lets it have that again"
        if self._reached_outside(link):
            return "it was not confined: what it did elsewhere would be done twice"
        backend, lacking = preparing.prepare(held, question)
        if lacking:
            return "; ".join(each.message for each in lacking)
        return self._performed(held, question, link, backend)

    def _reached_outside(self, link: Link) -> bool:
        """Whether a step may have had effects that no workspace holds."""
        record = link.record
        if record.executor.sandbox == UNCONFINED:
            return True
        kind = record.step.type if record.step else ""
        plugins = self.project.authority().policy.plugins
        return kind not in BUILT_IN and not registry.find(kind, plugins).idempotent

    def _performed(
        self, held: Session, question: Question, link: Link, backend: Backend | None
    ) -> Output | Difference:
        gate = link.record.gate
        relied = tuple(vote for vote in question.votes if gate and vote.digest in gate.approvals)
        decision = Decision(answer=Answer.ALLOWED, approvals=relied)
        hidden = secret_values.of(self.project.world.environment, question.policy.policy).hidden
        answers = RecordedAnswers(held, link.file, commit=link.commit, hidden=hidden)
        step = question.plan.plan.steps[question.step]
        performer = Performer(held, step, question=question, decision=decision, answers=answers)
        done = performer.perform(backend, lambda _: None)
        if answers.differing:
            return self._difference(link, "question", "as recorded", answers.differing)
        if wrong := replay_compare.outcome(link.record, done.output):
            what, recorded, replayed = wrong
            return self._difference(link, what, recorded, replayed)
        tree = self.project.store.edit_tree(
            self.project.store.commit(link.before).tree, done.entries
        )
        return self._files(link, tree) or done.output

    def compare(self, link: Link, there: str) -> Difference | None:
        """Hold a commit that is no step's against the one whose files it should have."""
        return self._files(link, self.project.store.commit(there).tree)

    def _files(self, link: Link, tree: str) -> Difference | None:
        store = self.project.store
        changes = replay_compare.trees(store, store.commit(link.commit).tree, tree)
        if not changes:
            return None
        was, now, lines = replay_compare.first_file(store, changes[0])
        found = self._difference(link, "files", was, now)
        return replace(found, path=changes[0].path, diff=lines)

    def _difference(self, link: Link, what: What, recorded: str, replayed: str) -> Difference:
        return Difference(
            record=link.file.name,
            step=link.record.about or "",
            what=what,
            recorded=recorded,
            replayed=replayed,
        )

    def settle(self, link: Link) -> None:
        """Bring the work tree to where the run was after a record.

        After a failed step the run began with fresh files.
        """
        self._collect()
        self.before = self.before.with_record(link.file)
        if not self._filled:
            return
        if link.record.status != "completed":
            self._filled = False
            return
        self.tree.point_to(link.commit)
        store = self.project.store
        before, after = store.commit(link.before).tree, store.commit(link.commit).tree
        # what is gone first: a folder may be where a file was
        changes = graph.diff(store, before, after)
        for change in sorted(changes, key=lambda each: each.new is not None):
            self.tree.write(change.path, change.new)
