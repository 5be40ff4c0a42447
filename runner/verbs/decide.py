"""`approve`, `reject` and `withdraw`: a signed decision about exact step digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from runner.core import approval, gate, refusals
from runner.core.amendment import is_draft
from runner.core.approval import NAMESPACE, Vote
from runner.core.errors import Reason, Refused, UsageError
from runner.core.gate import Question
from runner.core.plan import Step
from runner.core.policy import Policy
from runner.core.quorum import Quorum
from runner.core.rules import judge_step
from runner.core.run import RunFile, statuses
from runner.core.values import parse_time
from runner.git.signers import Verdict
from runner.project import Authority, Project
from runner.verbs import amended, evidence, runs
from runner.verbs import plan_branch as branches
from runner.verbs.decision_record import Decided, Wish, record_value, write_decision
from runner.verbs.evidence import Evidence, PlanAt
from runner.verbs.whoami import objections

NOUNS = {"approve": "approval", "reject": "rejection", "withdraw": "withdrawal"}


def decide(project: Project, plan_id: str, wish: Wish) -> Decided:
    """Write, sign and commit a decision; raises Refused with reasons where it could not count."""
    project.home.fetch(plan_id)
    plan = amended.find_plan(project, plan_id)
    _check_digest(plan, wish.digest)
    now = project.world.now()
    onto = branches.local_tip(project, plan_id) or plan.commit
    found = evidence.gather(project, plan, now=now, extra_tips=[onto])
    verdict = _verdict(project, found.authority, now)
    approver = verdict.principal or ""
    _check_steps(plan, wish.steps)
    run = _open_run(project, plan_id)
    steps = _steps(plan, wish, found)
    question = _question(found, run, step=0, now=now)
    mine = _standing(found.votes, gate.context_of(question), approver)
    if wish.decision == "approve":
        _check_eligible(plan, question, approver)
    elif wish.decision == "withdraw" and all(_is_withdrawal(vote) for vote in mine):
        raise Refused(f"withdrawing from plan {plan.id}: {approver} has decided nothing there")
    replaced = _replaced(wish, mine, plan, steps)
    skipped: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    if wish.decision == "approve":
        skipped = _skipped(question, plan, run, replaced)
        steps = _approvable(plan, wish, steps, skipped)
        barred = _check_barred(plan, found.authority.policy, steps)
    value = record_value(project, plan, found.authority, wish, approver=approver, now=now)
    value["steps"] = {name: plan.file.digests[plan.file.places[name]] for name in steps}
    value["skipped"] = list(skipped)
    value["supersedes"] = sorted(vote.digest for vote in replaced)
    notes = tuple(_still_standing(plan, mine, replaced, value))
    if wish.decision == "approve":
        notes += (*barred, *_misfits(found, plan, value, verdict), *_to_come(plan, steps))
    return write_decision(project, plan, value, onto=onto, notes=notes)


def _is_withdrawal(vote: Vote) -> bool:
    return vote.record.decision == "withdraw"


def _check_digest(plan: PlanAt, wanted: str) -> None:
    """Refuse to sign another plan than the one that was reviewed."""
    if not plan.file.digest.startswith(wanted):
        reason = Reason(
            code="digest_differs",
            message=f"the plan's digest is {plan.file.digest}, not {wanted}",
            fix=f"look at it again: planlock show {plan.id}",
        )
        raise Refused(f"plan {plan.id} is not the one that was reviewed", reasons=(reason,))


def _verdict(project: Project, authority: Authority, now: datetime) -> Verdict:
    """Who the caller is; raises Refused where that is nobody who may decide."""
    verdict = authority.signers.find(project.person.credential, namespace=NAMESPACE, at=now)
    reasons = objections(verdict, authority)
    if verdict.principal is None or reasons:
        raise Refused("your key may not decide here", reasons=reasons)
    return verdict


def _check_steps(plan: PlanAt, names: Sequence[str]) -> None:
    known = [step.id for step in plan.file.plan.steps]
    for name in names:
        if name not in known:
            raise UsageError(
                f"plan {plan.id} has no step {name!r}", hint=f"steps: {', '.join(known)}"
            )


def _steps(plan: PlanAt, wish: Wish, found: Evidence) -> list[str]:
    """All steps for approve; for reject those that need a person; for withdraw all."""
    every = [step.id for step in plan.file.plan.steps]
    if wish.steps:
        return [name for name in every if name in wish.steps]
    if wish.decision != "reject":
        return every
    policy, drafts = found.authority.policy, plan.amended.models if plan.amended else {}
    needing = [
        step.id
        for step in plan.file.plan.steps
        if step.id in drafts
        or any(each.approvals for each in judge_step(policy, step).requirements)
    ]
    return needing or every


def _open_run(project: Project, plan_id: str) -> RunFile | None:
    """The newest run of the plan, unless it has ended."""
    known = runs.of_plan(project, plan_id)
    if not known:
        return None
    number = max(known)
    run = runs.load_run(project.store, known[number], plan_id, number)
    return None if run.ended else run


def _question(found: Evidence, run: RunFile | None, *, step: int, now: datetime) -> Question:
    so_far = evidence.so_far(run, (), run.header.run if run else 0)
    return evidence.question(found, step=step, so_far=so_far, now=now)


def _standing(votes: Sequence[Vote], context: approval.Context, approver: str) -> tuple[Vote, ...]:
    return tuple(
        vote for vote in approval.standing(votes, context) if vote.record.approver == approver
    )


def _check_eligible(plan: PlanAt, question: Question, approver: str) -> None:
    excluded = gate.excluded(question)
    if approver in excluded:
        reason = Reason(
            code="self_approval",
            message=f"{approver} {excluded[approver]}",
            fix=f"someone else runs: planlock approve {plan.id}",
        )
        raise Refused(f"{approver} may not approve plan {plan.id}", reasons=(reason,))
    if question.provenance.problems:
        message = f"plan {plan.id} cannot run as it stands, so nothing was approved"
        raise Refused(message, reasons=question.provenance.problems)


def _replaced(
    wish: Wish, mine: Sequence[Vote], plan: PlanAt, steps: Sequence[str]
) -> tuple[Vote, ...]:
    """Which of the person's own decisions the new one takes the place of.

    A withdraw replaces all. A reject replaces what is about no other steps, so that a second
    reject does not lift the first. An approval replaces an earlier one unless that still holds
    for a step that the new one leaves out: approving what was edited keeps the approval of what
    was not. It replaces a reject or withdraw that shares a step with it, but a reject in force
    only where the rejected step is named.
    """

    def is_replaced(vote: Vote) -> bool:
        about, kind = vote.record.steps, vote.record.decision
        if wish.decision == "withdraw":
            return True
        if wish.decision == "reject":
            return about.keys() <= set(steps)
        live = _live(about, plan)
        if kind == "approve":
            return live <= set(steps)
        return not about.keys().isdisjoint(wish.steps if kind == "reject" and live else steps)

    return tuple(vote for vote in mine if is_replaced(vote))


def _live(about: Mapping[str, str], plan: PlanAt) -> set[str]:
    """The steps whose content is still that which a decision names."""
    pairs = zip(plan_ids(plan), plan.file.digests, strict=True)
    return {name for name, digest in pairs if about.get(name) == digest}


def _still_standing(
    plan: PlanAt, mine: Sequence[Vote], replaced: Sequence[Vote], value: Mapping[str, Any]
) -> Iterator[str]:
    """Tell of earlier decisions about the same steps that go on, unless withdrawn."""
    for vote in mine:
        same = _live(vote.record.steps, plan)
        live = [name for name in vote.record.steps if name in same]
        if vote not in replaced and not set(live).isdisjoint(value["steps"]):
            kind = NOUNS[vote.record.decision]
            yield f"your earlier {kind} {vote.record.id} of {', '.join(live)} still holds"


def _to_come(plan: PlanAt, steps: Sequence[str]) -> Iterator[str]:
    """Tell of steps whose text is not there yet: what it is, nobody can have approved."""
    names, asked = plan_ids(plan), set(steps)
    for number, step in enumerate(plan.file.plan.steps):
        later = [name for name in names[number:] if name in asked] if is_draft(step) else []
        if later:
            yield (
                f"{step.id} is drafted by a model when the run gets there: then approve"
                f" {', '.join(later)} anew, with the text"
            )
            return


def _misfits(
    found: Evidence, plan: PlanAt, value: Mapping[str, Any], verdict: Verdict
) -> tuple[str, ...]:
    """Say what the approval will not be enough for; raises Refused where it is of no use."""
    vote = Vote(
        record=approval.build(value, file=value["id"]),
        digest="",
        principal=verdict.principal,
        assurance=verdict.assurance,
        current=True,
    )
    policy = found.authority.policy
    quorum = Quorum(policy=policy, now=parse_time(value["made_at"]), votes=[vote])
    texts: dict[str, None] = {}
    useful = False
    for name in value["steps"]:
        needed = judge_step(policy, _step(plan, name)).requirements
        asked = [each for each in needed if each.approvals]
        useful = useful or not asked or any(quorum.fitting(each) for each in asked)
        texts |= {f"{name}: {text}": None for text in quorum.misfits(asked)}
    if not useful:
        fix = f"planlock policy explain {plan.id}"
        reasons = tuple(Reason(code="approval_unfit", message=each, fix=fix) for each in texts)
        raise Refused(f"approving plan {plan.id} would not count", reasons=reasons)
    return tuple(texts)


def _approvable(
    plan: PlanAt, wish: Wish, steps: Sequence[str], skipped: Sequence[str]
) -> list[str]:
    """Leave out the skipped steps; raises Refused where one was named, or none is left."""
    left = [name for name in steps if name not in skipped]
    barred = [name for name in steps if name in skipped and (name in wish.steps or not left)]
    if barred:
        reason = Reason(
            code="rejected",
            message=f"rejected or skipped, so not to be run: {', '.join(barred)}",
            fix=f"who rejected it runs: planlock withdraw {plan.id}",
        )
        raise Refused(f"approving plan {plan.id} would change nothing", reasons=(reason,))
    return left


def _check_barred(plan: PlanAt, policy: Policy, steps: Sequence[str]) -> tuple[str, ...]:
    """Tell which steps cannot run whoever approves them; raises Refused where none can.

    Giving them what they ask for changes the policy's `sandbox`, which voids every approval.
    """
    found = {name: list(refusals.of_step(policy, _step(plan, name))) for name in steps}
    texts = {
        replace(reason, message=f"{name}: {reason.message}"): None
        for name, reasons in found.items()
        for reason in reasons
    }
    if all(found.values()):
        raise Refused(f"approving plan {plan.id} would not count", reasons=tuple(texts))
    return tuple(f"cannot run: {each.message}" for each in texts)


def _skipped(
    question: Question, plan: PlanAt, run: RunFile | None, replaced: Sequence[Vote]
) -> tuple[str, ...]:
    """Steps left out so far in the open run, and those that a reject in force will leave out.

    `replaced` are decisions that the one being made takes the place of.
    """
    names = plan_ids(plan)
    recorded = statuses(run, names) if run else {}
    done = {name for name, status in recorded.items() if status == "skipped"}
    for number, name in enumerate(names):
        if recorded.get(name) not in {"completed", "skipped"}:
            context = gate.context_of(replace(question, step=number))
            in_force = approval.standing(question.votes, context)
            left = [vote for vote in in_force if vote not in replaced]
            if approval.rejections(left, question.policy.policy, context):
                done.add(name)
    return tuple(name for name in names if name in done)


def plan_ids(plan: PlanAt) -> list[str]:
    return [step.id for step in plan.file.plan.steps]


def _step(plan: PlanAt, name: str) -> Step:
    return plan.file.plan.steps[plan.file.places[name]]
