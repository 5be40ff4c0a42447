"""What the gate's answers hold, at the very bounds and in every refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from gate_cases import (
    ASK,
    EDIT,
    PLAN,
    READ,
    address,
    ask,
    codes,
    make_plan,
    make_policy,
    step,
    vote,
)

from runner.core.errors import Reason
from runner.core.gate import Answer, Provenance, SoFar

ONE_RUN = vote("bob", limits={"runs": 1})
SOME_MONEY = vote("bob", limits={"usd": "0.50"})
SPENT = SoFar(run=2, spent=Decimal("0.50"), tokens=9)
TWO = {"name": "two", "match": {}, "approvals": 2}
DENY = {"name": "never", "match": {}, "deny": "by hand"}

REFUSED: dict[str, dict[str, Any]] = {
    "approvals_missing": {},
    "approval_unfit": {"votes": [vote("bob", assurance="forge")]},
    "approval_stale": {"votes": [vote("bob", steps={"edit": PLAN.digests[0]})]},
    "withdrawn": {"votes": [vote("bob"), vote("bob", decision="withdraw")]},
    "self_approval": {"votes": [vote("ada")]},
    "policy_denied": {"policy": make_policy(DENY)},
    "plan_unsigned": {
        "policy": make_policy(plans_signed=True),
        "provenance": Provenance(unsigned=("a" * 40,)),
    },
    "not_proposed": {"plan": make_plan(READ, EDIT, base=None)},
    "limit_exceeded": {"policy": make_policy(limits={"steps": 2})},
    "network_not_allowed": {
        "plan": make_plan(READ, step("get", "run_command", command="x", network=["a.org"]))
    },
}
USED_UP: dict[str, dict[str, Any]] = {
    "1 run": {
        "votes": [ONE_RUN],
        "so_far": SoFar(run=2, uses={ONE_RUN.digest: frozenset({1})}),
    },
    "0.50 USD": {
        "votes": [SOME_MONEY],
        "so_far": SoFar(run=2, spent_under={SOME_MONEY.digest: Decimal("0.50")}),
    },
    "0.50 USD are spent": {
        "plan": make_plan(READ, ASK, budget={"usd": "0.50"}),
        "so_far": SPENT,
    },
    "9 of 9 tokens": {"plan": make_plan(READ, ASK, budget={"tokens": 9}), "so_far": SPENT},
}


def refused(votes: list[Any] | None = None, **changes: Any) -> tuple[Reason, ...]:
    return ask(*(votes or []), **changes).reasons


class TestReasons:
    @pytest.mark.parametrize("code", REFUSED)
    def test_every_refusal_says_what_is_wrong_and_what_would_mend_it(self, code: str) -> None:
        """Each reason has a message and a fix, whatever it is about."""
        reasons = refused(**REFUSED[code])
        assert code in [each.code for each in reasons]
        assert [each for each in reasons if not each.message or not each.fix] == []

    @pytest.mark.parametrize("bound", USED_UP)
    def test_what_is_used_up_is_told_by_its_bound(self, bound: str) -> None:
        """The reason names the bound that was reached, and has a fix."""
        last = refused(**USED_UP[bound])[-1]
        assert last.code in {"approval_consumed", "budget_exceeded"}
        assert bound in last.message
        assert last.fix

    def test_all_who_reject_are_named_and_the_requirements_stay(self) -> None:
        """A rejected step still says what it would have needed."""
        edit = {"edit": PLAN.digests[1]}
        decision = ask(*(vote(who, decision="reject", steps=edit) for who in ("cleo", "bob")))
        assert decision.answer is Answer.REJECTED
        assert decision.reasons[0].message == "rejected by bob@example.com, cleo@example.com"
        assert [each.rule for each in decision.requirements] == ["default edit_file"]

    def test_why_somebody_rejected_is_told(self) -> None:
        """The reason that was given stands behind the person who gave it."""
        no = vote("cleo", decision="reject", reason="too wide")
        (reason,) = ask(vote("bob"), no).reasons
        assert reason.message == "rejected by cleo@example.com (too wide)"

    def test_what_is_wrong_with_an_older_approval_of_who_counts_is_not_told(self) -> None:
        """Only people whose approval is still needed are told why theirs does not count."""
        stale = {"edit": PLAN.digests[0]}
        votes = [vote("bob", steps=stale), vote("bob"), vote("cleo", steps=stale)]
        for order in (votes, votes[::-1]):
            missing, reason = ask(*order, policy=make_policy(TWO)).reasons
            assert missing.code == "approvals_missing"
            assert (reason.code, address("cleo") in reason.message) == ("approval_stale", True)

    def test_an_approval_that_does_not_count_stops_nothing_that_is_approved(self) -> None:
        """Where nothing is missing, what is wrong with others' approvals is no reason."""
        stale = {"edit": PLAN.digests[0]}
        odd = (vote("cleo", steps=stale), vote("ada"), vote("eve"), vote("dan", current=False))
        decision = ask(vote("bob"), *odd)
        assert decision.allowed
        assert decision.reasons == ()

    def test_only_what_misses_a_rule_that_is_not_met_is_told(self) -> None:
        """An approval too weak for one rule is no matter where another one is not met."""
        hard = {"name": "hard", "match": {"path": "utils.py"}, "approvals": 1}
        strict = {"name": "any", "match": {"path": "UTILS.py"}, "approvals": 2}
        policy = make_policy(strict, {**hard, "assurance": "hardware"})
        weak, strong = vote("bob"), vote("cleo", assurance="hardware")
        assert ask(weak, strong, policy=policy).allowed
        assert codes(ask(strong, policy=policy)) == ["approvals_missing"]
        assert codes(ask(weak, vote("dan"), policy=policy)) == [
            "approvals_missing",
            "approval_unfit",
            "approval_unfit",
        ]

    def test_the_requirements_of_a_denied_step_stay(self) -> None:
        """A step that the policy forbids still says what it would need without the denial."""
        decision = ask(policy=make_policy(DENY))
        assert codes(decision) == ["policy_denied"]
        assert [each.rule for each in decision.requirements] == ["default edit_file"]

    def test_where_nobody_is_barred_nobody_is_named(self) -> None:
        """With `self_approval` and no approval yet, any person will do."""
        (reason,) = ask(policy=make_policy(self_approval=True)).reasons
        assert reason.message == "1 of 1 approval missing: a person (default edit_file)"

    def test_a_refusal_rests_on_no_approval(self) -> None:
        """Approvals that count but are too few are not named as relied on."""
        decision = ask(vote("bob"), policy=make_policy(TWO))
        assert codes(decision) == ["approvals_missing"]
        assert decision.approvals == ()


