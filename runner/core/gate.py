"""The gate: may this step run now? A pure decision with reasons; no match means no."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum

from runner.core import approval, refusals
from runner.core.amendment import is_draft
from runner.core.approval import Context, Vote
from runner.core.errors import Reason
from runner.core.plan import PlanFile, Step
from runner.core.policy import Policy, PolicyFile
from runner.core.quorum import Quorum
from runner.core.rules import Requirement, Verdict, judge_step

SPENDS = frozenset({"analyze", "summarize"})


class Answer(Enum):
    ALLOWED = "allowed"
    REJECTED = "rejected"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How the plan came to be: who signed its commits, and what is wrong with its branch.

    `named` are those whom any version of the plan calls its author or prompter.
    """

    signers: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    unsigned: tuple[str, ...] = ()
    problems: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SoFar:
    """The run up to this step, and how often and for how much approvals were used by all runs.

    `drafted` are the digests of the steps whose text a model wrote in this run.
    """

    run: int = 0
    skipped: tuple[str, ...] = ()
    spent: Decimal = Decimal(0)
    tokens: int = 0
    uses: Mapping[str, frozenset[int]] = field(default_factory=dict)
    spent_under: Mapping[str, Decimal] = field(default_factory=dict)
    drafted: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Question:
    """All that the decision depends on; `now` is the later of the clock and the last record."""

    plan: PlanFile
    step: int
    policy: PolicyFile
    votes: Sequence[Vote]
    provenance: Provenance
    so_far: SoFar
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer; `approvals` are the records relied on, `money` what the step may spend in USD."""

    answer: Answer
    reasons: tuple[Reason, ...] = ()
    approvals: tuple[Vote, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    money: Decimal | None = None

    @property
    def allowed(self) -> bool:
        return self.answer is Answer.ALLOWED


def decide(question: Question) -> Decision:
    """Answer whether the step may run now; one without its text never may."""
    if is_draft(_step(question)):
        first = decide_draft(question)
        reasons = (_not_drafted(question),)
        return Decision(answer=Answer.REFUSED, reasons=reasons) if first.allowed else first
    verdict = _verdict(question)
    return _decide(question, verdict, _needed(verdict.requirements, question))


def decide_draft(question: Question) -> Decision:
    """Answer whether a model may write the step's text now: it is asked, nothing is changed.

    What no approval can mend, a rejection and the money hold as for any step. What a rule asks
    of the edit it asks of the instruction too, since the model gets the file; a default does
    not. What the text itself needs is asked when it is there.
    """
    verdict = _verdict(question)
    return _decide(question, verdict, _after_skips(_ruled(question, verdict), question))


def decide_next(question: Question) -> Decision:
    """Answer whether a run may go on with the step: draft it, or run it where it has its text."""
    return decide_draft(question) if is_draft(_step(question)) else decide(question)


def _step(question: Question) -> Step:
    return question.plan.plan.steps[question.step]


def _verdict(question: Question) -> Verdict:
    return judge_step(question.policy.policy, _step(question))


def _ruled(question: Question, verdict: Verdict) -> tuple[Requirement, ...]:
    """What the policy's own rules ask of the step, without its defaults."""
    names = {rule.name for rule in question.policy.policy.rules}
    return tuple(each for each in verdict.requirements if each.rule in names)


def _decide(
    question: Question, verdict: Verdict, requirements: tuple[Requirement, ...]
) -> Decision:
    step, context = _step(question), context_of(question)
    denied = refusals.denied(verdict.denied)
    if reasons := (*denied, *_standing_refusals(question, step)):
        return Decision(answer=Answer.REFUSED, reasons=reasons, requirements=requirements)
    in_force = approval.standing(question.votes, context)
    rejections = approval.rejections(in_force, question.policy.policy, context)
    if rejections:
        said = ", ".join(sorted(_said(vote) for vote in rejections))
        reason = Reason(code="rejected", message=f"rejected by {said}")
        return Decision(answer=Answer.REJECTED, reasons=(reason,), requirements=requirements)
    return _count(question, context, requirements, in_force)


def _not_drafted(question: Question) -> Reason:
    plan = question.plan.plan
    return Reason(
        code="not_drafted",
        message="a model drafts it when the run gets there; then the text waits for approval",
        fix=f"planlock run {plan.id}",
    )


def _said(vote: Vote) -> str:
    why = f" ({vote.record.reason})" if vote.record.reason else ""
    return f"{vote.record.approver}{why}"


