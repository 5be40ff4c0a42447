from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

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
    question,
    step,
    vote,
)

from runner.core.errors import Reason
from runner.core.gate import Answer, Provenance, SoFar, decide, excluded, money_left, unmet
from runner.core.rules import Requirement

COMMITS = ("a" * 40, "b" * 40)


class TestAnswers:
    def test_a_free_step_needs_nobody(self) -> None:
        """A read is allowed without any approval."""
        decision = ask(step=0)
        assert decision.allowed
        assert decision.approvals == ()
        assert decision.reasons == ()

    def test_no_match_means_no(self) -> None:
        """An edit without approvals is refused, and the answer says who and what would help."""
        decision = ask()
        assert decision.answer is Answer.REFUSED
        assert decision.reasons == (
            Reason(
                code="approvals_missing",
                message="1 of 1 approval missing: a person other than ada@example.com"
                " (default edit_file)",
                fix="planlock approve job --step edit",
            ),
        )

    def test_an_approval_by_somebody_else_allows(self) -> None:
        """The decision names the approvals on which it rests."""
        yes = vote("bob")
        decision = ask(yes)
        assert decision.allowed
        assert decision.approvals == (yes,)

    def test_an_unknown_step_type_needs_one_approval(self) -> None:
        """A custom step without a rule is not free."""
        plan = make_plan(step("odd", "deploy", where="here"))
        assert codes(ask(plan=plan, step=0)) == ["approvals_missing"]
        assert ask(vote("bob", plan_file=plan), plan=plan, step=0).allowed

    def test_every_person_counts_once(self) -> None:
        """Two approvals of one person, by whatever keys, are one."""
        policy = make_policy({"name": "two", "match": {"step_type": "edit_file"}, "approvals": 2})
        twice = (vote("bob"), vote("bob", reason="again"))
        decision = ask(*twice, policy=policy)
        assert decision.reasons[0].message == (
            "1 of 2 approvals missing: a person other than ada@example.com, bob@example.com (two)"
        )
        assert ask(*twice, vote("cleo"), policy=policy).allowed

    def test_roles_are_asked_for(self) -> None:
        """An approval by someone without the role does not meet a rule that names one."""
        rule = {"name": "r", "match": {"path": "utils.py"}, "approvals": 1, "roles": ["maintainer"]}
        policy = make_policy(rule)
        refused = ask(vote("dan"), policy=policy)
        assert "a maintainer other than ada@example.com" in refused.reasons[0].message
        assert ask(vote("bob"), policy=policy).allowed

    @pytest.mark.parametrize(
        "asked,given_,enough",
        [("key", "forge", False), ("key", "key", True), ("key", "hardware", True)],
    )
    def test_assurance_is_a_floor(self, asked: str, given_: str, enough: bool) -> None:  # noqa: FBT001  # pytest passes by name
        """A weaker proof of identity than the rule asks for does not count."""
        policy = make_policy(assurance=asked)
        assert ask(vote("bob", assurance=given_), policy=policy).allowed is enough

    def test_a_vote_without_assurance_counts_for_nothing(self) -> None:
        """Where the key has no standing, nothing is met."""
        assert not ask(vote("bob", assurance=None)).allowed

    def test_a_denial_stands_over_all_approvals(self) -> None:
        """A rule that denies cannot be approved away."""
        policy = make_policy({"name": "never", "match": {"path": "utils.py"}, "deny": "by hand"})
        decision = ask(vote("bob"), vote("cleo"), policy=policy)
        assert codes(decision) == ["policy_denied"]
        assert decision.reasons[0].message == "rule 'never': by hand"

    def test_all_refusals_of_approvals_are_told_once(self) -> None:
        """Where approvals are missing, each that did not count is explained."""
        stale = vote("bob", steps={"edit": PLAN.digests[0]})
        decision = ask(stale, stale, vote("cleo", steps={"read": PLAN.digests[0]}))
        assert codes(decision) == ["approvals_missing", "approval_stale"]


