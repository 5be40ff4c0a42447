from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import (
    FULL_RUN,
    OTHER,
    PROJECT,
    STEPS,
    approved,
    call,
    cut,
    empty,
    every_row,
    file_of,
    open_at,
    output,
    projected,
    record,
)

from runner.core.values import USD
from runner.ledger.projection import ProjectedRun
from runner.ledger.store import Ledger
from runner.ledger.tables import REBUILDABLE

LOG = "BEGIN INSERT INTO written VALUES (NEW.step_id); END"

Event = dict[str, Any]

calls = st.builds(
    call,
    st.none() | st.from_regex(USD.replace("$", r"\Z"), fullmatch=True),
    input_tokens=st.integers(0, 2**53 - 1),
    model=st.sampled_from(["small-1", "large-1"]),
)
events: st.SearchStrategy[Event] = st.builds(
    record,
    st.sampled_from(STEPS),
    st.sampled_from(["completed", "failed", "interrupted", "skipped"]),
    kind=st.sampled_from(["step", "skip"]),
    attempt=st.integers(1, 2**53 - 1),
    calls=st.lists(calls, max_size=3),
    output=st.none() | st.builds(output, st.text(max_size=30)),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_at(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Ledger]]:
    """One database, opened twice."""
    folder = tmp_path_factory.mktemp("two")
    with open_at(folder) as first, open_at(folder) as second:
        yield first, second


def put(ledger: Ledger, run: ProjectedRun) -> None:
    ledger.put(run.at(ledger.project))


def expected(*runs: ProjectedRun) -> dict[str, list[dict[str, Any]]]:
    tables = [run.rows(PROJECT).tables() for run in runs]
    return {
        table.name: sorted(
            (dict(row) for each in tables for row in each.get(table.name, ())),
            key=lambda row: str(row["id"]),
        )
        for table in REBUILDABLE
    }


@settings(max_examples=30, deadline=None)
@given(
    records=st.lists(events, max_size=6),
    ended=st.booleans(),
    planned=st.lists(st.integers(1, len(STEPS)), min_size=8, max_size=8),
    writers=st.lists(st.integers(0, 1), min_size=8, max_size=8),
)
def test_P5_record_by_record_equals_all_at_once(
    two: tuple[Ledger, Ledger],
    records: list[Event],
    *,
    ended: bool,
    planned: list[int],
    writers: list[int],
) -> None:
    """Rows put after each record, by either of two processes, are those of the whole run."""
    records = [*records, record(None)] if ended else records
    empty(two[0])
    for length in range(len(records) + 1):
        run = projected(records[:length], steps=STEPS[: planned[length]])
        put(two[writers[length]], run)
    assert every_row(two[0]) == expected(run)
    assert two[1].projected() == {run.ref: run.commit}


@settings(max_examples=30, deadline=None)
@given(
    records=st.lists(events, max_size=6),
    ended=st.booleans(),
    writers=st.lists(st.integers(0, 1), min_size=8, max_size=8),
)
def test_P5_the_newest_rows_take_a_run_on(
    two: tuple[Ledger, Ledger], records: list[Event], *, ended: bool, writers: list[int]
) -> None:
    """What one record changed, added to what stood before it, are the rows of the whole run."""
    records = [*records, record(None)] if ended else records
    empty(two[0])
    before = projected([])
    put(two[0], before)
    for length, writer in zip(range(1, len(records) + 1), writers, strict=False):
        run = projected(records[:length])
        newest = run.newest(PROJECT)
        assert newest
        assert two[writer].add(newest, before=before.commit)
        before = run
    assert every_row(two[0]) == expected(before)
    assert two[1].projected() == {before.ref: before.commit}


@pytest.mark.parametrize("gone", ["DELETE FROM agent_runs", "DELETE FROM steps"])
def test_newest_rows_alone_are_not_added_where_others_lack(tmp_path: Path, gone: str) -> None:
    """Elsewhere than at the commit before, or without the rows to bring on, nothing is written."""
    before, run = cut(projected(FULL_RUN), 4), cut(projected(FULL_RUN), 5)
    newest = run.newest(PROJECT)
    assert newest
    with open_at(tmp_path) as ledger:
        assert not ledger.add(newest, before=before.commit)
        put(ledger, before)
        assert not ledger.add(newest, before="d" * 40)
        with closing(sqlite3.connect(file_of(tmp_path))) as other, other:
            other.execute(gone)
        rows = every_row(ledger)
        assert not ledger.add(newest, before=before.commit)
        assert (every_row(ledger), ledger.projected()) == (rows, {before.ref: before.commit})


