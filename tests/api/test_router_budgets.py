"""What all callers of a router may spend together, kept in a ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from router_service import world

from runner.core.errors import BudgetExceeded, LedgerError, PriceUnknown
from runner.models.contract import Purse, Want
from runner.verbs.router import store_folder
from runner.verbs.router_budgets import Budgets, SharedBudgets


def shared(
    folder: Path,
    *,
    day_usd: str | None = None,
    project_usd: str | None = None,
    today: int = 22,
    told: list[str] | None = None,
) -> SharedBudgets:
    budgets = Budgets(
        day_usd=None if day_usd is None else Decimal(day_usd),
        project_usd=None if project_usd is None else Decimal(project_usd),
    )
    return SharedBudgets(
        world(folder, day=today),
        budgets,
        folder=folder / "models",
        warn=(told if told is not None else []).append,
    )


def purse_of(budgets: SharedBudgets, project: str | None = None) -> Purse:
    purse = budgets.purse(project)
    assert purse is not None
    return purse


def want(usd: str | None) -> Want:
    return Want(usd=None if usd is None else Decimal(usd), tokens=10, model="fake/m1")


def test_without_budgets_there_is_no_account(tmp_path: Path) -> None:
    """A service without budgets bounds nobody and opens no ledger."""
    budgets = shared(tmp_path)
    assert budgets.purse("calc") is None
    budgets.close()
    assert list(tmp_path.iterdir()) == []


def test_a_day_is_shared_by_all_and_ends(tmp_path: Path) -> None:
    """What one project spent today is gone for another, and not for tomorrow."""
    today = shared(tmp_path, day_usd="1.00")
    name = purse_of(today, "calc").reserve(want("0.60"))
    with pytest.raises(BudgetExceeded, match=r"0\.40 are left of 1\.00") as caught:
        purse_of(today, "other").reserve(want("0.50"))
    assert "--day-usd" in caught.value.hint
    purse_of(today).settle(name, usd=Decimal("0.10"), tokens=5)
    assert purse_of(today, "other").left() == Decimal("0.90")
    today.close()
    tomorrow = shared(tmp_path, day_usd="1.00", today=23)
    assert purse_of(tomorrow).left() == Decimal("1.00")
    tomorrow.close()


def test_each_project_has_its_own(tmp_path: Path) -> None:
    """A project's money lasts over days and restarts; who names none shares one account."""
    for today in (22, 23):
        budgets = shared(tmp_path, project_usd="1.00", today=today)
        name = purse_of(budgets, "calc").reserve(want("0.50"))
        purse_of(budgets, "calc").settle(name, usd=Decimal("0.50"), tokens=5)
        budgets.close()
    budgets = shared(tmp_path, project_usd="1.00", today=24)
    assert purse_of(budgets, "calc").left() == 0
    assert purse_of(budgets, "other").left() == Decimal("1.00")
    purse_of(budgets, None).reserve(want("1.00"))
    with pytest.raises(BudgetExceeded):
        purse_of(budgets, "").reserve(want("0.01"))
    budgets.close()


def test_a_reservation_holds_everywhere_or_nowhere(tmp_path: Path) -> None:
    """What the project refuses is not taken from the day either."""
    budgets = shared(tmp_path, day_usd="1.00", project_usd="0.30")
    with pytest.raises(BudgetExceeded, match="--project-usd"):
        purse_of(budgets, "calc").reserve(want("0.50"))
    assert purse_of(budgets, "calc").left() == Decimal("0.30")
    purse_of(budgets, "other").reserve(want("0.30"))
    assert purse_of(budgets, "third").left() == Decimal("0.30")
    purse_of(budgets, "third").reserve(want("0.30"))
    purse_of(budgets, "fourth").reserve(want("0.30"))
    assert purse_of(budgets, "fifth").left() == Decimal("0.10")
    budgets.close()


def test_a_call_that_nobody_can_price_is_refused(tmp_path: Path) -> None:
    """The client's `allow_unpriced` does not open the service's account."""
    budgets = shared(tmp_path, day_usd="1.00")
    with pytest.raises(PriceUnknown):
        purse_of(budgets).reserve(want(None))
    assert purse_of(budgets).left() == Decimal("1.00")
    budgets.close()


def test_threads_cannot_overspend(tmp_path: Path) -> None:
    """Twenty threads that want ten cents each of one dollar get ten times ten."""
    budgets = shared(tmp_path, day_usd="1.00")

    def take(_number: int) -> bool:
        try:
            purse_of(budgets).reserve(want("0.10"))
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(20))) == 10
    budgets.close()


def test_four_fifths_are_told(tmp_path: Path) -> None:
    """The log hears once of a budget that is nearly spent."""
    told: list[str] = []
    budgets = shared(tmp_path, day_usd="1.00", told=told)
    for amount, count in (("0.50", 0), ("0.30", 1), ("0.10", 1)):
        purse = purse_of(budgets)
        purse.settle(purse.reserve(want(amount)), usd=Decimal(amount), tokens=5)
        assert len(told) == count
    assert "0.80 of 1.00 USD" in told[0]
    budgets.close()


def test_an_account_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """Money that cannot be counted is not spent: the service does not start."""
    (tmp_path / "router.sqlite").write_text("no database, but long enough to be read as one")
    with pytest.raises(LedgerError):
        shared(tmp_path, day_usd="1.00")


def test_the_store_lies_where_the_user_says() -> None:
    """The setting first, then an absolute XDG_STATE_HOME, then the usual place."""
    home = {"HOME": "/home/ada"}
    usual = Path("/home/ada/.local/state/planlock/models")
    assert store_folder(home) == store_folder({**home, "XDG_STATE_HOME": "relative"}) == usual
    assert store_folder({**home, "XDG_STATE_HOME": "/s"}) == Path("/s/planlock/models")
    assert store_folder({**home, "PLANLOCK_MODEL_STORE": "/m"}) == Path("/m")