class TestRulesOfRoles:
    BOTH: ClassVar = {
        "name": "both",
        "match": {"path": "utils.py"},
        "quorum": {"maintainer": 1, "security": 1},
    }
    PEOPLE: ClassVar = [
        {"principal": address("ada"), "roles": ["maintainer", "security"]},
        {"principal": address("bob"), "roles": ["maintainer", "security"]},
        {"principal": address("cleo"), "roles": ["security"]},
        {"principal": address("dan")},
    ]

    def test_a_quorum_needs_a_person_for_each_place(self) -> None:
        """One person with both roles is not two, and the author fills no place."""
        policy = make_policy(self.BOTH, people=self.PEOPLE)
        refused = ask(vote("bob"), vote("ada"), vote("dan"), policy=policy)
        assert codes(refused) == ["approvals_missing", "approval_unfit", "self_approval"]
        assert refused.reasons[0].message == (
            "1 of 2 approvals missing: a maintainer or security other than ada@example.com,"
            " bob@example.com (both)"
        )
        assert ask(vote("bob"), vote("cleo"), policy=policy).allowed
        assert not ask(vote("cleo"), vote("dan"), policy=policy).allowed

    def test_an_approval_that_does_not_fit_is_explained(self) -> None:
        """Each approval that counts, but not for the rule, is told with the reason and a fix."""
        rule = {"name": "r", "match": {}, "approvals": 1, "roles": ["maintainer"]}
        decision = ask(vote("dan"), policy=make_policy(rule))
        assert decision.reasons[1:] == (
            Reason(
                code="approval_unfit",
                message="dan@example.com's approval is by nobody of role maintainer (r)",
                fix="planlock policy explain job",
            ),
        )

    def test_what_does_not_fit_is_not_told_where_nothing_is_missing(self) -> None:
        """An approval too many is no matter."""
        rule = {"name": "r", "match": {}, "approvals": 1, "roles": ["maintainer"]}
        assert ask(vote("dan"), vote("bob"), policy=make_policy(rule)).reasons == ()

    def test_A21_a_rule_may_ask_for_fresh_approvals(self) -> None:
        """An approval that is too old for a rule still counts for others."""
        fresh = {"name": "fresh", "match": {"path": "utils.py"}, "approvals": 1}
        policy = make_policy({**fresh, "expires_after": "30m"})
        old, new = vote("bob"), vote("bob", made_at="2026-11-22T09:30:01Z")
        assert codes(ask(old, policy=policy)) == ["approvals_missing", "approval_unfit"]
        assert ask(new, policy=policy).allowed
        assert ask(old, step=2, policy=policy).allowed

    def test_a_command_in_doubt_needs_what_both_rules_ask(self) -> None:
        """A free command with a variable needs the approval that any command needs."""
        free = {"name": "free", "match": {"command": "make **"}, "approvals": 0}
        for line, allowed in (("make test", True), ("make $x", False), ("make; x", False)):
            plan = make_plan(step("make", "run_command", command=line))
            assert ask(plan=plan, step=0, policy=make_policy(free)).allowed is allowed
            assert ask(vote("bob", plan_file=plan), plan=plan, step=0).allowed

    def test_whom_any_version_named_may_not_approve(self) -> None:
        """Who was once the plan's author stays excluded when another version names somebody else."""
        once = Provenance(named=frozenset({address("bob")}))
        decision = ask(vote("bob"), provenance=once)
        assert codes(decision) == ["approvals_missing", "self_approval"]
        assert "was named as its author or prompter" in decision.reasons[1].message
        assert ask(vote("cleo"), provenance=once).allowed


