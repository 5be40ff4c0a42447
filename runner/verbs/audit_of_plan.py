"""What the runs of a plan have in common: what they used of approvals, and where the plan came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from runner.core import risks
from runner.core.gate import Provenance, Question, SoFar
from runner.core.plan import Step
from runner.core.policy import Policy, PolicyFile
from runner.core.record import Change
from runner.core.rules import Verdict, judge_change
from runner.core.run import RunFile, RunHeader
from runner.core.values import parse_time
from runner.git.objects import Commit
from runner.git.objects_kept import Recent
from runner.project import Authority
from runner.verbs import evidence
from runner.verbs.audit_approvals import Ballots
from runner.verbs.audit_past import Past
from runner.verbs.evidence import PlanAt

KEPT, VERDICTS_KEPT = 16, 4096
Start = tuple[datetime, int]
Uses = Mapping[str, frozenset[int]]


def _judged(step: Step, change: Change, policy: Policy) -> Verdict:
    every = risks.labels(step)
    if step.step_type == "edit_file":
        return judge_change(policy, change.path, by="edit_file", labels=every)
    gone = change.after is None
    own = risks.of_change(gone=gone, mode=change.mode) if step.step_type == "run_command" else None
    return judge_change(policy, change.path, of_step=every, labels=own or frozenset())


def start_of(header: RunHeader) -> Start:
    """By this the runs of a plan are in order; of two, the later one heeds what the other used."""
    return parse_time(header.started_at), header.run


class State(NamedTuple):
    """What a run had used when something ended."""

    ended: datetime
    approvals: frozenset[str]
    cost: Decimal


@dataclass(kw_only=True)
class Usage:
    """How a run came to use what it used: each state that differs from the one before."""

    number: int
    start: Start
    approvals: frozenset[str]
    states: list[State]

    @classmethod
    def of(cls, run: RunFile) -> Usage:
        found = cls(
            number=run.header.run,
            start=start_of(run.header),
            approvals=frozenset(run.header.approvals),
            states=[],
        )
        used, cost = found.approvals, Decimal(0)
        ended = ((parse_time(each.record.ended_at), each.record) for each in run.records)
        for moment, record in sorted(ended, key=lambda each: each[0]):
            more = used.union(record.gate.approvals) if record.gate else used
            if more != used or record.calls:
                used, cost = more, cost + record.cost.usd
                found.states.append(State(moment, used, cost))
        return found

    def at(self, moment: datetime) -> tuple[frozenset[str], Decimal]:
        """Approvals and costs as they stood at a moment."""
        place = bisect_right(self.states, moment, key=lambda each: each.ended)
        return self.states[place - 1][1:] if place else (self.approvals, Decimal(0))

    @property
    def last(self) -> datetime:
        return self.states[-1].ended if self.states else self.start[0]


class Books:
    """What the runs of a plan used; they are added in the order of their starts."""

    def __init__(self) -> None:
        self._uses: dict[str, frozenset[int]] = {}
        self._spent: dict[str, Decimal] = {}
        self._open: dict[int, Usage] = {}

    def add(self, run: RunFile) -> None:
        """Note a run; of one that is added again, the last counts."""
        self._open[run.header.run] = Usage.of(run)

    def before(self, header: RunHeader) -> UsedBefore:
        """What runs that started before this one used; those that were over are summed up."""
        start = start_of(header)
        for usage in [each for each in self._open.values() if each.number != header.run]:
            if usage.start < start and usage.last <= start[0]:
                del self._open[usage.number]
                _put(self._uses, self._spent, usage, usage.last)
        going_on = [
            each for each in self._open.values() if each.start < start and each.number != header.run
        ]
        return UsedBefore(number=header.run, uses=self._uses, spent=self._spent, going_on=going_on)


def _put(
    uses: dict[str, frozenset[int]], spent: dict[str, Decimal], usage: Usage, moment: datetime
) -> None:
    approvals, cost = usage.at(moment)
    for digest in approvals:
        uses[digest] = uses.get(digest, frozenset()) | {usage.number}
        spent[digest] = spent.get(digest, Decimal(0)) + cost


@dataclass(kw_only=True)
class UsedBefore:
    """What other runs used of approvals, for one run; those going on did so up to a moment."""

    number: int
    uses: dict[str, frozenset[int]]
    spent: dict[str, Decimal]
    going_on: list[Usage]
    _last: tuple[frozenset[str], Uses] | None = None

    def so_far(self, run: RunFile, moment: datetime) -> SoFar:
        """As `evidence.so_far` tells it with the other runs as they stood at the moment."""
        own = evidence.so_far(run, (), self.number)
        others, spent = self.uses, self.spent
        if self.going_on:
            others, spent = {**others}, {**spent}
            for usage in self.going_on:
                _put(others, spent, usage, moment)
        total = {**spent}
        for digest, cost in own.spent_under.items():
            total[digest] = total.get(digest, Decimal(0)) + cost
        return replace(own, uses=self._with_own(others, own.uses), spent_under=total)

    def _with_own(self, others: Uses, own: Uses) -> Uses:
        digests = frozenset(own)
        if self._last is None or self.going_on or self._last[0] != digests:
            none: frozenset[int] = frozenset()
            added = {digest: others.get(digest, none) | own[digest] for digest in digests}
            self._last = digests, {**others, **added}
        return self._last[1]


class Reach:
    """Which commits that brought approvals of a plan a run could know of; `brought` are those."""

    def __init__(self, of_plan: OfPlan, wanted: frozenset[str]) -> None:
        self._of_plan, self._wanted, self._last = of_plan, wanted, ""
        self.brought: frozenset[str] = frozenset()

    def add(self, *tips: str) -> None:
        """Add what the tips are or descend from."""
        for tip in tips:
            self._put(self._of_plan.ballots_below(tip) & self._wanted)

    def add_alone(self, commit: str) -> None:
        self._put(self._wanted & {commit})

    def follow(self, commit: Commit) -> None:
        """Add a commit and all before it; what was followed last is not looked at again."""
        if commit.parents[:1] == (self._last,):
            self.add_alone(commit.oid)
            self.add(*commit.parents[1:])
        else:
            self.add(commit.oid)
        self._last = commit.oid

    def _put(self, commits: Iterable[str]) -> None:
        if not self.brought.issuperset(commits):
            self.brought = self.brought.union(commits)


@dataclass(kw_only=True)
class OfPlan:
    """One plan of an audit, and what its runs share."""

    past: Past
    ballots: Ballots
    plan: str
    books: Books = field(default_factory=Books)
    _below: dict[str, frozenset[str]] = field(default_factory=dict)
    _plans: Recent[tuple[str, bool], PlanAt] = field(default_factory=lambda: Recent(KEPT))
    _policy: PolicyFile | None = None
    _verdicts: Recent[tuple[object, ...], Verdict] = field(default_factory=lambda: Recent(KEPT))
    _origins: Recent[tuple[object, ...], Provenance] = field(default_factory=lambda: Recent(KEPT))

    @cached_property
    def _commits(self) -> frozenset[str]:
        return self.ballots.commits(self.plan)

    def ballots_below(self, tip: str) -> frozenset[str]:
        """Commits that brought approvals of the plan and that a tip is or descends from."""
        if tip not in self._below:
            self._below[tip] = self.past.graph.among(self._commits, [tip])
        return self._below[tip]

    def reach(self, base: str) -> Reach:
        """For a run: what was there at the plan's base does not count."""
        return Reach(self, self._commits - self.ballots_below(base))

    def plan_at(self, commit: str, *, on_branch: bool) -> PlanAt | None:
        key = (commit, on_branch)
        found = self._plans.get(key)
        if found is None:
            found = self.past.plan_at(commit, self.plan, on_branch=on_branch)
            if found is not None:
                self._plans.put(key, found, 1)
        return found

    def verdict(self, question: Question, change: Change) -> Verdict:
        """Judge a recorded change by the rules, as the runner did when it was made."""
        key = (question.plan.digests[question.step], change.path, change.after is None, change.mode)
        if question.policy is not self._policy:
            self._policy, self._verdicts = question.policy, Recent(VERDICTS_KEPT)
        found = self._verdicts.get(key)
        if found is None:
            step = question.plan.plan.steps[question.step]
            found = _judged(step, change, question.policy.policy)
            self._verdicts.put(key, found, 1)
        return found

    def provenance(self, plan: PlanAt, authority: Authority, at: datetime) -> Provenance:
        """Where the plan came from; the keys count as they did at a moment."""
        valid = authority.signers.as_of(at)
        key = (plan.commit, plan.on_branch, authority.commit, valid)
        found = self._origins.get(key)
        if found is None:
            found = evidence.provenance_of(self.past.project, plan, authority, at)
            self._origins.put(key, found, 1)
        return found
