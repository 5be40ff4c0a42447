"""Which bounds hold, what counts under them, and what fits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from gate_cases import ASK, make_plan, make_policy, question, vote
from hypothesis import given
from hypothesis import strategies as st

from runner.core.budget import (
    Account,
    Bound,
    Place,
    Reservation,
    Scope,
    Sum,
    accounts,
    least_money,
    least_tokens,
    of_policy,
    of_step,
)
from runner.core.gate import SoFar

HERE = Place(project="p", day="2026-11-22", ask="a", plan="job", run=1, step="ask")
amounts = st.decimals(0, 100, places=4)


def account(most: str | None, spent: str = "0", **more: int) -> Account:
    tokens = more.pop("most_tokens", None)
    bound = Bound(
        name="the budget", scope="run", usd=None if most is None else Decimal(most), tokens=tokens
    )
    return Account(bound=bound, spent=Sum(usd=Decimal(spent), **more))


def held(name: str, usd: str, **place: object) -> Reservation:
    at = replace(HERE, **place)  # type: ignore[arg-type]  # each test names fields of a place
    return Reservation(id=name, place=at, model="m", worst=Sum(usd=Decimal(usd)))


def want(usd: str, tokens: int = 0) -> Sum:
    return Sum(usd=Decimal(usd), tokens=tokens)


class TestAccount:
    def test_what_fits_exactly_is_allowed(self) -> None:
        """The last cent may be spent, and no part of one more."""
        assert account("1.00", "0.60").objection(want("0.40")) == ""
        why = account("1.00", "0.60").objection(want("0.400001"))
        assert why == "it may cost 0.400001 USD; 0.40 are left of 1.00 (the budget)"

    def test_tokens_are_bound_as_money_is(self) -> None:
        """A bound on tokens is told with its own numbers."""
        assert account(None, tokens=90, most_tokens=100).objection(want("9", 10)) == ""
        why = account(None, tokens=90, most_tokens=100).objection(want("0", 11))
        assert why == "it may take 11 tokens; 10 are left of 100 (the budget)"

    def test_P6_an_unknown_sum_leaves_nothing(self) -> None:
        """Under a bound on money a call without a price stops all others, unless allowed."""
        unknown = account("1.00", unpriced=1)
        assert unknown.money_left() == 0
        assert "1 calls have no price" in unknown.objection(want("0.01"))
        assert "1 calls have no price" in unknown.exhausted()
        assert unknown.money_left(allow_unpriced=True) == 1
        assert unknown.exhausted(allow_unpriced=True) == ""

    def test_exhausted_says_what_is_spent(self) -> None:
        """More spent than allowed leaves nothing, not less than that."""
        assert account("1.00", "1.20").money_left() == 0
        assert account("1.00", "1.20").exhausted() == "the budget is exhausted: 1.20 USD are spent"
        full = account(None, tokens=100, most_tokens=100)
        assert full.exhausted() == "the budget is exhausted: 100 tokens are spent"
        assert account("1.00", "0.99").exhausted() == ""

    @pytest.mark.parametrize("spent, warns", [("0.79", False), ("0.80", True), ("2.00", True)])
    def test_four_fifths_are_worth_a_warning(self, spent: str, warns: bool) -> None:  # noqa: FBT001  # pytest passes it
        """At 80 per cent of a bound people are told."""
        text = account("1.00", spent).warning()
        assert bool(text) == warns
        assert not warns or text.startswith(f"{spent} of 1.00 USD")

    def test_tokens_are_warned_of_too(self) -> None:
        """At 80 per cent of a bound on tokens as well."""
        assert "80 of 100 tokens" in account(None, tokens=80, most_tokens=100).warning()
        assert account(None, tokens=79, most_tokens=100).warning() == ""


class TestScopes:
    @pytest.mark.parametrize(
        "scope, counted",
        [
            ("call", "1"),
            ("step", "11"),
            ("run", "111"),
            ("plan", "1111"),
            ("day", "11111"),
            ("project", "111111"),
        ],
    )
    def test_each_scope_counts_what_lies_in_it(self, scope: Scope, counted: str) -> None:
        """A reservation counts under the bounds of its own step, run, plan, day and project."""
        every = [
            held("own", "1"),
            held("step", "10"),
            held("run", "100", step="other"),
            held("plan", "1000", run=2),
            held("day", "10000", plan="another"),
            held("project", "100000", plan=None, run=None, step=None, day="2026-11-21"),
            held("stranger", "1000000", project="q"),
        ]
        bound = Bound(name=scope, scope=scope, usd=Decimal(10**9))
        (found,) = accounts([bound], HERE, every, own=frozenset({"own"}))
        assert found.spent.usd == Decimal(counted)

    def test_a_settled_reservation_counts_as_it_was_settled(self) -> None:
        """The worst case stands until the true cost is known."""
        bound = Bound(name="b", scope="run", usd=Decimal(10), recorded=Sum(usd=Decimal(2)))
        open_one = held("x", "3")
        assert accounts([bound], HERE, [open_one])[0].spent.usd == 5
        known = replace(open_one, settled=Sum(usd=Decimal(1)))
        assert accounts([bound], HERE, [known])[0].spent.usd == 3

    def test_the_ledger_tells_of_shared_scopes(self) -> None:
        """What is recorded of a day comes from all runs, not from the one in hand."""
        bound = Bound(name="b", scope="day", usd=Decimal(10))
        (found,) = accounts([bound], HERE, [], recorded={"day": Sum(usd=Decimal(4))})
        assert found.spent.usd == 4

    @given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5))
    def test_the_tightest_bound_decides(self, pairs: list[tuple[Decimal, Decimal]]) -> None:
        """What is left is the least that any bound leaves, never less than nothing."""
        every = [account(str(most), str(spent)) for most, spent in pairs]
        expected = max(min(most - spent for most, spent in pairs), Decimal(0))
        assert least_money(every) == expected
        assert least_money([account(None)]) is None
        assert least_tokens([account(None, most_tokens=5), account("1")]) == 5


class TestBounds:
    def test_a_policy_without_budgets_bounds_nothing(self) -> None:
        """No bound is made up."""
        assert of_policy(make_policy().policy.budgets) == ()
        assert of_step(question(), [], step=Sum(), run=Sum()) == ()

    def test_all_that_a_step_is_bound_by(self) -> None:
        """Policy, plan and the approvals relied on each bound their own scope."""
        budgets = {f"{name}_usd": "1.00" for name in ("call", "step", "run", "day", "project")}
        policy = make_policy(budgets={**budgets, "run_tokens": 10, "day_tokens": 20})
        plan = make_plan(ASK, budget={"usd": "0.50", "tokens": 30})
        bob = vote("bob", plan_file=plan, limits={"usd": "0.20"})
        so_far = SoFar(run=1, spent_under={bob.digest: Decimal("0.05")})
        asked = question(plan=plan, policy=policy, step=0, so_far=so_far)
        run, step = Sum(usd=Decimal("0.04")), Sum(usd=Decimal("0.01"))
        found = {each.name: each for each in of_step(asked, [bob], step=step, run=run)}
        scopes = {name.removeprefix("the policy's budgets."): b.scope for name, b in found.items()}
        assert scopes == {
            "call_usd": "call",
            "step_usd": "step",
            "run_usd": "run",
            "run_tokens": "run",
            "day_usd": "day",
            "day_tokens": "day",
            "project_usd": "project",
            "the plan's budget.usd": "run",
            "the plan's budget.tokens": "run",
            "the approval of bob@example.com": "plan",
        }
        assert found["the policy's budgets.step_usd"].recorded == step
        assert found["the plan's budget.usd"].recorded == run
        assert found["the approval of bob@example.com"].recorded.usd == Decimal("0.05")