class TestStandingRefusals:
    def test_problems_of_the_branch_refuse_even_free_steps(self) -> None:
        """What is wrong with the plan's branch cannot be approved away."""
        bad = Provenance(problems=(Reason(code="stale", message="moved"),))
        assert codes(ask(vote("bob"), step=0, provenance=bad)) == ["stale"]

    def test_unsigned_plans_are_refused_where_the_policy_says_so(self) -> None:
        """Each unsigned commit is named; without `plans_signed` it is let through."""
        unsigned = Provenance(unsigned=COMMITS)
        strict = make_policy(plans_signed=True)
        decision = ask(vote("bob"), policy=strict, provenance=unsigned)
        assert codes(decision) == ["plan_unsigned", "plan_unsigned"]
        assert COMMITS[0][:12] in decision.reasons[0].message
        assert ask(vote("bob"), provenance=unsigned).allowed

    @pytest.mark.parametrize("field", ["base", "author"])
    def test_a_plan_that_was_not_proposed_is_refused(self, field: str) -> None:
        """Without base and author nothing can be bound to them."""
        plan = make_plan(READ, **{field: None})
        assert codes(ask(plan=plan, step=0)) == ["not_proposed"]

    def test_a_plan_over_the_limit_of_steps_is_refused(self) -> None:
        """The policy bounds how many steps a plan may have."""
        small = make_policy(limits={"steps": 2})
        assert codes(ask(step=0, policy=small)) == ["limit_exceeded"]

    def test_hosts_must_be_listed_by_the_policy(self) -> None:
        """A command may only contact hosts that the policy's sandbox lists."""
        plan = make_plan(step("get", "run_command", command="x", network=["a.org", "b.org:443"]))
        open_ = make_policy(sandbox={"network": ["a.org"]})
        decision = ask(plan=plan, step=0, policy=open_)
        assert codes(decision) == ["network_not_allowed"]
        assert "b.org:443" in decision.reasons[0].message


class TestExclusion:
    def test_A11_author_prompter_and_makers_may_not_approve(self) -> None:
        """Whoever wrote, prompted or committed the plan is told why they do not count."""
        planner = {
            "model": "m",
            "request": "sha256:" + "0" * 64,
            "tokens": {"input": 1, "output": 1},
            "prompter": address("bob"),
        }
        plan = make_plan(READ, EDIT, planner=planner)
        asked = question(
            *(vote(who, plan_file=plan) for who in ("ada", "bob", "cleo")),
            plan=plan,
            provenance=Provenance(signers=frozenset({address("cleo")})),
        )
        assert excluded(asked) == {
            address("ada"): "is the plan's author",
            address("bob"): "prompted the model that wrote the plan",
            address("cleo"): "made a commit of the plan",
        }
        decision = decide(asked)
        assert codes(decision) == ["approvals_missing", *["self_approval"] * 3]
        assert decide(question(vote("dan", plan_file=plan), plan=plan)).allowed

    def test_self_approval_must_be_switched_on(self) -> None:
        """With `self_approval` the author's own approval counts."""
        assert not ask(vote("ada")).allowed
        assert ask(vote("ada"), policy=make_policy(self_approval=True)).allowed

    def test_a_plan_without_author_excludes_its_makers(self) -> None:
        """The absence of an author excludes nobody, and crashes nothing."""
        plan = make_plan(READ, author=None)
        assert excluded(question(plan=plan)) == {}


class TestRejects:
    def test_a_reject_skips_the_step(self) -> None:
        """A standing reject of this very content answers `rejected`, whatever others approved."""
        no = vote("cleo", decision="reject", steps={"edit": PLAN.digests[1]})
        decision = ask(vote("bob"), no)
        assert decision.answer is Answer.REJECTED
        assert decision.reasons == (
            Reason(code="rejected", message="rejected by cleo@example.com"),
        )

    def test_a_denied_step_is_refused_before_it_is_rejected(self) -> None:
        """What the policy forbids is not skipped: somebody has to mend the plan."""
        policy = make_policy({"name": "never", "match": {"path": "utils.py"}, "deny": "no"})
        no = vote("cleo", decision="reject", steps={"edit": PLAN.digests[1]})
        assert ask(no, policy=policy).answer is Answer.REFUSED

    def test_a_reject_of_other_content_only_holds_its_maker(self) -> None:
        """A reject of an older version skips nothing, but its maker's approval is held."""
        no = vote("bob", decision="reject", steps={"edit": PLAN.digests[0]})
        assert codes(ask(vote("bob"), no)) == ["approvals_missing", "withdrawn"]
        assert ask(vote("cleo"), no).allowed

    def test_a_withdraw_holds_until_it_is_superseded(self) -> None:
        """A withdraw ends its maker's approvals until a later one names it."""
        yes = vote("bob")
        gone = vote("bob", decision="withdraw", supersedes=[yes.digest])
        again = vote("bob", supersedes=[gone.digest])
        assert "withdrawn" in codes(ask(yes, gone))
        assert "withdrawn" in codes(ask(yes, gone, vote("bob", reason="put back")))
        assert ask(yes, gone, again).approvals == (again,)

    def test_A37_after_a_skip_even_a_free_step_needs_a_person(self) -> None:
        """A step behind a skipped one needs an approval that names exactly that skip."""
        so_far = SoFar(run=1, skipped=("read",))
        free = ask(vote("bob"), step=0, plan=make_plan(ASK), so_far=so_far)
        assert [each.rule for each in free.requirements] == [
            "default analyze",
            "after a skipped step",
        ]
        assert codes(ask(vote("bob"), so_far=so_far)) == ["approvals_missing", "skips_differ"]
        assert ask(vote("bob", skipped=["read"]), so_far=so_far).allowed
        assert not ask(vote("bob", skipped=["read"])).allowed


