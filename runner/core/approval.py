"""Approval records: a person's signed decision about exact step digests, and which of them count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from runner.core.errors import InvalidDocument, Reason
from runner.core.plan import Version, model_problems
from runner.core.policy import Assurance, GitHubAccount, Policy
from runner.core.values import (
    Digest,
    Line,
    Name,
    ObjectId,
    Principal,
    Stored,
    Strict,
    Timestamp,
    Usd,
    parse_duration,
    parse_time,
)

NAMESPACE = "planlock-approval"
# In which a machine signs what it saw of a person's decision somewhere else.
WITNESS = "planlock-witness"
CLOCK_SKEW = timedelta(minutes=5)

Ulid = Annotated[str, StringConstraints(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Decision = Literal["approve", "reject", "withdraw"]
Objection = tuple[str, str]


class ApprovalLimits(Strict):
    usd: Usd | None = None
    runs: Annotated[int, Field(ge=1)] | None = None


class ReviewSeen(Stored):
    """A review as the forge showed it to the machine that signed; `digest` is what it names."""

    url: Line
    pull_request: Annotated[int, Field(ge=1)]
    review: Annotated[int, Field(ge=1)]
    account: GitHubAccount
    permission: Literal["admin", "write"]
    teams: list[Line] = []
    digest: Digest | None = None
    commit: ObjectId
    seen_at: Timestamp


class Approval(Stored):
    version: Version
    id: Ulid
    decision: Decision
    plan: Name
    repository: str
    steps: Annotated[dict[Name, Digest], Field(min_length=1)]
    skipped: list[Name] = []
    execution: Digest
    approver: Principal
    supersedes: list[Digest] = []
    made_at: Timestamp
    expires_at: Timestamp | None = None
    limits: ApprovalLimits = ApprovalLimits()
    reason: str | None = None
    review: ReviewSeen | None = None


@dataclass(frozen=True, kw_only=True)
class Vote:
    """A record as found: its digest, who signed it, and what is wrong with the signature.

    `principal` is the listed owner of the key, whatever the record says; `current` tells
    whether that key is valid at the time of use. Of what a machine witnessed, `witness` is the
    machine, and `principal` the person whom the policy has for the account that decided.
    """

    record: Approval
    digest: str
    principal: str | None
    assurance: Assurance | None
    current: bool
    trouble: str = ""
    witness: str = ""


def build(value: Mapping[str, Any], *, file: str) -> Approval:
    """Type a parsed record; raises InvalidDocument with every problem."""
    try:
        return Approval.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error


def ordered(value: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields in the order in which people read them."""
    return {name: value[name] for name in Approval.model_fields if name in value}


def genuine(vote: Vote) -> bool:
    """Whether the record was signed by a listed key of the person that it names."""
    return vote.principal is not None and vote.principal == vote.record.approver


def sureness(vote: Vote) -> tuple[bool, bool]:
    """Of several votes with the bytes of one record, the greatest is the one that it really is."""
    return vote.current and genuine(vote), genuine(vote)


def expiry(record: Approval, policy: Policy) -> datetime | None:
    """Give the earlier of the record's own expiry and the policy's term."""
    ends = [parse_time(record.expires_at)] if record.expires_at else []
    if policy.approvals_expire_after:
        ends.append(parse_time(record.made_at) + parse_duration(policy.approvals_expire_after))
    return min(ends, default=None)


def superseded(votes: Sequence[Vote]) -> frozenset[str]:
    """Digests of the records that a later decision of the same person names.

    A reject or withdraw is lifted only by a record whose key is valid now: a stolen old key
    must not be able to lift one; nor does a stolen account lift what a key signed.
    """
    known = {vote.digest: vote for vote in votes if genuine(vote)}
    return frozenset(
        old
        for vote in known.values()
        for old in vote.record.supersedes
        if old in known
        and known[old].principal == vote.principal
        and (_may_lift(vote, known[old]) or _only_forbids(vote, known[old]))
    )


def _may_lift(vote: Vote, earlier: Vote) -> bool:
    return vote.current and not (vote.witness and not earlier.witness)


