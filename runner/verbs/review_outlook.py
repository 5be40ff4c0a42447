"""How each step of a plan stands now, and what a person's approval would change about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runner.core import approval, gate
from runner.core.approval import Approval, Vote
from runner.core.errors import Reason
from runner.core.gate import Answer, Decision, Question
from runner.core.plan import Step
from runner.core.policy import Assurance
from runner.core.run import RunFile, plan_branch
from runner.core.run_states import DONE
from runner.core.values import time_text
from runner.git import refs
from runner.project import Project
from runner.verbs import evidence, runs
from runner.verbs.evidence import Evidence, PlanAt

MISSING = "approvals_missing"
OF_THE_VOTE = frozenset({"approval_consumed", "approval_unfit"})


@dataclass(frozen=True, kw_only=True)
class StepOutlook:
    """What the gate would be asked about a step, with what will be skipped before it, and says.

    `done` is the status under which a run has recorded this very content.
    """

    step: Step
    digest: str
    question: Question
    decision: Decision
    done: str


@dataclass(frozen=True, kw_only=True)
class Outlook:
    found: Evidence
    steps: tuple[StepOutlook, ...]

    @property
    def skipped(self) -> tuple[str, ...]:
        """What a run leaves out as things stand."""
        rejected = [each.step.id for each in self.steps if each.decision.answer is Answer.REJECTED]
        return tuple(dict.fromkeys([*self.steps[0].question.so_far.skipped, *rejected]))


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who might approve, and how surely a key says that it is they."""

    name: str
    assurance: Assurance


def outlook(project: Project, plan: PlanAt) -> Outlook:
    """Ask the gate about every step, knowing of decisions that are not pushed yet."""
    now = project.world.now()
    here = refs.read(project.git_dir, plan_branch(plan.id))
    found = evidence.gather(project, plan, now=now, extra_tips=[here] if here else [])
    known = runs.of_plan(project, plan.id)
    every = [runs.load_run(project.store, oid, plan.id, number) for number, oid in known.items()]
    newest = every[-1] if every else None
    current = newest if newest and not newest.ended else None
    others = [each for each in every if each is not current]
    number = current.header.run if current else max(known, default=0) + 1
    so_far = evidence.so_far(current, others, number)
    question = evidence.question(found, step=0, so_far=so_far, now=now)
    return Outlook(found=found, steps=tuple(_steps(question, newest)))


def _steps(question: Question, run: RunFile | None) -> list[StepOutlook]:
    outlooks = []
    for number, step in enumerate(question.plan.plan.steps):
        asked = replace(question, step=number)
        decision, digest = gate.decide(asked), question.plan.digests[number]
        done = _done(run, step.id, digest)
        outlooks.append(
            StepOutlook(step=step, digest=digest, question=asked, decision=decision, done=done)
        )
        if decision.answer is Answer.REJECTED and not done:
            skipped = (*question.so_far.skipped, step.id)
            question = replace(question, so_far=replace(question.so_far, skipped=skipped))
    return outlooks


def _done(run: RunFile | None, name: str, digest: str) -> str:
    record = run.latest(name) if run else None
    same = record is not None and record.step is not None and record.step.digest == digest
    return record.status if record and same and record.status in DONE else ""


def own(votes: Iterable[Vote], question: Question, person: str) -> list[Vote]:
    """A person's genuine decisions about this plan here, oldest first."""
    plan, repository = question.plan.plan.id, question.policy.policy.repository
    found = {
        vote.digest: vote
        for vote in votes
        if approval.genuine(vote)
        and vote.record.approver == person
        and (vote.record.plan, vote.record.repository) == (plan, repository)
    }
    return sorted(found.values(), key=lambda vote: vote.record.id)


def objections(step: StepOutlook, vote: Vote) -> tuple[Reason, ...]:
    """Say why an approval does not count for a step; nothing where it does."""
    question = step.question
    context = gate.context_of(question)
    found = (
        approval.objection(vote, question.policy.policy, context),
        _taken_back(question, vote, step.step.id),
    )
    reasons = tuple(each for each in found if each)
    return reasons or _of_no_use(question, vote)


def _taken_back(question: Question, vote: Vote, step: str) -> Reason | None:
    in_force = approval.standing(question.votes, gate.context_of(question))
    mine = [each for each in in_force if each.record.approver == vote.record.approver]
    holds = [
        each for each in mine if each.record.decision != "approve" and step in each.record.steps
    ]
    if vote.digest in {each.digest for each in mine} and not holds:
        return None
    later = holds or [
        each
        for each in question.votes
        if each.record.approver == vote.record.approver and vote.digest in each.record.supersedes
    ]
    return _replaced(vote.record, later[-1].record if later else None)


def _replaced(old: Approval, later: Approval | None) -> Reason:
    words = {"approve": "approved anew", "reject": "rejected", "withdraw": "withdrew"}
    deed = f"{words[later.decision]} at {later.made_at}" if later else "replaced it"
    return Reason(
        code="withdrawn",
        message=f"{old.approver} {deed}",
        fix=f"planlock approve {old.plan}",
    )


def _of_no_use(question: Question, vote: Vote) -> tuple[Reason, ...]:
    """Why an approval that is in force fills none of the places that the policy asks for."""
    alone = gate.decide(replace(question, votes=(vote,)))
    if missing(alone) != missing(gate.decide(replace(question, votes=()))):
        return ()
    return tuple(each for each in alone.reasons if each.code in OF_THE_VOTE)


def missing(decision: Decision) -> frozenset[str]:
    return frozenset(each.message for each in decision.reasons if each.code == MISSING)


def would_help(step: StepOutlook, person: Person) -> bool:
    """Whether an approval by this person now would bring the step nearer to running."""
    if not missing(step.decision):
        return False
    question = step.question
    context = gate.context_of(question)
    mine = own(approval.standing(question.votes, context), question, person.name)
    vote = _as_if(step, person, mine)
    return missing(gate.decide(replace(question, votes=(*question.votes, vote)))) != missing(
        step.decision
    )


def _as_if(step: StepOutlook, person: Person, mine: Sequence[Vote]) -> Vote:
    """The approval that the person would give: like `approve`, in place of their earlier ones."""
    question = step.question
    record = Approval(
        version=1,
        id="0" * 26,
        decision="approve",
        plan=question.plan.plan.id,
        repository=question.policy.policy.repository,
        steps={step.step.id: step.digest},
        skipped=list(question.so_far.skipped),
        execution=question.policy.execution,
        approver=person.name,
        supersedes=[vote.digest for vote in mine],
        made_at=time_text(question.now),
    )
    return Vote(
        record=record,
        digest="sha256:" + "0" * 64,
        principal=person.name,
        assurance=person.assurance,
        current=True,
    )