class TestUse:
    def test_A20_an_approval_for_one_run_serves_no_second(self) -> None:
        """Other runs consume an approval; going on with the same run does not."""
        once = vote("bob", limits={"runs": 1})
        used = SoFar(run=2, uses={once.digest: frozenset({1})})
        assert codes(ask(once, so_far=used)) == ["approvals_missing", "approval_consumed"]
        assert ask(once, so_far=SoFar(run=1, uses={once.digest: frozenset({1})})).allowed

    def test_A20_an_approval_for_some_money_is_used_up_by_it(self) -> None:
        """Money spent under an approval, by whatever run, ends it when its bound is reached."""
        bound = vote("bob", limits={"usd": "0.50"})
        spent = SoFar(run=2, spent_under={bound.digest: Decimal("0.50")})
        assert codes(ask(bound, so_far=spent)) == ["approvals_missing", "approval_consumed"]
        left = SoFar(run=2, spent_under={bound.digest: Decimal("0.49")})
        assert ask(bound, so_far=left).money == Decimal("0.01")

    def test_A32_the_least_bound_holds(self) -> None:
        """What a step may spend is the least that policy, plan and approvals leave."""
        plan = make_plan(READ, EDIT, budget={"usd": "0.40"})
        policy = make_policy(budgets={"run_usd": "1.00"})
        asked = question(plan=plan, policy=policy, so_far=SoFar(run=1, spent=Decimal("0.10")))
        assert money_left(asked, []) == Decimal("0.30")
        bound = vote("bob", plan_file=plan, limits={"usd": "0.20"})
        assert money_left(asked, [bound]) == Decimal("0.20")
        assert money_left(question(), []) is None

    def test_a_question_to_a_model_stops_when_the_money_is_gone(self) -> None:
        """Exhausted budgets refuse model steps and leave others alone."""
        policy = make_policy(budgets={"run_usd": "0.10"})
        so_far = SoFar(run=1, spent=Decimal("0.10"))
        plan = make_plan(ASK, READ)
        assert codes(ask(plan=plan, step=0, policy=policy, so_far=so_far)) == ["budget_exceeded"]
        assert ask(plan=plan, step=1, policy=policy, so_far=so_far).allowed
        assert ask(plan=plan, step=0, policy=policy).allowed

    def test_a_plans_tokens_bound_its_questions(self) -> None:
        """A model step waits once the run has used as many tokens as the plan allows."""
        plan = make_plan(ASK, READ, budget={"tokens": 100})
        used = SoFar(run=1, tokens=100)
        decision = ask(plan=plan, step=0, so_far=used)
        assert codes(decision) == ["budget_exceeded"]
        assert "100 of 100 tokens" in decision.reasons[0].message
        assert ask(plan=plan, step=1, so_far=used).allowed
        assert ask(plan=plan, step=0, so_far=SoFar(run=1, tokens=99)).allowed

    def test_unmet_requirements_are_told(self) -> None:
        """What a changed path asks for is compared with the approvals that the step has."""
        needs = (Requirement(approvals=2, assurance="key", rule="infra"),)
        assert unmet(question(), needs, [vote("bob"), vote("cleo")]) == ()
        (said,) = unmet(question(), needs, [vote("bob")])
        assert said.startswith("1 of 2 approvals missing")


def test_the_usual_plan_is_what_the_tests_say() -> None:
    """The edit is the second step and each step has its own digest."""
    assert PLAN.plan.steps[1].input == EDIT["input"]
    assert len(set(PLAN.digests)) == 3
