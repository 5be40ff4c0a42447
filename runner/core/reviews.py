"""Which reviews of a pull request count as approvals of a plan, and why others do not.

A review counts if it names the digest and was never edited; or, where the policy allows plain
reviews, if it stands on the head and the server saw nothing move since (design, section 11).
Anything unclear does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from runner.core.errors import Reason
from runner.core.forge import WRITERS, Conversation, Push, Review
from runner.core.plan import PlanFile
from runner.core.policy import Person, PolicyFile
from runner.core.run import plan_branch

HEADS: Final = "refs/heads/"
_DECISIVE: Final = frozenset({"approved", "changes_requested", "dismissed"})
# What happens to a pull request after which its reviews may be about something else.
_MOVES: Final = frozenset(
    {
        *("base_ref_changed", "base_ref_force_pushed", "base_ref_deleted"),
        *("automatic_base_change_succeeded", "automatic_base_change_failed"),
        *("head_ref_force_pushed", "head_ref_deleted", "head_ref_restored"),
    }
)
AGAIN: Final = "/planlock run asks once more; planlock approve needs no forge"
_STEP: Final = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
_LINE: Final = re.compile(
    rf"approve (?P<digest>sha256:[0-9a-f]{{64}})(?: skipping (?P<skipped>{_STEP}(?:, ?{_STEP})*))?"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What reviews are held against: the plan as it would run, and what git knows of its making.

    `commit` is the tip of the plan's branch in git, `trusted` that of the trusted one, `on_branch`
    whether the plan is the one there, without drafts of a run. `digests` has the plan's digest by commit of its branch, `executions`
    that of the policy's sandbox and plugins by commit of the trusted branch, where they are known.
    """

    plan: PlanFile
    commit: str
    trusted: str
    on_branch: bool
    trusted_ref: str
    policy: PolicyFile
    excluded: Mapping[str, str]
    digests: Mapping[str, str]
    executions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A review that counts as an approval of these steps; `named` is the digest in its text."""

    review: Review
    at: datetime
    principal: str
    steps: Mapping[str, str]
    skipped: tuple[str, ...] = ()
    named: str | None = None


@dataclass(frozen=True, kw_only=True)
class Uncounted:
    review: Review
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """What a pull request says of a plan: `holds` keep it from running whoever approved it."""

    counted: tuple[Counted, ...]
    uncounted: tuple[Uncounted, ...]
    holds: tuple[Reason, ...]
    makers: frozenset[str]


class _Not(Exception):
    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.reason = Reason(code=code, message=message, fix=fix)


def line(digest: str, skipped: Sequence[str] = ()) -> str:
    """The first line of a review that approves exactly this, to be copied."""
    return f"approve {digest}" + (f" skipping {', '.join(skipped)}" if skipped else "")


def weigh(talk: Conversation, asked: Asked) -> Weighed:
    """Tell which reviews count now; nothing but the latest decision of each account can."""
    counted, uncounted = [], []
    unfit = tuple(_unfit(talk, asked))
    for review in _latest(talk.reviews):
        try:
            if (found := _approval(review, talk, asked)) is not None:
                counted.append(found)
        except _Not as why:
            uncounted.append(Uncounted(review=review, reason=why.reason))
    return Weighed(
        counted=() if unfit else tuple(counted),
        uncounted=(*uncounted, *_mere_comments(talk.reviews, asked)),
        holds=(*unfit, *_requests(talk, asked)),
        makers=_makers(talk, asked),
    )


def _unfit(talk: Conversation, asked: Asked) -> Iterator[Reason]:
    """Why nothing that is said on a pull request can count for the plan."""
    pull, number = talk.pull_request, talk.pull_request.number
    wanted, trusted = (
        each.removeprefix(HEADS) for each in (plan_branch(asked.plan.plan.id), asked.trusted_ref)
    )
    if not pull.is_open:
        yield Reason(code="pull_request_closed", message=f"pull request {number} is closed")
    if pull.is_from_fork:
        message = f"pull request {number} comes from {pull.head.repository or 'a deleted fork'}"
        yield Reason(code="pull_request_from_fork", message=message, fix="push the branch here")
    if pull.head.branch != wanted:
        message = f"pull request {number} is of branch {pull.head.branch}, not {wanted}"
        yield Reason(code="pull_request_of_other_branch", message=message)
    if pull.base.branch != trusted:
        message = f"pull request {number} goes to {pull.base.branch}, not to {trusted}"
        fix = f"change its base to {trusted}"
        yield Reason(code="pull_request_retargeted", message=message, fix=fix)
    if pull.head.commit != asked.commit:
        message = f"the forge has {pull.head.commit[:12]} as head, git has {asked.commit[:12]}"
        yield Reason(code="pull_request_moved", message=message, fix="/planlock run")


def _latest(reviews: Sequence[Review]) -> list[Review]:
    """The last decision of each account, in the order of their times; comments decide nothing."""
    found: dict[int, Review] = {}
    decisive = [each for each in reviews if each.state in _DECISIVE and each.author is not None]
    for each in sorted(decisive, key=_order):
        if each.author is not None:
            found[each.author.id] = each
    return sorted(found.values(), key=_order)


def _order(review: Review) -> tuple[float, int]:
    # one whose time is not told comes last: it decides, and cannot count
    at = review.submitted_at.timestamp() if review.submitted_at else float("inf")
    return at, review.id


def _approval(review: Review, talk: Conversation, asked: Asked) -> Counted | None:
    """The review as an approval, None where it decided otherwise; raises _Not."""
    if review.state == "changes_requested":
        return None
    if review.state == "dismissed":
        raise _Not("review_dismissed", "it was dismissed")
    person = _person(review, talk, asked)
    _check_maker(review, person, talk, asked)
    if review.edited is not False:
        said = "its text was edited" if review.edited else "nobody tells whether it was edited"
        raise _Not("review_edited", f"{said} after it was submitted", "review again")
    if review.submitted_at is None:
        raise _Not("review_unclear", "the forge does not say when it was submitted")
    _check_execution(review.submitted_at, talk, asked)
    found = _LINE.fullmatch(_first_line(review.body))
    if found is None:
        _check_plain(review, review.submitted_at, talk, asked)
    digest = found["digest"] if found else asked.plan.digest
    return Counted(
        review=review,
        at=review.submitted_at,
        principal=person.principal,
        steps=_steps(digest, asked),
        skipped=tuple(re.split(", ?", found["skipped"])) if found and found["skipped"] else (),
        named=digest if found else None,
    )


def _first_line(body: str) -> str:
    lines = body.strip().splitlines()
    return lines[0].strip() if lines else ""


def _person(review: Review, talk: Conversation, asked: Asked) -> Person:
    """Who of the policy reviewed, with the right to write; raises _Not."""
    account = review.author
    if account is None or not account.is_person:
        raise _Not("review_of_bot", "only people approve")
    person = asked.policy.policy.person_of_account(account.id)
    if person is None:
        message = f"the policy knows nobody whose account is {account.login} ({account.id})"
        raise _Not("review_of_stranger", message, "planlock people add, in a pull request")
    rights = talk.rights.get(account.id)
    if rights is None or rights.permission not in WRITERS:
        has = rights.permission if rights else "unknown"
        message = f"{account.login} may not write here (permission: {has})"
        raise _Not("review_without_rights", message)
    return person


def _check_maker(review: Review, person: Person, talk: Conversation, asked: Asked) -> None:
    """Raise _Not for whoever opened the pull request, pushed the plan's content, or is its author."""
    if asked.policy.policy.self_approval:
        return
    author, who = talk.pull_request.author, review.author.login if review.author else ""
    if author is None:
        raise _Not("review_unclear", "the account that opened the pull request is gone")
    if review.author and review.author.id == author.id:
        raise _Not("review_by_author", f"{who} opened the pull request", "somebody else reviews")
    if person.principal in asked.excluded:
        message = f"{person.principal} {asked.excluded[person.principal]}"
        raise _Not("self_approval", message, "somebody else reviews")
    if not _is_whole(talk.pushes, talk.pull_request.head.commit) or talk.pushes[-1].before:
        message = (
            "the forge does not tell who pushed this pull request's branch, from its beginning"
        )
        raise _Not("review_unclear", message, AGAIN)
    if any(push.actor and push.actor.id == _id(review) for push in _changing(talk.pushes, asked)):
        message = f"{who} pushed content of the plan"
        raise _Not("review_by_maker", message, "somebody else reviews")


