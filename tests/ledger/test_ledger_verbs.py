from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import (
    FULL_RUN,
    OTHER,
    PROJECT,
    approved,
    call,
    cut,
    every_row,
    file_of,
    open_at,
    projected,
    record,
)

from runner.core.errors import LedgerError, NotFound, UsageError
from runner.ledger.projection import ProjectedRun, row_id
from runner.ledger.store import Ledger
from runner.verbs import cost
from runner.verbs import ledger as verb
from runner.verbs.cost import CostRow, Grouping
from runner.verbs.ledger import Difference, RebuildReport

RUN = projected(FULL_RUN)
SECOND = projected([record("read", calls=[call("0.05")])], n=2)
TENTH = projected([record("read", calls=[call("0.01")])], n=10)
RUNS = (RUN, SECOND, TENTH)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_at(tmp_path) as opened:
        verb.rebuild(RUNS, [approved()], opened)
        yield opened


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(file_of(folder))) as connection, connection:
        connection.execute(statement)


def keys(ledger: Ledger, by: Grouping | None, plan: str | None = None) -> dict[str, Decimal | None]:
    return {row.key: row.usd for row in cost.report(ledger, plan=plan, by=by).rows}


def test_P5_dropped_and_rebuilt_is_equal(ledger: Ledger) -> None:
    """A rebuilt ledger has the same rows, and says how many."""
    before = every_row(ledger)
    report = verb.rebuild(RUNS, [approved()], ledger)
    assert every_row(ledger) == before
    assert report == RebuildReport(runs=3, steps=12, model_calls=7, approvals=1)


def test_a_rebuild_removes_what_git_does_not_tell(ledger: Ledger) -> None:
    """Rows of runs and approvals that are not there are gone afterwards."""
    report = verb.rebuild([RUN], [], ledger)
    assert (report.runs, report.approvals) == (1, 0)
    assert ledger.projected() == {RUN.ref: RUN.commit}


def test_a_rebuild_that_ends_half_way_takes_nothing_away(ledger: Ledger) -> None:
    """What could not be read again stands as it was, so no budget forgets what was spent."""
    before = every_row(ledger)

    def runs() -> Iterator[ProjectedRun]:
        yield RUN
        raise LedgerError("reading a run")

    with pytest.raises(LedgerError, match="reading a run"):
        verb.rebuild(runs(), [], ledger)
    assert every_row(ledger) == before


def test_many_runs_are_rebuilt_a_few_at_a_time(ledger: Ledger) -> None:
    """However the runs are cut into transactions, their rows are those of each."""
    calls = [call("0.1") for _ in range(800)]
    many = [projected([record("read", calls=calls)], n=n) for n in range(1, 8)]
    seen: list[int] = []

    def runs() -> Iterator[ProjectedRun]:
        for each in many:
            seen.append(ledger.counts()["model_calls"])
            yield each

    report = verb.rebuild(runs(), [], ledger)
    assert (report.runs, report.model_calls) == (7, 5600)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert verb.check(many, [], ledger).equal


def test_an_equal_ledger_has_no_differences(ledger: Ledger) -> None:
    """A check counts the rows that it compared."""
    report = verb.check(RUNS, [approved()], ledger)
    assert report.equal
    assert report.rows == {"agent_runs": 3, "steps": 12, "approvals": 1, "model_calls": 7}


def test_a_changed_value_is_told(ledger: Ledger, tmp_path: Path) -> None:
    """A check names table, row, column and both values."""
    change(tmp_path, "UPDATE agent_runs SET total_cost = '0.00' WHERE run_number = 2")
    report = verb.check(RUNS, [approved()], ledger)
    assert report.differences == (
        Difference(
            table="agent_runs",
            id=row_id(PROJECT, "add-factorial", 2),
            column="total_cost",
            stored="0.00",
            expected="0.05",
        ),
    )
    assert not report.equal


def test_missing_and_extra_rows_are_told(ledger: Ledger) -> None:
    """A row that git tells and the ledger lacks, or the reverse, differs in its id."""
    report = verb.check(RUNS[:2], [approved(), approved(1)], ledger)
    found = {(each.table, each.column, each.stored is None) for each in report.differences}
    assert found == {
        ("approvals", "id", True),
        ("agent_runs", "id", False),
        ("steps", "id", False),
        ("model_calls", "id", False),
    }


def test_catching_up_reads_what_moved(ledger: Ledger) -> None:
    """Only runs whose ref moved since they were projected are read."""
    longer = projected([*FULL_RUN[:1], record("edit", calls=[call("0.07")])], n=2)
    asked: list[str] = []

    def read(ref: str) -> ProjectedRun:
        asked.append(ref)
        return longer

    tips = {each.ref: each.commit for each in (RUN, longer, TENTH)}
    report = verb.catch_up(tips, [approved(), approved(1)], ledger, read=read)
    assert asked == [longer.ref]
    assert report.refs == (longer.ref,)
    assert verb.check([RUN, longer, TENTH], [approved(), approved(1)], ledger).equal


