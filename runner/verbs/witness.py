"""Write down what the runner saw on a forge: approval records, signed as a witness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runner.core import approval, gate, ids
from runner.core.approval import WITNESS, Vote
from runner.core.documents import dump
from runner.core.forge import Rights
from runner.core.gate import Question
from runner.core.reviews import Counted, Weighed
from runner.core.run import plan_folder
from runner.core.values import time_text
from runner.git.objects import FILE, Entry
from runner.project import Authority, Project
from runner.verbs import votes
from runner.verbs.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a look at a pull request gave; `rights` has those of the reviewers by number."""

    url: str
    pull_request: int
    weighed: Weighed
    rights: Mapping[int, Rights]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """`look` reads a pull request anew and weighs it against the plan as it would run.

    It raises ForgeError where that cannot be done, so that nothing counts which was not read.
    """

    look: Callable[[Evidence, Question], Seen]


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Decisions that the runner signed: their votes, and their files by path."""

    votes: tuple[Vote, ...] = ()
    files: Mapping[str, Entry]

    @property
    def digests(self) -> list[str]:
        return sorted(vote.digest for vote in self.votes)

    def added_to(self, found: Evidence) -> Evidence:
        places = dict(found.vote_paths)
        for vote in self.votes:
            path = _path(found.plan.id, vote.record.id)
            pair = (path, f"{path}.sig")
            places[vote.digest] = tuple((each, self.files[each].oid) for each in pair)
        return replace(found, votes=(*found.votes, *self.votes), vote_paths=places)


def with_votes(found: Evidence, votes: Sequence[Vote]) -> Evidence:
    """The evidence with decisions that are in no file."""
    return replace(found, votes=(*found.votes, *votes))


def with_makers(found: Evidence, makers: Sequence[str]) -> Evidence:
    """The evidence, knowing of those who made the plan as the forge tells it."""
    made = found.provenance
    return replace(found, provenance=replace(made, named=made.named.union(makers)))


def bring(project: Project, found: Evidence, question: Question, seen: Seen) -> Brought:
    """Sign what changed since the last look: approvals that count now, and those that no more do."""
    files: dict[str, Entry] = {}
    signed = []
    now = question.now
    for value in _wanted(found, question, seen):
        record_id = ids.ulid(int(now.timestamp() * 1000), project.world.random(ids.RANDOM_BYTES))
        data = dump(approval.ordered({**value, "id": record_id}))
        armored = project.runner.sign(data, namespace=WITNESS)
        path = _path(found.plan.id, record_id)
        for name, content in ((path, data), (f"{path}.sig", armored)):
            files[name] = Entry(mode=FILE, oid=project.store.write("blob", content))
        signed.append(_vote(data, armored, path, found.authority, now))
    return Brought(votes=tuple(signed), files=files)


def unsigned(found: Evidence, question: Question, seen: Seen) -> tuple[Vote, ...]:
    """The same votes as far as nobody has to sign them: for those who only want to know."""
    values = [{**value, "id": "0" * 26} for value in _wanted(found, question, seen)]
    return tuple(
        Vote(
            record=approval.build(value, file="review"),
            digest=f"review {value['review']['review']}",
            principal=value["approver"],
            assurance="forge",
            current=True,
            witness="nobody yet",
        )
        for value in values
    )


def _vote(data: bytes, armored: bytes, path: str, authority: Authority, at: datetime) -> Vote:
    record = votes.read_record(data, path)
    return votes.judge(votes.verified(record, data, armored), authority, at)


def _path(plan: str, record_id: str) -> str:
    return f"{plan_folder(plan)}/approvals/{record_id}.yaml"


def _wanted(found: Evidence, question: Question, seen: Seen) -> Iterator[dict[str, Any]]:
    """The records that say what is not said yet, each person's decision once."""
    context = gate.context_of(question)
    in_force = [vote for vote in approval.standing(found.votes, context) if vote.witness]
    counted = {each.principal: each for each in seen.weighed.counted}
    for who in sorted({*counted, *(vote.record.approver for vote in in_force)}):
        mine = [vote for vote in in_force if vote.record.approver == who]
        if who in counted:
            # another one that stands beside it may say more than the review does now
            if len(mine) != 1 or not _says(mine[0], counted[who], question, seen):
                yield _approve(found, counted[who], seen, mine, question.now)
        elif given := [vote for vote in mine if vote.record.decision == "approve"]:
            yield _withdraw(found, given, seen, question.now)


def _says(vote: Vote, wanted: Counted, question: Question, seen: Seen) -> bool:
    """Whether a record tells of the same review, for this run."""
    account = wanted.review.author
    teams = seen.rights[account.id].teams if account else ()
    record, so_far = vote.record, question.so_far
    elsewhere = so_far.uses.get(vote.digest, frozenset()) - {so_far.run}
    return (
        record.decision == "approve"
        and vote.current
        and record.review is not None
        and record.review.review == wanted.review.id
        and record.steps == dict(wanted.steps)
        and record.execution == question.policy.execution
        and set(record.review.teams) == set(teams)
        and not elsewhere
    )


def _approve(
    found: Evidence, counted: Counted, seen: Seen, replaced: Sequence[Vote], now: datetime
) -> dict[str, Any]:
    """An approval for one run: the next one needs another look at the forge."""
    review, account = counted.review, counted.review.author
    block: dict[str, Any] = {
        "url": review.url,
        "pull_request": seen.pull_request,
        "review": review.id,
        "account": {"login": account.login, "id": account.id} if account else {},
        "permission": seen.rights[account.id].permission if account else "",
        "commit": review.commit,
        "seen_at": time_text(now),
    }
    if account and (teams := seen.rights[account.id].teams):
        block["teams"] = list(teams)
    if counted.named:
        block["digest"] = counted.named
    return {
        **_common(found, "approve", replaced),
        "steps": dict(counted.steps),
        "skipped": list(counted.skipped),
        "approver": counted.principal,
        "made_at": time_text(counted.at),
        "limits": {"runs": 1},
        "review": block,
    }


def _withdraw(found: Evidence, given: Sequence[Vote], seen: Seen, now: datetime) -> dict[str, Any]:
    """The end of approvals whose reviews no longer count."""
    last = given[-1].record
    review = last.review.model_dump(mode="json", exclude_none=True) if last.review else {}
    steps: dict[str, str] = {}
    for vote in given:
        steps |= vote.record.steps
    return {
        **_common(found, "withdraw", given),
        "steps": steps,
        "approver": last.approver,
        "made_at": time_text(now),
        "reason": _why(review.get("review"), seen),
        "review": {**review, "seen_at": time_text(now)},
    }


def _why(review: int | None, seen: Seen) -> str:
    told = [each.reason.message for each in seen.weighed.uncounted if each.review.id == review]
    return f"review {review} no longer counts" + "".join(f": {each}" for each in told)


def _common(found: Evidence, decision: str, replaced: Sequence[Vote]) -> dict[str, Any]:
    policy = found.authority.policy_file
    return {
        "version": 1,
        "decision": decision,
        "plan": found.plan.id,
        "repository": policy.policy.repository,
        "execution": policy.execution,
        "supersedes": sorted(vote.digest for vote in replaced),
    }