def _is_whole(pushes: Sequence[Push], tip: str) -> bool:
    """Whether pushes, newest first, lead to a commit and each goes on from the one before."""
    pairs = pairwise(pushes)
    return (
        bool(pushes)
        and pushes[0].after == tip
        and all(new.before == old.after for new, old in pairs)
    )


def _id(review: Review) -> int:
    return review.author.id if review.author else 0


def _changing(pushes: Sequence[Push], asked: Asked) -> Iterator[Push]:
    """Pushes that changed the plan's digest, or of which git no longer knows."""
    for push in pushes:
        before, after = (asked.digests.get(each, "") for each in (push.before, push.after))
        if push.kind != "deletion" and (not after or before != after):
            yield push


def _makers(talk: Conversation, asked: Asked) -> frozenset[str]:
    """People of the policy who opened the pull request or pushed content of the plan."""
    if asked.policy.policy.self_approval:
        return frozenset()
    accounts = [talk.pull_request.author, *(each.actor for each in _changing(talk.pushes, asked))]
    people = [asked.policy.policy.person_of_account(each.id) for each in accounts if each]
    return frozenset(each.principal for each in people if each)


def _check_execution(at: datetime, talk: Conversation, asked: Asked) -> None:
    """Raise _Not where sandbox or plugins were others when the review was submitted.

    What was pushed in the same second counts as pushed after it.
    """
    if not _is_whole(talk.base_pushes, asked.trusted):
        message = "the forge does not tell of every push to the trusted branch since"
        raise _Not("review_unclear", message, AGAIN)
    later = [push for push in talk.base_pushes if push.at >= at]
    then = asked.executions.get(later[-1].before, "") if later else asked.policy.execution
    if then != asked.policy.execution:
        message = "the policy's sandbox or plugins changed after it"
        raise _Not("execution_changed", message, "review again")