def context_of(question: Question) -> Context:
    plan, policy = question.plan.plan, question.policy
    step = plan.steps[question.step]
    return Context(
        plan=plan.id,
        repository=policy.policy.repository,
        execution=policy.execution,
        step=step.id,
        digest=question.plan.digests[question.step],
        places=question.plan.places,
        skipped=question.so_far.skipped,
        excluded=excluded(question),
        now=question.now,
    )


def excluded(question: Question) -> Mapping[str, str]:
    """People who may not approve this plan, each with the reason."""
    if question.policy.policy.self_approval:
        return {}
    plan = question.plan.plan
    people = dict.fromkeys(question.provenance.named, "was named as its author or prompter")
    people |= dict.fromkeys(question.provenance.signers, "made a commit of the plan")
    if plan.planner and plan.planner.prompter:
        people[plan.planner.prompter] = "prompted the model that wrote the plan"
    if plan.author:
        people[plan.author] = "is the plan's author"
    return people


def required(question: Question) -> tuple[Requirement, ...]:
    """What the rules ask of the step, with what its draft or an earlier skip asks besides."""
    return _needed(_verdict(question).requirements, question)


def _needed(needed: tuple[Requirement, ...], question: Question) -> tuple[Requirement, ...]:
    """A model's text waits for a person, whatever the policy leaves free."""
    digest = question.plan.digests[question.step]
    if digest in question.so_far.drafted and not any(each.approvals for each in needed):
        needed = (*needed, draft_requirement(question.policy.policy))
    return _after_skips(needed, question)


def draft_requirement(policy: Policy) -> Requirement:
    """What every draft asks for at least."""
    return Requirement(approvals=1, assurance=policy.assurance, rule="a model's draft")


def _after_skips(needed: tuple[Requirement, ...], question: Question) -> tuple[Requirement, ...]:
    """After a skipped step even a free one needs a person who knows of the skip."""
    if not question.so_far.skipped or any(each.approvals for each in needed):
        return needed
    assurance = question.policy.policy.assurance
    return (*needed, Requirement(approvals=1, assurance=assurance, rule="after a skipped step"))


def _standing_refusals(question: Question, step: Step) -> Iterator[Reason]:
    """Reasons that no approval of the step can mend."""
    policy, provenance = question.policy.policy, question.provenance
    yield from provenance.problems
    if policy.plans_signed:
        yield from refusals.unsigned(provenance.unsigned)
    yield from refusals.of_plan(policy, question.plan.plan)
    yield from refusals.of_network(policy, step)
    yield from refusals.of_secrets(policy, step)


def _count(
    question: Question,
    context: Context,
    requirements: tuple[Requirement, ...],
    in_force: Sequence[Vote],
) -> Decision:
    counted, objections = _sorted_out(question, context, in_force)
    quorum = _quorum(question, counted)
    missing = quorum.missing(requirements)
    money = money_left(question, counted)
    reasons = (
        *(_missing_reason(each, quorum, context) for each in missing),
        *(_unfit(text, context) for text in quorum.misfits(_asked(requirements, missing))),
        *(dict.fromkeys(objections) if missing else ()),
        *_money_reason(question, money),
    )
    return Decision(
        answer=Answer.REFUSED if reasons else Answer.ALLOWED,
        reasons=reasons,
        approvals=() if reasons else tuple(counted),
        requirements=requirements,
        money=money,
    )


def _asked(
    requirements: Sequence[Requirement], missing: Sequence[Requirement]
) -> list[Requirement]:
    """All that is asked by rules of which something is missing."""
    rules = {each.rule for each in missing}
    return [each for each in requirements if each.approvals and each.rule in rules]


def _sorted_out(
    question: Question, context: Context, in_force: Sequence[Vote]
) -> tuple[list[Vote], list[Reason]]:
    """The approvals that count, and why those that name the step otherwise do not."""
    standing = {vote.digest for vote in in_force}
    held = _held(in_force, context.step)
    counted: dict[str, Vote] = {}
    objections: list[tuple[str, Reason]] = []
    for vote in question.votes:
        reason = _objection(question, context, vote, in_force=vote.digest in standing, held=held)
        if reason is None:
            counted[vote.digest] = vote
        elif vote.record.decision == "approve" and context.step in vote.record.steps:
            objections.append((vote.record.approver, reason))
    # what is wrong with an older approval of somebody whose other one counts helps nobody
    behind = {vote.record.approver for vote in counted.values()}
    return list(counted.values()), [reason for who, reason in objections if who not in behind]