class TestBounds:
    @pytest.mark.parametrize("most,allowed", [(2, False), (3, True), (4, True)])
    def test_a_plan_may_have_as_many_steps_as_the_policy_says(
        self,
        most: int,
        allowed: bool,  # noqa: FBT001  # pytest passes by name
    ) -> None:
        """A plan of three steps keeps a limit of three."""
        assert ask(step=0, policy=make_policy(limits={"steps": most})).allowed is allowed

    @pytest.mark.parametrize("usd", ["0", "0.50", "5"])
    def test_A20_an_approval_with_a_bound_of_money_counts_until_it_is_spent(self, usd: str) -> None:
        """Before anything is spent under it, any bound leaves the approval in force."""
        decision = ask(vote("bob", limits={"usd": usd}))
        assert decision.allowed
        assert decision.money == Decimal(usd)

    def test_an_approval_for_no_money_asks_no_model(self) -> None:
        """A bound of 0 USD allows what costs nothing, and no step that may cost something."""
        plan = make_plan(ASK, EDIT)
        free = {"name": "free", "match": {"step_type": "analyze"}, "approvals": 1}
        nothing = vote("bob", plan_file=plan, limits={"usd": "0"})
        given_: dict[str, Any] = {"plan": plan, "policy": make_policy(free)}
        assert codes(ask(nothing, step=0, **given_)) == ["budget_exceeded"]
        assert ask(nothing, step=1, **given_).allowed


class TestAfterASkip:
    SKIPPED = SoFar(run=1, skipped=("read",))

    @pytest.mark.parametrize(
        "asked,given_,enough",
        [("key", "forge", False), ("key", "key", True), ("hardware", "key", False)],
    )
    def test_A37_the_approval_that_knows_of_a_skip_is_as_sure_as_others(
        self,
        asked: str,
        given_: str,
        enough: bool,  # noqa: FBT001  # pytest passes by name
    ) -> None:
        """One person is asked for even behind a free rule, with the assurance of the policy."""
        free = {"name": "free", "match": {}, "approvals": 0}
        knows = vote("bob", skipped=["read"], assurance=given_)
        policy = make_policy(free, assurance=asked)
        decision = ask(knows, so_far=self.SKIPPED, policy=policy)
        assert decision.allowed is enough
        (_, added) = decision.requirements
        assert (added.approvals, added.assurance) == (1, asked)

    def test_whom_the_policy_excludes_may_not_answer_for_a_skip(self) -> None:
        """The author's own approval of a skip is worth nothing."""
        free = make_policy({"name": "free", "match": {}, "approvals": 0})
        own = vote("ada", skipped=["read"])
        refused_ = ask(own, so_far=self.SKIPPED, policy=free)
        assert codes(refused_) == ["approvals_missing", "self_approval"]
        assert address("ada") in refused_.reasons[0].message
