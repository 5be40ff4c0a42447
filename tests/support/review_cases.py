"""A pull request as a forge might tell of it, its reviews, and what they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gate_cases import CHECK, EDIT, READ, make_plan, make_policy

from runner.core import reviews
from runner.core.forge import (
    Account,
    Conversation,
    PullRequest,
    Push,
    Review,
    Rights,
    Tip,
)
from runner.core.reviews import Asked, Weighed

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ADA = Account(id=1, login="ada", is_person=True)
BOB = Account(id=2, login="bob", is_person=True)
CAROL = Account(id=3, login="carol", is_person=True)
MALLORY = Account(id=9, login="mallory", is_person=True)
ROBOT = Account(id=41, login="robot[bot]", is_person=False)
BASE, FIRST, HEAD, MAIN = "a" * 40, "b" * 40, "c" * 40, "d" * 40
PLAN = make_plan(READ, EDIT, CHECK)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def people(*names: str) -> list[dict[str, Any]]:
    accounts = {"ada": 1, "bob": 2, "carol": 3, "robot": 41}
    return [
        {
            "principal": f"{name}@example.com",
            "roles": ["maintainer"],
            "github": {"login": name, "id": accounts[name]},
        }
        for name in names or accounts
    ]


def asked(**changes: Any) -> Asked:
    """Ada's plan, pushed in one go, under a policy that allows plain reviews where told."""
    policy = changes.pop("policy", {})
    return replace(
        Asked(
            plan=PLAN,
            commit=HEAD,
            trusted=MAIN,
            on_branch=True,
            trusted_ref="refs/heads/main",
            policy=make_policy(**{"people": people(), **policy}),
            excluded={"ada@example.com": "is the plan's author"},
            digests={HEAD: PLAN.digest},
            executions={},
        ),
        **changes,
    )


def review(by: Account | None = BOB, **changes: Any) -> Review:
    return replace(
        Review(
            id=70,
            author=by,
            state="approved",
            body=reviews.line(PLAN.digest),
            commit=HEAD,
            submitted_at=at(5),
            edited=False,
            url="https://github.com/acme/shop/pull/7#pullrequestreview-70",
        ),
        **changes,
    )


def push(minutes: float, after: str = HEAD, by: Account | None = ADA, **changes: Any) -> Push:
    kind = changes.pop("kind", "push")
    before = changes.pop("before", "")
    return Push(actor=by, at=at(minutes), kind=kind, before=before, after=after)


def talk(*said: Review, rights: Mapping[int, str] | None = None, **changes: Any) -> Conversation:
    everybody = (ADA, BOB, CAROL, MALLORY, ROBOT)
    may = {1: "write", 2: "write", 3: "write", 41: "write", 9: "read", **(rights or {})}
    pull = PullRequest(
        number=7,
        title="Add factorial",
        url="https://github.com/acme/shop/pull/7",
        author=ADA,
        head=Tip(repository="acme/shop", branch=f"plan/{PLAN.plan.id}", commit=HEAD),
        base=Tip(repository="acme/shop", branch="main", commit=BASE),
        is_open=True,
        is_merged=False,
    )
    return replace(
        Conversation(
            pull_request=pull,
            reviews=said,
            pushes=(push(0, kind="creation"),),
            base_pushes=(push(-60, after=MAIN, kind="creation"),),
            timeline=(),
            rights={
                each.id: Rights(account=each, permission=may[each.id])  # type: ignore[arg-type]  # a table of words
                for each in everybody
            },
        ),
        **changes,
    )


def codes(found: Weighed) -> list[str]:
    return [each.reason.code for each in found.uncounted]


def held(found: Weighed) -> list[str]:
    return [each.code for each in found.holds]


def principals(found: Weighed) -> list[str]:
    return [each.principal.partition("@")[0] for each in found.counted]


def weigh(*said: Review, asked_of: Asked | None = None, **changes: Any) -> Weighed:
    return reviews.weigh(talk(*said, **changes), asked_of or asked())