def _held(votes: Sequence[Vote], step: str) -> frozenset[str]:
    """People whose standing reject or withdraw covers the step."""
    return frozenset(
        vote.record.approver
        for vote in votes
        if vote.record.decision != "approve" and step in vote.record.steps
    )


def _objection(
    question: Question, context: Context, vote: Vote, *, in_force: bool, held: frozenset[str]
) -> Reason | None:
    who, policy = vote.record.approver, question.policy.policy
    found = approval.objection(vote, policy, context)
    if found is not None:
        return found
    if not in_force or who in held:
        return Reason(
            code="withdrawn",
            message=f"{who} replaced or withdrew this approval",
            fix=f"planlock approve {context.plan}",
        )
    return _consumed(question, vote)


def _consumed(question: Question, vote: Vote) -> Reason | None:
    limits, who, so_far = vote.record.limits, vote.record.approver, question.so_far
    fix = f"planlock approve {vote.record.plan}"
    others = so_far.uses.get(vote.digest, frozenset()) - {so_far.run}
    if limits.runs is not None and len(others) >= limits.runs:
        message = f"{who}'s approval was good for {limits.runs} run(s) and is used up"
        return Reason(code="approval_consumed", message=message, fix=fix)
    spent = so_far.spent_under.get(vote.digest, Decimal(0))
    if limits.usd is not None and spent >= Decimal(limits.usd) > 0:
        message = f"{who}'s approval was good for {limits.usd} USD; {spent} are spent"
        return Reason(code="approval_consumed", message=message, fix=fix)
    return None


def _quorum(question: Question, votes: Sequence[Vote]) -> Quorum:
    return Quorum(policy=question.policy.policy, now=question.now, votes=votes)


def unmet(
    question: Question, requirements: Sequence[Requirement], votes: Sequence[Vote]
) -> tuple[str, ...]:
    """Say which requirements the given approvals do not meet."""
    quorum, context = _quorum(question, votes), context_of(question)
    return tuple(
        _missing_reason(each, quorum, context).message for each in quorum.missing(requirements)
    )


def _missing_reason(needed: Requirement, quorum: Quorum, context: Context) -> Reason:
    kind = " or ".join(needed.roles) or "person"
    if needed.owners:
        kind = f"code owner ({' or '.join(needed.owners)})"
    barred = sorted({*context.excluded, *quorum.fitting(needed)})
    other = f" other than {', '.join(barred)}" if barred else ""
    plural = "s" if needed.approvals > 1 else ""
    return Reason(
        code="approvals_missing",
        message=f"{quorum.lacking(needed)} of {needed.approvals} approval{plural} missing:"
        f" a {kind}{other} ({needed.rule})",
        fix=f"planlock approve {context.plan} --step {context.step}",
    )


def _unfit(text: str, context: Context) -> Reason:
    fix = f"planlock policy explain {context.plan}"
    return Reason(code="approval_unfit", message=text, fix=fix)


def money_left(question: Question, counted: Sequence[Vote]) -> Decimal | None:
    """The least that policy, plan and approvals leave to spend; None where nothing bounds it."""
    so_far, plan = question.so_far, question.plan.plan
    bounds = [
        Decimal(bound) - so_far.spent
        for bound in (question.policy.policy.budgets.run_usd, plan.budget.usd)
        if bound is not None
    ]
    bounds += [
        Decimal(vote.record.limits.usd) - so_far.spent_under.get(vote.digest, Decimal(0))
        for vote in counted
        if vote.record.limits.usd is not None
    ]
    return min(bounds, default=None)


def _money_reason(question: Question, money: Decimal | None) -> tuple[Reason, ...]:
    step = _step(question)
    if step.step_type not in SPENDS and not is_draft(step):
        return ()
    most = question.plan.plan.budget.tokens
    if most is not None and question.so_far.tokens >= most:
        message = f"the plan's budget is exhausted: {question.so_far.tokens} of {most} tokens"
        return (Reason(code="budget_exceeded", message=message, fix="raise the budget by review"),)
    if money is None or money > 0:
        return ()
    message = f"the budget is exhausted: {question.so_far.spent} USD are spent in this run"
    return (Reason(code="budget_exceeded", message=message, fix="raise the budget by review"),)
