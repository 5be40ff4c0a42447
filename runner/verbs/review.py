"""`review`: what waits for the caller, and one plan opened for reading."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from runner.core import approval, gate
from runner.core.approval import NAMESPACE
from runner.core.errors import PlanlockError, Reason, Refused
from runner.core.gate import Answer
from runner.core.rules import Requirement, judge_step
from runner.core.text import visible
from runner.project import Project
from runner.verbs import diff, review_plans, show
from runner.verbs.diff import PlanDiff
from runner.verbs.diff_steps import StepChange
from runner.verbs.evidence import PlanAt
from runner.verbs.review_outlook import (
    MISSING,
    Outlook,
    Person,
    StepOutlook,
    objections,
    outlook,
    own,
    would_help,
)
from runner.verbs.show import PlanView, StepView
from runner.verbs.whoami import objections as objections_to_key

EXPIRED = "approval_expired"
State = Literal["ask", "approved", "enough", "free", "rejected", "done", "barred"]


@dataclass(frozen=True, kw_only=True)
class WaitingPlan:
    """A plan with steps that wait: those that the caller could approve, and what is missing."""

    plan: str
    goal: str
    author: str
    digest: str
    commit: str
    steps: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits for the caller, and what waits for others or for a mend."""

    person: str
    trusted: str
    mine: tuple[WaitingPlan, ...]
    others: tuple[WaitingPlan, ...]


@dataclass(frozen=True, kw_only=True)
class StepReview:
    """A step, how it stands for the caller and why, and what changed since they approved it.

    `known` says that only time or a change ended what the caller said last, an approval.
    `free` says that the policy asks for no approval of the step itself.
    """

    view: StepView
    state: State
    note: str
    change: StepChange | None
    known: bool
    free: bool


@dataclass(frozen=True, kw_only=True)
class PlanReview:
    """A plan as the caller sees it.

    `skipped` steps are left out by a run as things stand; `term` is how long the policy lets
    an approval live.
    """

    plan: str
    person: str
    digest: str
    execution: str
    term: str
    skipped: tuple[str, ...]
    view: PlanView
    diff: PlanDiff | None
    steps: tuple[StepReview, ...]


def waiting(project: Project, plan_id: str = "") -> Waiting:
    """List the plans that wait for an approval of the caller, or of others; or look at one."""
    plans = {plan_id: review_plans.one(project, plan_id)} if plan_id else review_plans.find(project)
    person = _caller(project)
    found = [_waiting(project, name, plan, person) for name, plan in plans.items()]
    return Waiting(
        person=person.name,
        trusted=str(project.authority()),
        mine=tuple(each for each in found if each.steps),
        others=tuple(each for each in found if each.missing and not each.steps),
    )


def _caller(project: Project) -> Person:
    """Who reviews; raises Refused where that is nobody who may decide."""
    authority = project.authority()
    key, now = project.person.credential, project.world.now()
    verdict = authority.signers.find(key, namespace=NAMESPACE, at=now)
    reasons = objections_to_key(verdict, authority)
    if reasons or verdict.principal is None or verdict.assurance is None:
        raise Refused("your key may not decide here", reasons=reasons)
    return Person(name=verdict.principal, assurance=verdict.assurance)


def _waiting(project: Project, name: str, plan: PlanAt | Refused, person: Person) -> WaitingPlan:
    """What is missing for one plan; a plan that cannot be judged says why."""
    try:
        if isinstance(plan, Refused):
            raise plan
        stand = outlook(project, plan)
    except PlanlockError as error:
        return WaitingPlan(
            plan=name, goal="", author="", digest="", commit="", steps=(), missing=(error.message,)
        )
    mine = [each.step.id for each in stand.steps if _state(stand, each, person) == "ask"]
    return WaitingPlan(
        plan=name,
        goal=visible(plan.file.plan.goal),
        author=visible(plan.file.plan.author or ""),
        digest=plan.file.digest,
        commit=plan.commit,
        steps=tuple(mine),
        missing=_missing(stand),
    )


