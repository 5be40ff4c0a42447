"""Reservations: one book for all processes, and what a crash leaves in it."""

from __future__ import annotations

import itertools
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import (
    FULL_RUN,
    PROJECT,
    call,
    empty,
    file_of,
    open_at,
    projected,
    record,
)
from reservation_process import spender

from runner.core.budget import Bound, Place, Sum
from runner.core.errors import BudgetExceeded, LedgerError, PriceUnknown
from runner.ledger.reservations import LedgerPurse, unrecorded
from runner.ledger.store import Ledger

HERE = Place(
    project=PROJECT, day="2026-11-22", ask="sha256:a", plan="add-factorial", run=1, step="read"
)
DAY = Bound(name="the day's budget", scope="day", usd=Decimal("1.00"))
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Want:
    usd: Decimal | None
    tokens: int = 10
    model: str = "openai/small-1"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_at(tmp_path) as opened:
        yield opened


NAMES = (f"R{number}" for number in itertools.count())


def purse(
    ledger: Ledger,
    *bounds: Bound,
    place: Place = HERE,
    told: list[str] | None = None,
    allow_unpriced: bool = False,
) -> LedgerPurse:
    return LedgerPurse(
        ledger,
        place,
        bounds or [DAY],
        new_id=lambda: next(NAMES),
        now=lambda: NOW,
        warn=(told if told is not None else []).append,
        allow_unpriced=allow_unpriced,
    )


def want(usd: str | None) -> Want:
    return Want(usd=None if usd is None else Decimal(usd))


def put(ledger: Ledger, *calls: dict[str, object]) -> None:
    run = projected([record("read", calls=list(calls))])
    ledger.put(run.at(PROJECT))


def test_P6_the_worst_case_is_set_aside_before_the_call(ledger: Ledger) -> None:
    """While one call may cost 0.70, another of 0.40 does not fit into 1.00."""
    purse(ledger).reserve(want("0.70"))
    with pytest.raises(BudgetExceeded, match=r"0\.40 USD; 0\.30 are left of 1\.00 \(the day's"):
        purse(ledger).reserve(want("0.40"))


def test_settling_gives_back_what_was_not_spent(ledger: Ledger) -> None:
    """The true cost stands in place of the worst case."""
    mine = purse(ledger)
    mine.settle(mine.reserve(want("0.90")), usd=Decimal("0.05"), tokens=7)
    assert mine.left() == Decimal("0.95")
    purse(ledger).reserve(want("0.95"))
    assert mine.left() == 0


def test_P6_an_unsettled_reservation_counts_in_full_after_a_crash(tmp_path: Path) -> None:
    """What a process that is gone had set aside is there for the next one to count."""
    with open_at(tmp_path) as first:
        purse(first).reserve(want("0.60"))
    with open_at(tmp_path) as second:
        assert purse(second).left() == Decimal("0.40")
        (left_over,) = unrecorded(second, HERE)
        assert (left_over.settled, left_over.counts) == (None, Sum(usd=Decimal("0.60"), tokens=10))


def test_a_record_takes_the_place_of_its_reservation(ledger: Ledger) -> None:
    """Once a record names the reservation, the call counts as recorded, and once only."""
    mine = purse(ledger)
    name = mine.reserve(want("0.60"))
    mine.settle(name, usd=Decimal("0.50"), tokens=7)
    put(ledger, call("0.50", reservation=name))
    assert unrecorded(ledger, HERE) == ()
    assert mine.left() == Decimal("0.50")


def test_a_reservation_of_another_step_is_left_alone(ledger: Ledger) -> None:
    """What is unrecorded is asked for by step."""
    purse(ledger, place=replace(HERE, step="edit")).reserve(want("0.10"))
    assert unrecorded(ledger, HERE) == ()


def test_only_the_same_day_and_project_count(ledger: Ledger) -> None:
    """Yesterday's money is yesterday's, and other projects have their own."""
    for place in (replace(HERE, day="2026-11-21"), replace(HERE, project="other")):
        purse(ledger, place=place).reserve(want("1.00"))
    assert purse(ledger).left() == Decimal("1.00")