def _check_plain(review: Review, at: datetime, talk: Conversation, asked: Asked) -> None:
    """Raise _Not for a review without a digest, unless nothing can have moved under it."""
    copy = f"review again, with the first line: {line(asked.plan.digest)}"
    if not asked.policy.policy.forge.plain_reviews:
        raise _Not("review_plain", "its first line does not name the plan's digest", copy)
    if not asked.on_branch:
        message = "a run drafted steps of this plan, so a review has to name its digest"
        raise _Not("review_plain", message, copy)
    head = talk.pull_request.head.commit
    if review.commit != head:
        message = f"it stands on {review.commit[:12]}, the head is {head[:12]}"
        raise _Not("review_stale", message, copy)
    if not _is_whole(talk.pushes, head):
        raise _Not("review_unclear", "the forge does not tell when the head was pushed", copy)
    moves = [each.at for each in talk.timeline if each.name in _MOVES]
    if any(each is None or each >= at for each in (*moves, *(push.at for push in talk.pushes))):
        message = "the branch or the base moved after it, or in the same second"
        raise _Not("review_stale", message, copy)


def _steps(digest: str, asked: Asked) -> Mapping[str, str]:
    """The steps that a digest covers: its own and all before it; raises _Not."""
    digests = asked.plan.digests
    if digest not in digests:
        message = f"it names {digest[:19]}…, the plan is {asked.plan.digest[:19]}…"
        fix = f"review again, with the first line: {line(asked.plan.digest)}"
        raise _Not("review_stale", message, fix)
    names = [step.id for step in asked.plan.plan.steps[: digests.index(digest) + 1]]
    return dict(zip(names, digests, strict=False))


def _requests(talk: Conversation, asked: Asked) -> Iterator[Reason]:
    """Standing requests for changes by people who may approve."""
    for review in _latest(talk.reviews):
        if review.state != "changes_requested" or review.author is None:
            continue
        rights = talk.rights.get(review.author.id)
        is_ours = asked.policy.policy.person_of_account(review.author.id) is not None
        if is_ours and (rights is None or rights.permission in WRITERS):
            message = f"{review.author.login} requested changes"
            fix = f"{review.author.login} approves, or dismisses that review"
            yield Reason(code="changes_requested", message=message, fix=fix)


def _mere_comments(reviews: Sequence[Review], asked: Asked) -> Iterator[Uncounted]:
    """Tell of reviews that name the digest but were submitted as comments."""
    for review in reviews:
        if review.state == "commented" and _LINE.fullmatch(_first_line(review.body)):
            fix = f'submit it as "Approve", with the first line: {line(asked.plan.digest)}'
            reason = Reason(code="review_comment", message="it was submitted as a comment", fix=fix)
            yield Uncounted(review=review, reason=reason)