def _only_forbids(vote: Vote, earlier: Vote) -> bool:
    """Whether a decision that takes the place of an earlier one leaves nothing free by that.

    What a machine saw takes no refusal by key away, since it may itself be replaced.
    """
    new, old = vote.record, earlier.record
    if vote.witness and not earlier.witness:
        return new.decision != "approve" and old.decision == "approve"
    if old.decision == "reject":
        return new.decision == "reject" and old.steps.items() <= new.steps.items()
    return new.decision != "approve" and (
        old.decision == "approve" or old.steps.keys() <= new.steps.keys()
    )


def standing(votes: Sequence[Vote], context: Context) -> tuple[Vote, ...]:
    """The decisions of this plan and repository that no later one has replaced, oldest first."""
    gone = superseded(votes)
    unique = {vote.digest: vote for vote in votes}
    return tuple(
        vote
        for vote in sorted(unique.values(), key=lambda each: each.record.id)
        if genuine(vote)
        and vote.digest not in gone
        and vote.record.plan == context.plan
        and vote.record.repository == context.repository
    )


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an approval must have been given for; `places` are those of the steps in the plan."""

    plan: str
    repository: str
    execution: str
    step: str
    digest: str
    places: Mapping[str, int]
    skipped: tuple[str, ...]
    excluded: Mapping[str, str]
    now: datetime


def rejections(in_force: Sequence[Vote], policy: Policy, context: Context) -> tuple[Vote, ...]:
    """Rejects of this very step by people of the policy, of the decisions in force."""
    return tuple(
        vote
        for vote in in_force
        if vote.record.decision == "reject"
        and vote.record.steps.get(context.step) == context.digest
        and policy.person(vote.record.approver)
    )


def objection(vote: Vote, policy: Policy, context: Context) -> Reason | None:
    """Say why this record does not count as an approval of the step; None if it counts."""
    objections = chain(
        _of_signature(vote),
        _of_content(vote.record, context),
        _of_person(vote.record, policy, context),
        _of_time(vote.record, policy, context.now),
    )
    found = next(objections, None)
    if found is None:
        return None
    code, message = found
    return Reason(code=code, message=message, fix=_fix(code, vote.record))


def _of_signature(vote: Vote) -> Iterator[Objection]:
    who = vote.record.approver
    if not genuine(vote):
        yield "bad_signature", f"{who}: {vote.trouble or 'signed by another key'}"
    if not vote.current:
        yield "key_not_valid", f"{who}: {vote.trouble or 'the key is not valid now'}"


def _of_content(record: Approval, context: Context) -> Iterator[Objection]:
    who = record.approver
    if record.decision != "approve":
        yield record.decision, f"{who} decided: {record.decision}"
    if (record.plan, record.repository) != (context.plan, context.repository):
        yield "wrong_context", f"{who} approved plan {record.plan} of another place"
    if record.steps.get(context.step) != context.digest:
        yield "approval_stale", f"{who} approved other content of this step"
    if record.execution != context.execution:
        yield "execution_changed", f"{who} approved under other sandbox or plugin settings"


def _of_person(record: Approval, policy: Policy, context: Context) -> Iterator[Objection]:
    who = record.approver
    if policy.person(who) is None:
        yield "not_a_person", f"{who} is not a person of the policy"
    if who in context.excluded:
        yield "self_approval", f"{who} {context.excluded[who]}"
    if _skips_so_far(record, context) != set(context.skipped):
        names = _names(context.skipped)
        yield "skips_differ", f"{who} did not agree to this set of skipped steps: {names}"


def _skips_so_far(record: Approval, context: Context) -> set[str]:
    """The skips that the approver knew of; those of later steps do not matter yet."""
    here = context.places[context.step]
    return {name for name in record.skipped if context.places.get(name, -1) < here}


def _of_time(record: Approval, policy: Policy, now: datetime) -> Iterator[Objection]:
    if parse_time(record.made_at) > now + CLOCK_SKEW:
        yield "made_in_future", f"{record.approver}'s approval is dated {record.made_at}"
    ends = expiry(record, policy)
    if ends is not None and now >= ends:
        yield "approval_expired", f"{record.approver}'s approval expired at {ends:%Y-%m-%d %H:%MZ}"


def _names(steps: Sequence[str]) -> str:
    return ", ".join(steps) or "none"


def _fix(code: str, record: Approval) -> str:
    if code == "self_approval":
        return "someone else runs: planlock approve " + record.plan
    return f"planlock approve {record.plan}"