def test_recorded_calls_of_all_runs_count(ledger: Ledger) -> None:
    """The ledger's calls of the day and of the project are under the bounds of both."""
    run = projected([*FULL_RUN[:1]], name="another")
    ledger.put(run.at(PROJECT))
    project = Bound(name="all", scope="project", usd=Decimal("0.50"))
    assert purse(ledger, project).left() == Decimal("0.50") - Decimal("0.100754")
    assert purse(ledger).left() == Decimal("0.899246")


def test_P6_a_call_without_a_price_is_refused_under_a_bound(ledger: Ledger) -> None:
    """Unknown is not free: it needs the policy's word and a bound on tokens."""
    with pytest.raises(PriceUnknown, match="nobody knows the price of openai/small-1"):
        purse(ledger).reserve(want(None))
    with pytest.raises(PriceUnknown):
        purse(ledger, allow_unpriced=True).reserve(want(None))
    tokens = Bound(name="tokens", scope="day", tokens=15)
    allowed = purse(ledger, DAY, tokens, allow_unpriced=True)
    allowed.reserve(want(None))
    with pytest.raises(BudgetExceeded, match="10 tokens; 5 are left"):
        allowed.reserve(want(None))
    assert purse(ledger).left() == 0


def test_an_unpriced_call_without_bounds_is_kept_as_unknown(ledger: Ledger) -> None:
    """Where money is not bound, everything may be asked, and its cost stays unknown."""
    free = purse(ledger, Bound(name="tokens", scope="day", tokens=100))
    free.settle(free.reserve(want(None)), usd=None, tokens=9)
    assert free.left() is None
    assert unrecorded(ledger, HERE)[0].counts == Sum(tokens=9, unpriced=1)


def test_four_fifths_are_told_once(ledger: Ledger) -> None:
    """The warning comes when the line is crossed in truth, not at worst, and not each time after."""
    told: list[str] = []
    mine = purse(ledger, told=told)
    mine.settle(mine.reserve(want("0.85")), usd=Decimal("0.79"), tokens=1)
    assert told == []
    for _ in range(2):
        mine.settle(mine.reserve(want("0.10")), usd=Decimal("0.02"), tokens=1)
    assert told == ["0.81 of 1.00 USD are spent or set aside (the day's budget)"]


def test_money_finer_than_files_hold_is_rounded_up(ledger: Ledger) -> None:
    """A price with more than nine decimals is never counted as less than it is."""
    mine = purse(ledger)
    mine.settle(mine.reserve(want("0.00000000011")), usd=Decimal("1e-12"), tokens=1)
    assert mine.left() == Decimal("0.999999999")


def test_an_amount_that_somebody_wrote_is_not_trusted(ledger: Ledger, tmp_path: Path) -> None:
    """What is no amount of money stops the counting with an error."""
    purse(ledger).reserve(want("0.10"))
    with closing(sqlite3.connect(file_of(tmp_path))) as other, other:
        other.execute("UPDATE reservations SET usd = 'NaN'")
    with pytest.raises(LedgerError, match="'NaN' is no amount"):
        purse(ledger).left()


def test_rebuilding_keeps_what_is_set_aside(ledger: Ledger) -> None:
    """Reservations do not come from git, so forgetting what does leaves them."""
    purse(ledger).reserve(want("0.60"))
    empty(ledger)
    assert purse(ledger).left() == Decimal("0.40")


@pytest.mark.parametrize("round_", range(3))
def test_P6_two_processes_cannot_overspend_a_day(tmp_path: Path, round_: int) -> None:
    """However two real processes race for the last money, its sum stays within the bound."""
    open_at(tmp_path).close()
    spent = spend(tmp_path, ["A", "B"])
    assert sum(spent) == 10, (round_, spent)
    with open_at(tmp_path) as ledger:
        assert purse(ledger).left() == 0


def test_P6_a_killed_process_does_not_free_its_money(tmp_path: Path) -> None:
    """Killed with its reservations open, it has spent them as far as others are concerned."""
    open_at(tmp_path).close()
    with spender(tmp_path, "A", stop_after=4) as process:
        process.wait(timeout=30)
    assert sum(spend(tmp_path, ["B"])) == 6


def spend(folder: Path, names: Sequence[str]) -> list[int]:
    """Let processes reserve tenths until there are no more; how many each of them got."""
    started = [spender(folder, name) for name in names]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in started]
    assert all(process.returncode == 0 for process in started), (said, sys.executable)
    return [int(text) for text in said]
