"""The gate about edits without text, and about texts that a model wrote."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from gate_cases import (
    CHECK,
    EDIT,
    READ,
    address,
    ask,
    codes,
    make_plan,
    make_policy,
    question,
    step,
    vote,
)

from runner.core.gate import Answer, SoFar, decide, decide_draft, decide_next, required

WISH = step("edit", "edit_file", path="utils.py", instruction="Make it fast")
PLAN = make_plan(READ, WISH, CHECK)
TEXT = make_plan(READ, EDIT, CHECK)
FREE = make_policy({"name": "free", "match": {"path": "**"}, "approvals": 0})
DENY = make_policy({"name": "no", "match": {"path": "utils.py"}, "deny": "by hand"})
DRAFTED = SoFar(run=1, drafted=frozenset({TEXT.digests[1]}))


class TestWithoutText:
    @pytest.mark.parametrize("votes", [[], ["bob"], ["bob", "cleo"]])
    def test_A44_an_instruction_never_runs(self, votes: list[str]) -> None:
        """However many approved it, and whatever the policy leaves free."""
        given = [vote(who, plan_file=PLAN) for who in votes]
        for policy in (make_policy(), FREE):
            decision = ask(*given, plan=PLAN, policy=policy)
            assert (decision.answer, codes(decision)) == (Answer.REFUSED, ["not_drafted"])
            assert decision.approvals == ()

    def test_a_draft_is_made_on_nobodys_approval(self) -> None:
        """Asking a model changes nothing; an edit with its text is asked about as an edit."""
        assert decide_draft(question(plan=PLAN)).allowed
        assert decide_next(question(plan=PLAN)).allowed
        assert not decide_next(question(plan=TEXT)).allowed

    def test_A44_a_rule_about_the_file_is_met_before_a_model_gets_it(self) -> None:
        """A team that guards a path guards its content; a default alone does not."""
        guarded = make_policy({"name": "ours", "match": {"path": "utils.*"}, "approvals": 1})
        asked = question(plan=PLAN, policy=guarded)
        assert codes(decide_draft(asked)) == codes(decide(asked)) == ["approvals_missing"]
        given = vote("bob", plan_file=PLAN)
        decision = decide_draft(question(given, plan=PLAN, policy=guarded))
        assert (decision.allowed, decision.approvals) == (True, (given,))
        elsewhere = make_policy({"name": "ours", "match": {"path": "src/**"}, "approvals": 1})
        assert decide_draft(question(plan=PLAN, policy=elsewhere)).allowed

    @pytest.mark.parametrize(
        "changes,code",
        [
            ({"policy": DENY}, "policy_denied"),
            ({"plan": make_plan(READ, WISH, base=None)}, "not_proposed"),
            ({"policy": make_policy(limits={"steps": 2})}, "limit_exceeded"),
            ({"policy": make_policy(budgets={"run_usd": "0.00"})}, "budget_exceeded"),
            ({"so_far": SoFar(run=1, skipped=("read",))}, "approvals_missing"),
        ],
    )
    def test_what_refuses_a_thinking_step_refuses_a_draft(
        self, changes: dict[str, Any], code: str
    ) -> None:
        """Rules, limits, money and skips hold before a model is asked; `decide` says so too."""
        asked = question(**{"plan": PLAN, **changes})
        assert codes(decide_draft(asked)) == [code]
        assert codes(decide(asked)) == [code]

    def test_a_rejected_instruction_is_not_drafted(self) -> None:
        """Who rejects what is wanted saves the money for it."""
        rejected = vote("bob", plan_file=PLAN, decision="reject")
        assert decide_draft(question(rejected, plan=PLAN)).answer is Answer.REJECTED
        assert decide(question(rejected, plan=PLAN)).answer is Answer.REJECTED

    def test_A32_an_approvals_money_bounds_the_draft(self) -> None:
        """What an approver of the instruction would spend is not overspent."""
        given = vote("bob", plan_file=PLAN, limits={"usd": "0.30"})
        spent = SoFar(run=1, spent_under={given.digest: Decimal("0.10")})
        decision = decide_draft(question(given, plan=PLAN, so_far=spent))
        assert (decision.allowed, decision.money) == (True, Decimal("0.20"))


class TestDrafted:
    def test_A44_a_models_text_waits_where_the_policy_asks_for_nobody(self) -> None:
        """Zero approvals become one, by somebody who may approve the plan."""
        assert ask(plan=TEXT, policy=FREE).allowed
        for votes in ([], [vote("ada", plan_file=TEXT)]):
            decision = ask(*votes, plan=TEXT, policy=FREE, so_far=DRAFTED)
            assert codes(decision)[0] == "approvals_missing"
        assert ask(vote("bob", plan_file=TEXT), plan=TEXT, policy=FREE, so_far=DRAFTED).allowed

    def test_A44_an_approval_of_the_instruction_is_of_no_use(self) -> None:
        """The text is another step to approve."""
        decision = ask(vote("bob", plan_file=PLAN), plan=TEXT, policy=FREE, so_far=DRAFTED)
        assert codes(decision) == ["approvals_missing", "approval_stale"]

    def test_what_the_rules_ask_is_not_asked_twice(self) -> None:
        """Where somebody must approve anyway, a draft adds nothing."""
        (needed,) = required(question(plan=TEXT, so_far=DRAFTED))
        assert needed.rule == "default edit_file"
        (added,) = [
            each
            for each in required(question(plan=TEXT, policy=FREE, so_far=DRAFTED))
            if each.approvals
        ]
        assert (added.rule, added.approvals) == ("a model's draft", 1)

    def test_other_steps_are_as_free_as_before(self) -> None:
        """Only the step with the model's text waits for it."""
        assert ask(plan=TEXT, policy=FREE, so_far=DRAFTED, step=0).allowed

    def test_the_author_may_not_approve_the_text(self) -> None:
        """A model's text has the author of its plan."""
        decision = ask(vote("ada", plan_file=TEXT), plan=TEXT, so_far=DRAFTED)
        assert codes(decision) == ["approvals_missing", "self_approval"]
        assert address("ada") in decision.reasons[0].message
