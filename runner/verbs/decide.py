"""`approve`, `reject` and `withdraw`: a signed decision about exact step digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from runner.core import approval, gate, ids
from runner.core.approval import NAMESPACE, Approval, Vote
from runner.core.documents import dump
from runner.core.errors import LedgerError, Reason, Refused, UsageError
from runner.core.gate import Question
from runner.core.plan import typed_input
from runner.core.policy import judge_step
from runner.core.run import RunFile, digest_bytes, plan_folder
from runner.core.values import parse_duration, time_text
from runner.project import Authority, Project
from runner.verbs import evidence, ledger_sync, runs
from runner.verbs import plan_branch as branches
from runner.verbs.evidence import Evidence, PlanAt

Kind = Literal["approve", "reject", "withdraw"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the caller asks for; empty `steps` means all that the decision can be about."""

    decision: Kind
    steps: Sequence[str] = ()
    reason: str = ""
    expires: str = ""
    max_usd: str = ""
    max_runs: int = 0


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The record that was written, its digest, and the commit that added it."""

    decision: Kind
    plan: str
    approver: str
    steps: tuple[str, ...]
    skipped: tuple[str, ...]
    id: str
    digest: str
    commit: str
    expires_at: str
    supersedes: int
    push_command: str


def decide(project: Project, plan_id: str, wish: Wish) -> Decided:
    """Write, sign and commit a decision; raises Refused with reasons where it could not count."""
    project.home.fetch(plan_id)
    plan = evidence.find_plan(project, plan_id)
    now = project.world.now()
    onto = branches.local_tip(project, plan_id) or plan.commit
    found = evidence.gather(project, plan, now=now, extra_tips=[onto])
    approver = _approver(project, found.authority, now)
    _check_steps(plan, wish.steps)
    run = _open_run(project, plan_id)
    steps = _steps(plan, wish, found)
    question = _question(found, run, step=0, now=now)
    mine = _standing(found.votes, gate.context_of(question), approver)
    if wish.decision == "approve":
        _check_eligible(plan, question, approver)
    elif wish.decision == "withdraw" and not mine:
        raise Refused(f"withdrawing from plan {plan.id}: {approver} has decided nothing there")
    replaced = _replaced(wish, mine, plan, steps)
    skipped: tuple[str, ...] = ()
    if wish.decision == "approve":
        skipped = _skipped(_without(question, replaced), plan, run)
        steps = _approvable(plan, wish, steps, skipped)
    value = _record(project, plan, found.authority, wish, approver=approver, now=now)
    value["steps"] = {name: plan.file.digests[_index(plan, name)] for name in steps}
    value["skipped"] = list(skipped)
    value["supersedes"] = sorted(vote.digest for vote in replaced)
    return _commit(project, plan, _ordered(value), onto=onto)


def _approver(project: Project, authority: Authority, now: datetime) -> str:
    key = project.person.public_key
    verdict = authority.signers.find(key, namespace=NAMESPACE, at=now)
    if verdict.principal is None:
        reason = Reason(
            code="key_not_listed",
            message=f"{verdict.reason} (trusted: {authority})",
            fix="a maintainer runs: planlock people add NAME --key FILE, and commits it",
        )
        raise Refused("your key may not decide here", reasons=(reason,))
    if authority.policy.person(verdict.principal) is None:
        reason = Reason(
            code="not_a_person",
            message=f"{verdict.principal} is not a person of the policy (trusted: {authority})",
            fix="a maintainer runs: planlock people add NAME --key FILE, and commits it",
        )
        raise Refused("your key may not decide here", reasons=(reason,))
    return verdict.principal


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
    policy = found.authority.policy
    needing = [
        step.id
        for step in plan.file.plan.steps
        if any(
            each.approvals
            for each in judge_step(policy, step.step_type, typed_input(step)).requirements
        )
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
    return Question(
        plan=found.plan.file,
        step=step,
        policy=found.authority.policy_file,
        votes=found.votes,
        provenance=found.provenance,
        so_far=evidence.so_far(run, (), run.header.run if run else 0),
        now=now,
    )


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
    reject does not lift the first. An approval replaces what shares a step with it, but a
    reject that is in force only where the rejected step is named.
    """

    def is_replaced(vote: Vote) -> bool:
        about = vote.record.steps
        if wish.decision == "withdraw":
            return True
        if wish.decision == "reject":
            return about.keys() <= set(steps)
        in_force = vote.record.decision == "reject" and _applies(about, plan)
        return not about.keys().isdisjoint(wish.steps if in_force else steps)

    return tuple(vote for vote in mine if is_replaced(vote))


