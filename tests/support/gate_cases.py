"""Plans, policies, votes and questions for the pure gate, built without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runner.core import approval, documents, plan, policy
from runner.core.approval import Vote
from runner.core.canonical import sha256_text
from runner.core.gate import Decision, Provenance, Question, SoFar, decide
from runner.core.plan import PlanFile
from runner.core.policy import Assurance, PolicyFile
from runner.core.values import time_text

NOW: Final = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
REPOSITORY: Final = "0f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"
ELSEWHERE: Final = "1f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"
PEOPLE: Final = ("ada", "bob", "cleo", "dan")
ULID: Final = "01JDA7Q4Z0M5W8K2N3P6R9T1V"


def address(who: str) -> str:
    return f"{who}@example.com"


def step(name: str, step_type: str, **given: Any) -> dict[str, Any]:
    return {"id": name, "step_type": step_type, "description": name, "input": given}


READ: Final = step("read", "read_file", path="utils.py")
EDIT: Final = step("edit", "edit_file", path="utils.py", new_content="x\n")
CHECK: Final = step("check", "run_command", command="true")
ASK: Final = step("ask", "analyze", instruction="Why?")


def make_plan(*steps: Mapping[str, Any], **header: Any) -> PlanFile:
    """Build a plan by ada; a header field given as None is left out."""
    value = {
        "version": 1,
        "id": "job",
        "goal": "Do it",
        "base": "4" * 40,
        "author": address("ada"),
        **header,
        "steps": [dict(each) for each in steps],
    }
    return plan.build({key: item for key, item in value.items() if item is not None}, file="p")


def make_policy(*rules: Mapping[str, Any], **fields: Any) -> PolicyFile:
    """Build a policy in which everybody is a maintainer, apart from dan, who has no role."""
    value = {
        "version": 1,
        "repository": REPOSITORY,
        "people": [
            {"principal": address(who), "roles": [] if who == "dan" else ["maintainer"]}
            for who in PEOPLE
        ],
        "rules": [dict(each) for each in rules],
        "assurance": "key",
        **fields,
    }
    return policy.build(value, file="policy")


PLAN: Final = make_plan(READ, EDIT, CHECK)
POLICY: Final = make_policy()


def vote(
    who: str, *, plan_file: PlanFile = PLAN, signed_by: str | None = "", **changes: Any
) -> Vote:
    """Build a vote about the whole plan; `changes` go to the vote's own fields, else the record."""
    names = ("current", "assurance", "trouble", "witness")
    own = {key: changes.pop(key) for key in names if key in changes}
    ids = [each.id for each in plan_file.plan.steps]
    value = {
        "version": 1,
        "id": ULID + "A",
        "decision": "approve",
        "plan": plan_file.plan.id,
        "repository": REPOSITORY,
        "steps": dict(zip(ids, plan_file.digests, strict=True)),
        "execution": POLICY.execution,
        "approver": address(who),
        "made_at": time_text(NOW - HOUR),
        **changes,
    }
    level: Assurance = "key"
    made = Vote(
        record=approval.build(value, file="approval"),
        digest=sha256_text(documents.dump(value)),
        principal=address(who) if signed_by == "" else signed_by,
        assurance=level,
        current=True,
    )
    return replace(made, **own)


def question(*votes: Vote, **changes: Any) -> Question:
    """Ask about the edit of the usual plan, unless `changes` say otherwise."""
    usual = Question(
        plan=PLAN,
        step=1,
        policy=POLICY,
        votes=votes,
        provenance=Provenance(),
        so_far=SoFar(run=1),
        now=NOW,
    )
    return replace(usual, **changes)


def ask(*votes: Vote, **changes: Any) -> Decision:
    return decide(question(*votes, **changes))


def codes(decision: Decision) -> list[str]:
    return [each.code for each in decision.reasons]


def context(**changes: Any) -> approval.Context:
    """Build what an approval of the usual edit must have been given for."""
    usual = approval.Context(
        plan="job",
        repository=REPOSITORY,
        execution=POLICY.execution,
        step="edit",
        digest=PLAN.digests[1],
        places=PLAN.places,
        skipped=(),
        excluded={},
        now=NOW,
    )
    return replace(usual, **changes)


def approvers(votes: Sequence[Vote]) -> set[str]:
    return {each.record.approver for each in votes}
