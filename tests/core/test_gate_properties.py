"""What holds of the gate whatever the votes are."""

from __future__ import annotations

from typing import Any

from gate_cases import (
    CHECK,
    NOW,
    PLAN,
    POLICY,
    READ,
    address,
    approvers,
    ask,
    make_plan,
    make_policy,
    step,
    vote,
)
from hypothesis import given
from hypothesis import strategies as st

from runner.core.approval import Vote
from runner.core.gate import Answer


def _choice(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    """Votes of every kind, sound and unsound, that replace nothing."""
    who = draw(_choice(["ada", "bob", "cleo", "dan", "eve"]))
    return vote(
        who,
        decision=draw(_choice(["approve", "approve", "reject", "withdraw"])),
        steps={"edit": draw(_choice([PLAN.digests[1], PLAN.digests[1], PLAN.digests[0]]))},
        skipped=draw(_choice([[], [], ["read"]])),
        made_at=draw(_choice(["2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z"])),
        expires_at=draw(_choice([None, None, "2026-11-22T09:30:00Z"])),
        current=draw(_choice([True, True, False])),
        assurance=draw(_choice(["key", "key", "server", None])),
        signed_by=draw(_choice(["", "", address("eve"), None])),
        limits={"runs": draw(_choice([None, 1]))},
    )


approvals = votes().filter(lambda each: each.record.decision == "approve")
policies = st.sampled_from(
    [
        POLICY,
        make_policy({"name": "two", "match": {"path": "utils.py"}, "approvals": 2}),
        make_policy({"name": "r", "match": {"path": "*"}, "approvals": 1, "roles": ["maintainer"]}),
    ]
)
many = st.lists(votes(), max_size=5)


class TestProperties:
    @given(many, policies)
    def test_allowed_means_enough_different_people(self, given_: list[Vote], policy: Any) -> None:
        """Whatever the votes, an allowed step rests on distinct listed people, never its author."""
        decision = ask(*given_, policy=policy)
        if decision.allowed:
            people = approvers(decision.approvals)
            assert people <= {address(who) for who in ("bob", "cleo", "dan")}
            assert len(people) >= max(each.approvals for each in decision.requirements)
            assert all(each.record.made_at <= "2026-11-22T10:05:00Z" for each in decision.approvals)

    @given(many, approvals, policies)
    def test_one_more_approval_never_refuses(
        self, given_: list[Vote], more: Vote, policy: Any
    ) -> None:
        """Adding an approval that replaces nothing never turns allowed into refused."""
        if ask(*given_, policy=policy).allowed:
            assert ask(*given_, more, policy=policy).allowed

    @given(many, policies, st.data())
    def test_one_approval_less_never_allows(
        self, given_: list[Vote], policy: Any, data: st.DataObject
    ) -> None:
        """Removing an approval that replaces nothing never turns refused into allowed."""
        kept = [each for each in given_ if each.record.decision != "approve"]
        dropped = [each for each in given_ if each.record.decision == "approve"]
        some = data.draw(st.lists(st.sampled_from(dropped))) if dropped else []
        if not ask(*given_, policy=policy).allowed:
            assert not ask(*kept, *some, policy=policy).allowed

    @given(st.permutations([vote("bob"), vote("cleo", decision="reject"), vote("dan")]))
    def test_order_does_not_matter(self, given_: list[Vote]) -> None:
        """The order in which records are found has no effect on the answer."""
        assert ask(*given_).answer is Answer.REJECTED

    @given(st.text(min_size=1, max_size=20).filter(str.isprintable), policies)
    def test_an_approval_of_other_content_is_worth_nothing(self, text: str, policy: Any) -> None:
        """An approval covers the digest of one content and no other."""
        other = make_plan(READ, step("edit", "edit_file", path="utils.py", new_content=text), CHECK)
        given_ = [vote(who, plan_file=other) for who in ("bob", "cleo")]
        assert not ask(*given_, policy=policy).allowed
        assert ask(*given_, plan=other, policy=policy, now=NOW).allowed