def _applies(about: Mapping[str, str], plan: PlanAt) -> bool:
    """Whether a decision names the content of some step as it is now."""
    pairs = zip(plan_ids(plan), plan.file.digests, strict=True)
    return any(about.get(name) == digest for name, digest in pairs)


def _without(question: Question, gone: Sequence[Vote]) -> Question:
    return replace(question, votes=[vote for vote in question.votes if vote not in gone])


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


def _skipped(question: Question, plan: PlanAt, run: RunFile | None) -> tuple[str, ...]:
    """Steps left out so far in the open run, and those that a standing reject will leave out."""
    done = set(run.skipped()) if run else set()
    recorded = {name for name in plan_ids(plan) if run and run.latest(name)}
    for number, name in enumerate(plan_ids(plan)):
        if name in recorded:
            continue
        context = gate.context_of(_at(question, number))
        if approval.rejected_by(question.votes, question.policy.policy, context):
            done.add(name)
    return tuple(name for name in plan_ids(plan) if name in done)


def _at(question: Question, step: int) -> Question:
    return replace(question, step=step)


def plan_ids(plan: PlanAt) -> list[str]:
    return [step.id for step in plan.file.plan.steps]


def _index(plan: PlanAt, name: str) -> int:
    return plan_ids(plan).index(name)


def _record(  # noqa: PLR0913  # a record has these parts
    project: Project,
    plan: PlanAt,
    authority: Authority,
    wish: Wish,
    *,
    approver: str,
    now: datetime,
) -> dict[str, Any]:
    value: dict[str, Any] = {
        "version": 1,
        "id": ids.ulid(int(now.timestamp() * 1000), project.world.random(ids.RANDOM_BYTES)),
        "decision": wish.decision,
        "plan": plan.id,
        "repository": authority.policy.repository,
        "execution": authority.policy_file.execution,
        "approver": approver,
        "made_at": time_text(now),
    }
    if wish.decision == "approve":
        if expires := _expires(wish, authority, now):
            value["expires_at"] = expires
        limits = {"usd": wish.max_usd, "runs": wish.max_runs}
        if any(limits.values()):
            value["limits"] = {name: bound for name, bound in limits.items() if bound}
    if wish.reason:
        value["reason"] = wish.reason
    return value


def _expires(wish: Wish, authority: Authority, now: datetime) -> str:
    term = authority.policy.approvals_expire_after
    ends = [now + parse_duration(each) for each in (wish.expires, term) if each]
    return time_text(min(ends)) if ends else ""


ORDER = [
    "version",
    "id",
    "decision",
    "plan",
    "repository",
    "steps",
    "skipped",
    "execution",
    "approver",
    "supersedes",
    "made_at",
    "expires_at",
    "limits",
    "reason",
]


def _ordered(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ORDER if name in value}


def _commit(project: Project, plan: PlanAt, value: dict[str, Any], *, onto: str) -> Decided:
    data = dump(value)
    armored = project.person.sign(data, namespace=NAMESPACE)
    record = approval.build(value, file=value["id"])
    path = f"{plan_folder(plan.id)}/approvals/{value['id']}.yaml"
    commit = branches.commit_files(
        project,
        plan.id,
        {path: data, f"{path}.sig": armored},
        onto=[onto],
        tree=project.store.commit(onto).tree,
        subject=f"planlock: {value['decision']} {plan.id}",
        pairs=[
            ("Plan", plan.id),
            ("Plan-Digest", plan.file.digest),
            ("Decision", value["decision"]),
            ("Approver", value["approver"]),
        ],
    )
    _to_ledger(project, record, digest_bytes(data))
    return Decided(
        decision=value["decision"],
        plan=plan.id,
        approver=value["approver"],
        steps=tuple(value["steps"]),
        skipped=tuple(value["skipped"]),
        id=value["id"],
        digest=digest_bytes(data),
        commit=commit,
        expires_at=value.get("expires_at", ""),
        supersedes=len(value["supersedes"]),
        push_command=branches.push_command(project, plan.id),
    )


def _to_ledger(project: Project, record: Approval, digest: str) -> None:
    """Write the decision's row; without a working ledger it catches up when next opened."""
    vote = Vote(
        record=record, digest=digest, principal=record.approver, assurance="key", current=True
    )
    with suppress(LedgerError):
        ledger_sync.put_votes(project, [vote])
