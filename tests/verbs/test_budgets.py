"""Budgets of call, step, run, plan, approval, day and project: checked before money is spent."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy
from budget_cases import CHEAP, DEAR, ONE, TWO, budgets, spent
from fake_models import FakeModels, Says, Try, run
from team import Team

from runner.core.model_call import Answer, Request
from runner.ledger.reservations import LedgerPurse, Wanted
from runner.models.contract import OnText, Purse


@pytest.mark.parametrize(
    "text, plan, name",
    [
        ('{call_usd: "0.39"}', "", "the policy's budgets.call_usd"),
        ('{step_usd: "0.39"}', "", "the policy's budgets.step_usd"),
        ('{run_usd: "0.43"}', "", "the policy's budgets.run_usd"),
        ('{day_usd: "0.43"}', "", "the policy's budgets.day_usd"),
        ('{project_usd: "0.43"}', "", "the policy's budgets.project_usd"),
        ("{run_tokens: 200}", "", "the policy's budgets.run_tokens"),
        ("{day_tokens: 200}", "", "the policy's budgets.day_tokens"),
        ('{run_usd: "9.00"}', 'budget: {usd: "0.43"}\n', "the plan's budget.usd"),
        ('{run_usd: "9.00"}', "budget: {tokens: 200}\n", "the plan's budget.tokens"),
    ],
)
def test_P6_what_may_not_fit_is_not_asked(team: Team, text: str, plan: str, name: str) -> None:
    """The run is paused with the bound's name, and only what was spent before is spent."""
    budgets(team, text)
    team.propose("job", ONE + TWO, extra=plan)
    report = run(team, "job", CHEAP, DEAR)
    assert (report.status, report.stopped_at) == ("paused", "two")
    (reason,) = report.reasons
    assert reason.code == "budget_exceeded"
    assert name in reason.message
    assert spent(team) == Decimal("0.04")


def test_P6_a_paused_run_goes_on_when_the_budget_is_raised(team: Team) -> None:
    """Nothing is recorded as failed; the same run asks once there is money by review."""
    budgets(team, '{run_usd: "0.20"}')
    team.propose("job", ONE + TWO)
    report = run(team, "job", CHEAP, DEAR)
    assert report.steps == {"one": "completed", "two": "pending"}
    assert "then: planlock run job" in report.reasons[0].fix
    again = run(team, "job", DEAR)
    assert (again.status, again.run) == ("paused", 1)
    budgets(team, '{run_usd: "0.50"}')
    done = run(team, "job", DEAR)
    assert (done.status, done.run, done.cost_usd) == ("completed", 1, "0.34")
    assert team.cli("ada", "audit").code == 0, team.cli("ada", "audit").text


def test_P6_an_exhausted_budget_does_not_start_the_step(team: Team) -> None:
    """Where nothing is left no model is asked for what it would cost."""
    budgets(team, '{day_usd: "0.04"}')
    team.propose("job", ONE + TWO)
    models = FakeModels([Says(tries=(Try(cost="0.04", worst="0.04"),)), DEAR])
    report = run(team, "job", models=models)
    assert (report.status, len(models.requests)) == ("paused", 1)
    assert "exhausted: 0.04 USD are spent" in report.reasons[0].message


def test_P6_money_spent_before_the_stop_is_told_once_the_run_goes_on(team: Team) -> None:
    """A first attempt was paid, the second did not fit: the record of the step has both."""
    budgets(team, '{run_usd: "0.10"}')
    team.propose("job", ONE)
    tries = (Try(cost="0.05", worst="0.06", status="invalid"), Try(cost="0.05", worst="0.06"))
    report = run(team, "job", Says(tries=tries))
    assert (report.status, spent(team)) == ("paused", Decimal(0))
    budgets(team, '{run_usd: "0.20"}')
    assert run(team, "job", Says(tries=(Try(cost="0.07", worst="0.09"),))).status == "completed"
    assert spent(team) == Decimal("0.12")


class Breaks(FakeModels):
    """Models in whose first answer the ledger breaks, before what it cost can be written."""

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        assert isinstance(purse, LedgerPurse)
        reserve = purse.reserve

        def reserve_and_break(want: Wanted) -> str:
            name = reserve(want)
            with purse.ledger.writing("breaking") as connection:
                connection.execute(sqlalchemy.text("ALTER TABLE reservations RENAME TO gone"))
            return name

        vars(purse)["reserve"] = reserve_and_break
        return super().complete(request, purse=purse, on_text=on_text)


def test_F03_an_answer_is_not_lost_where_the_ledger_fails_after_it(team: Team) -> None:
    """It is used and recorded with what it cost, and the run says what the ledger lacks."""
    team.propose("job", ONE)
    notes: list[str] = []
    report = run(
        team, "job", models=Breaks([CHEAP]), listener=lambda event: notes.append(event.text)
    )
    assert (report.status, report.cost_usd) == ("completed", "0.04")
    assert any("what was set aside for the call counts in full" in note for note in notes)
    assert team.cli("ada", "audit").code == 0


def test_A20_an_approval_bounds_the_money_of_all_its_runs(team: Team) -> None:
    """What somebody approved up to 0.30 USD stops there, however often it is run."""
    budgets(team, '{run_usd: "9.00"}')
    team.policy("analyze: 0", "analyze: 1")
    team.propose("job", ONE)
    team.approve("bob", "job", "--max-usd", "0.30")
    report = run(team, "job", DEAR)
    assert report.status == "paused"
    assert "the approval of bob@example.com" in report.reasons[0].message
    assert run(team, "job", CHEAP).status == "completed"
