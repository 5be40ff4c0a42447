"""Budgets where something is unknown: a price, the ledger; and the warning before the end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from budget_cases import CHEAP, ONE, TWO, budgets, spent
from fake_models import FakeModels, Says, Try, run
from team import EDIT, READ, Team

from runner.core.errors import BudgetExceeded, LedgerError
from runner.verbs.events import Event


def test_four_fifths_of_a_budget_are_noted(team: Team) -> None:
    """Whoever watches the run is told before the money is gone."""
    budgets(team, '{run_usd: "0.05", day_usd: "9.00"}')
    team.propose("job", ONE)
    heard: list[Event] = []
    assert run(team, "job", CHEAP, listener=heard.append).status == "completed"
    notes = [event.text for event in heard if event.kind == "note"]
    assert notes == ["0.04 of 0.05 USD are spent or set aside (the policy's budgets.run_usd)"]


def test_P6_a_price_that_nobody_knows_is_refused(team: Team) -> None:
    """Under a bound on money unknown is not zero."""
    budgets(team, '{run_usd: "9.00"}')
    team.propose("job", ONE)
    report = run(team, "job", Says(tries=(Try(worst=None),)))
    assert (report.status, report.reasons[0].code) == ("paused", "price_unknown")
    assert spent(team) == Decimal("0.00")


def test_P6_a_price_that_nobody_knows_may_be_allowed_with_tokens_bound(team: Team) -> None:
    """With the policy's word and a bound on tokens it is asked, and counted as unpriced."""
    budgets(team, '{run_usd: "9.00", run_tokens: 1000, allow_unpriced: true}')
    team.propose("job", ONE + TWO)
    models = FakeModels([Says(tries=(Try(worst=None, cost=None),)), CHEAP])
    report = run(team, "job", models=models)
    assert (report.status, report.unpriced_calls) == ("completed", 1)
    wish = models.requests[1].budget
    assert (wish.allow_unpriced, wish.max_tokens) == (True, 890)
    total = team.cli("ada", "cost", "--json").json["total"]
    assert (total["usd"], total["unpriced"]) == ("0.04", 1)
    assert total["statuses"] == {"computed": 1, "unknown": 1}


def test_P6_an_unpriced_call_stops_what_is_bound_in_money(team: Team) -> None:
    """Taking the permission back leaves nothing: nobody knows what is spent."""
    budgets(team, "{run_tokens: 1000}")
    team.propose("job", ONE + TWO)
    unpriced = Says(tries=(Try(worst=None, cost=None),))
    report = run(team, "job", unpriced, Says(error=BudgetExceeded, tries=()))
    assert (report.status, report.stopped_at) == ("paused", "two")
    budgets(team, '{project_usd: "9.00"}')
    report = run(team, "job", CHEAP)
    assert report.status == "paused"
    assert "1 calls have no price" in report.reasons[0].message


def test_F03_without_a_ledger_shared_budgets_fail_closed(team: Team) -> None:
    """A day's money that cannot be counted is not spent; a run's is counted from its records."""
    broken = team.root / ".git" / "planlock" / "ledger.sqlite"
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"SQLite format 3\0" + b"garbage" * 100)
    budgets(team, '{run_usd: "0.20", day_usd: "9.00"}')
    team.propose("job", ONE + TWO)
    with pytest.raises(LedgerError):
        run(team, "job", CHEAP)
    budgets(team, '{run_usd: "0.20", call_usd: "0.10"}')
    models = FakeModels([CHEAP, CHEAP])
    assert run(team, "job", models=models).status == "completed"
    assert [each.budget.max_cost_usd for each in models.requests] == ["0.10", "0.10"]


def test_steps_that_ask_nobody_need_no_money(team: Team) -> None:
    """An exhausted budget stops questions to models and nothing else."""
    budgets(team, '{run_usd: "0.00", day_usd: "0.00"}')
    team.propose("job", READ + EDIT)
    team.approve("bob", "job")
    assert run(team, "job").status == "completed"