def _missing(stand: Outlook) -> tuple[str, ...]:
    """What the steps lack that have not run, in a line for those that lack the same."""
    lacking: dict[str, list[str]] = {}
    for each in stand.steps:
        if not each.done and each.decision.answer is Answer.REFUSED:
            for message in _grounds(each):
                lacking.setdefault(message, []).append(each.step.id)
    return tuple(visible(f"{', '.join(names)}: {text}") for text, names in lacking.items())


def _grounds(step: StepOutlook) -> list[str]:
    """Why a step may not run: the approvals that it lacks, else whatever refuses it."""
    reasons = step.decision.reasons
    lacks = [each.message for each in reasons if each.code == MISSING]
    return lacks or [each.message for each in reasons]


def open_plan(project: Project, plan_id: str) -> PlanReview:
    """Read a plan with all that the caller needs to decide about it."""
    plan, person = review_plans.one(project, plan_id), _caller(project)
    view, stand = show.render(project, plan), outlook(project, plan)
    since = diff.last_approval(project, view, stand, person.name)
    policy = stand.found.authority.policy_file
    return PlanReview(
        plan=plan_id,
        person=person.name,
        digest=plan.file.digest,
        execution=policy.execution,
        term=policy.policy.approvals_expire_after or "",
        skipped=stand.skipped,
        view=view,
        diff=since,
        steps=tuple(_steps(stand, person, view, since)),
    )


def _steps(
    stand: Outlook, person: Person, view: PlanView, since: PlanDiff | None
) -> Iterator[StepReview]:
    changes = {each.number: each for each in since.steps} if since else {}
    policy = stand.found.authority.policy
    for shown, step in zip(view.steps, stand.steps, strict=True):
        state = _state(stand, step, person)
        change = changes.get(shown.number)
        yield StepReview(
            view=shown,
            state=state,
            note=visible(_note(step, state, person)),
            change=change,
            known=change is not None and _is_known(stand, step, change.lapse, person),
            free=not _asks(judge_step(policy, step.step).requirements)
            and step.digest not in step.question.so_far.drafted,
        )


def _is_known(stand: Outlook, step: StepOutlook, lapse: Collection[Reason], person: Person) -> bool:
    """Whether the person need not read again what they approved.

    They must where they took it back, or where what it may do, or runs without, is new.
    """
    question, name = step.question, step.step.id
    in_force = approval.standing(question.votes, gate.context_of(question))
    if any(
        vote.record.decision != "approve" and name in vote.record.steps
        for vote in own(in_force, question, person.name)
    ):
        return False
    said = own(stand.found.votes, question, person.name)
    last = [each.record for each in said if name in each.record.steps][-1:]
    execution = stand.found.authority.policy_file.execution
    alike = all(each.execution == execution for each in last)
    return alike and all(each.code == EXPIRED for each in lapse)


def _state(stand: Outlook, step: StepOutlook, person: Person) -> State:
    if step.done:
        return "done"
    if step.decision.answer is Answer.REJECTED:
        return "rejected"
    if would_help(step, person):
        return "ask"
    mine = own(stand.found.votes, step.question, person.name)
    if any(step.step.id in each.record.steps and not objections(step, each) for each in mine):
        return "approved"
    if step.decision.answer is Answer.REFUSED:
        return "barred"
    return "enough" if _asks(step.decision.requirements) else "free"


def _asks(requirements: Iterable[Requirement]) -> bool:
    return any(each.approvals for each in requirements)


def _note(step: StepOutlook, state: State, person: Person) -> str:
    """Why a step stands as it does for the person."""
    excluded = gate.excluded(step.question)
    by = ", ".join(sorted({each.record.approver for each in step.decision.approvals}))
    return {
        "done": f"{step.done} in the last run",
        "approved": "you approved it",
        "enough": f"approved by {by}",
        "free": "needs no approval",
        "barred": f"{person.name} {excluded[person.name]}"
        if person.name in excluded
        else "; ".join(_grounds(step)),
    }.get(state, "; ".join(each.message for each in step.decision.reasons))