@pytest.mark.parametrize("kind", ["amendment", "rollback"])
def test_a_record_that_may_change_any_row_has_no_newest_ones(kind: str) -> None:
    """After an amended plan, a rollback or no record at all, the whole run is put."""
    rollback = {"step": "read", "number": 1, "commit": "d" * 40, "steps": []}
    told: dict[str, Any] = {"rollback": rollback} if kind == "rollback" else {}
    assert projected([record(None, kind=kind, **told)]).newest(PROJECT) is None
    assert projected([record("read")], steps=["edit"]).newest(PROJECT) is None
    assert projected([]).newest(PROJECT) is None


def test_only_what_git_cannot_bring_back_waits_for_the_disk(ledger: Ledger) -> None:
    """Transactions that a rebuild repeats are not synced by themselves, all others are."""
    for rebuildable, level in ((True, 1), (False, 2), (True, 1)):
        with ledger.writing("trying", rebuildable=rebuildable) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level


def test_putting_twice_changes_nothing(ledger: Ledger) -> None:
    """The same rows at the same commit, put again, are there once."""
    run = projected(FULL_RUN)
    put(ledger, run)
    put(ledger, run)
    assert every_row(ledger) == expected(run)


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    """A further record rewrites the rows of the run and of its step, no other."""
    with open_at(tmp_path) as ledger:
        put(ledger, cut(projected(FULL_RUN), 4))
    with closing(sqlite3.connect(file_of(tmp_path))) as other:
        other.execute("CREATE TABLE written (id TEXT)")
        for write in ("INSERT ON steps", "UPDATE ON steps", "INSERT ON model_calls"):
            other.execute(f"CREATE TRIGGER '{write}' AFTER {write} {LOG}")
        with open_at(tmp_path) as ledger:
            put(ledger, cut(projected(FULL_RUN), 5))
        assert other.execute("SELECT id FROM written").fetchall() == [("sum-up",)] * 2


def test_rows_that_someone_changed_are_put_right(tmp_path: Path) -> None:
    """A ledger that is opened anew trusts what stands in the database, not what it once put."""
    run = projected(FULL_RUN)
    with open_at(tmp_path) as ledger:
        put(ledger, run)
    with closing(sqlite3.connect(file_of(tmp_path))) as other, other:
        other.execute("UPDATE steps SET status = 'pending'")
        other.execute("DELETE FROM model_calls")
    with open_at(tmp_path) as ledger:
        put(ledger, run)
        assert every_row(ledger) == expected(run)


def test_runs_stand_side_by_side(ledger: Ledger) -> None:
    """Runs of one plan and of others keep their rows apart."""
    runs = (projected(FULL_RUN), projected(FULL_RUN, n=2), projected(FULL_RUN, name="other"))
    for each in runs:
        put(ledger, each)
    assert every_row(ledger) == expected(*runs)
    assert ledger.projected() == {each.ref: each.commit for each in runs}


def test_forgetting_leaves_nothing(ledger: Ledger) -> None:
    """After forgetting there are no rows, and the same run can be put again."""
    run = projected(FULL_RUN)
    put(ledger, run)
    ledger.put_approvals([approved()])
    empty(ledger)
    assert every_row(ledger) == expected()
    assert ledger.projected() == {}
    put(ledger, run)
    assert every_row(ledger) == expected(run)


def test_projects_share_a_database(tmp_path: Path) -> None:
    """What one project reads, puts and forgets leaves the rows of another alone."""
    run = projected(FULL_RUN)
    with open_at(tmp_path) as mine, open_at(tmp_path, project=OTHER) as theirs:
        put(mine, run)
        put(theirs, cut(run, 2))
        empty(mine)
        assert theirs.projected() == {run.ref: cut(run, 2).commit}
        assert len(every_row(theirs)["agent_runs"]) == 1
        assert every_row(mine) == expected()


def test_rows_of_another_project_are_a_bug(ledger: Ledger) -> None:
    """A ledger takes only the rows of the project that it was opened for."""
    run = projected(FULL_RUN)
    with pytest.raises(ValueError, match="rows of project"):
        ledger.put(run.at(OTHER))


def test_approvals_are_added_and_brought_up_to_date(ledger: Ledger) -> None:
    """An approval found twice is one row, and a row follows what its signature is found to be."""
    ledger.put_approvals([approved(0, signer=None), approved(1), approved(1)])
    ledger.put_approvals([approved(0)])
    found = {row["record_id"][-1]: row["genuine"] for row in every_row(ledger)["approvals"]}
    assert found == {"0": True, "1": True}


def test_a_run_can_be_asked_for(ledger: Ledger) -> None:
    """Whether there is a plan's run, or a given one, is known without reading it."""
    put(ledger, projected(FULL_RUN))
    assert ledger.has_run("add-factorial")
    assert ledger.has_run("add-factorial", 1)
    assert not ledger.has_run("add-factorial", 2)
    assert not ledger.has_run("other")