def test_a_ledger_that_is_ahead_of_git_is_taken_back(ledger: Ledger) -> None:
    """Rows of records that git lost, as by a power cut, go with them."""
    shorter = cut(RUN, 2)
    tips = {each.ref: each.commit for each in (shorter, SECOND, TENTH)}
    verb.catch_up(tips, [approved()], ledger, read=lambda _: shorter)
    assert verb.check([shorter, SECOND, TENTH], [approved()], ledger).equal
    assert ledger.projected()[RUN.ref] == shorter.commit


def test_catching_up_keeps_what_is_not_here(ledger: Ledger) -> None:
    """A run that this clone does not know stays in a ledger that others share."""
    verb.catch_up({}, [], ledger, read=lambda _: cut(RUN, 0))
    assert len(every_row(ledger)["agent_runs"]) == 3


def test_costs_are_summed_by_run(ledger: Ledger) -> None:
    """Without a grouping each run is a row, in order of its number."""
    report = cost.report(ledger)
    assert [row.key for row in report.rows] == [
        "add-factorial/1",
        "add-factorial/2",
        "add-factorial/10",
    ]
    assert report.rows[0].usd == Decimal("1.300754")
    assert report.total == CostRow(
        key="total",
        calls=7,
        input_tokens=7 * 812,
        output_tokens=7 * 204,
        usd=Decimal("1.360754"),
        unpriced=1,
        statuses={"computed": 6, "unknown": 1},
    )


def test_P6_costs_by_step(ledger: Ledger) -> None:
    """Each step of a run has what all its attempts cost, in the order of the run."""
    report = cost.report(ledger, plan="add-factorial", run=1, by="step")
    assert [(row.key, row.calls, row.usd, row.unpriced) for row in report.rows] == [
        ("add-factorial/1/read", 2, Decimal("0.100754"), 0),
        ("add-factorial/1/edit", 2, Decimal("0.2"), 1),
        ("add-factorial/1/sum-up", 1, Decimal("1.00"), 0),
    ]


def test_costs_by_model_and_day(ledger: Ledger) -> None:
    """Models and days are listed in the order of their names."""
    assert keys(ledger, "model") == {"small-1": Decimal("1.260754"), "small-2": Decimal("0.1")}
    assert keys(ledger, "day") == {
        "2026-11-22": Decimal("0.360754"),
        "2026-11-23": Decimal("1.00"),
    }


def test_costs_by_project(ledger: Ledger, tmp_path: Path) -> None:
    """By project, all projects of the database are summed; of one plan, this project's only."""
    with open_at(tmp_path, project=OTHER) as other:
        other.put(SECOND.at(OTHER))
    assert keys(ledger, "project") == {PROJECT: Decimal("1.360754"), OTHER: Decimal("0.05")}
    assert keys(ledger, "project", "add-factorial") == {PROJECT: Decimal("1.360754")}
    assert cost.report(ledger).total.usd == Decimal("1.360754")


def test_an_unknown_cost_is_none(tmp_path: Path) -> None:
    """Where no call has a price the sum is unknown; where there is no call it is zero."""
    unpriced = projected([record("read", calls=[call(None)])])
    idle = projected([], name="idle")
    with open_at(tmp_path) as ledger:
        verb.rebuild([unpriced, idle], [], ledger)
        known = cost.report(ledger, plan="add-factorial").total
        assert (known.usd, known.unpriced) == (None, 1)
        nothing = cost.report(ledger, plan="idle")
        assert (nothing.rows, nothing.total.usd) == ((), Decimal(0))


def test_tenths_add_up_exactly(tmp_path: Path) -> None:
    """A thousand tenths are a hundred."""
    calls = [call("0.1") for _ in range(1000)]
    with open_at(tmp_path) as ledger:
        verb.rebuild([projected([record("read", calls=calls)])], [], ledger)
        assert cost.report(ledger).total.usd == Decimal(100)


@pytest.mark.parametrize(
    "plan,run,message",
    [("other", None, "plan other has no run"), ("add-factorial", 7, "no run add-factorial/7")],
)
def test_unknown_runs_are_not_free(
    ledger: Ledger, plan: str, run: int | None, message: str
) -> None:
    """Costs of a plan or run that the ledger does not know are not found, rather than zero."""
    with pytest.raises(NotFound, match=message) as caught:
        cost.report(ledger, plan=plan, run=run)
    assert caught.value.hint == f"planlock log {plan}"


def test_a_run_needs_its_plan(ledger: Ledger) -> None:
    """A run's number alone names nothing."""
    with pytest.raises(UsageError, match="needs its plan"):
        cost.report(ledger, run=1)


def test_money_that_cannot_be_read_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A price that someone wrote into the database as they liked is not summed."""
    change(tmp_path, "UPDATE model_calls SET cost_usd = 'NaN' WHERE run_number = 2")
    with pytest.raises(LedgerError, match="cost_usd") as caught:
        cost.report(ledger)
    assert caught.value.hint == "planlock ledger check"
