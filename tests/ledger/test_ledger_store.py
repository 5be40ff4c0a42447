from __future__ import annotations

import sqlite3
import stat
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
    file_of,
    open_at,
    output,
    projected,
    record,
)

from runner.core.errors import LedgerError
from runner.core.values import USD
from runner.ledger.projection import ProjectedRun
from runner.ledger.store import Ledger, sqlite_url
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
    ledger.put(run.rows(ledger.project), ref=run.ref, commit=run.commit)


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
    two[0].forget()
    for length in range(len(records) + 1):
        run = projected(records[:length], steps=STEPS[: planned[length]])
        put(two[writers[length]], run)
    assert two[0].rows() == expected(run)
    assert two[1].projected() == {run.ref: run.commit}


def test_putting_twice_changes_nothing(ledger: Ledger) -> None:
    """The same rows at the same commit, put again, are there once."""
    run = projected(FULL_RUN)
    put(ledger, run)
    put(ledger, run)
    assert ledger.rows() == expected(run)


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
        assert ledger.rows() == expected(run)


def test_runs_stand_side_by_side(ledger: Ledger) -> None:
    """Runs of one plan and of others keep their rows apart."""
    runs = (projected(FULL_RUN), projected(FULL_RUN, n=2), projected(FULL_RUN, name="other"))
    for each in runs:
        put(ledger, each)
    assert ledger.rows() == expected(*runs)
    assert ledger.projected() == {each.ref: each.commit for each in runs}


def test_forgetting_leaves_nothing(ledger: Ledger) -> None:
    """After forgetting there are no rows, and the same run can be put again."""
    run = projected(FULL_RUN)
    put(ledger, run)
    ledger.put_approvals([approved()])
    ledger.forget()
    assert ledger.rows() == expected()
    assert ledger.projected() == {}
    put(ledger, run)
    assert ledger.rows() == expected(run)


def test_projects_share_a_database(tmp_path: Path) -> None:
    """What one project reads, puts and forgets leaves the rows of another alone."""
    run = projected(FULL_RUN)
    with open_at(tmp_path) as mine, open_at(tmp_path, project=OTHER) as theirs:
        put(mine, run)
        put(theirs, cut(run, 2))
        mine.forget()
        assert theirs.projected() == {run.ref: cut(run, 2).commit}
        assert len(theirs.rows()["agent_runs"]) == 1
        assert mine.rows() == expected()


def test_rows_of_another_project_are_a_bug(ledger: Ledger) -> None:
    """A ledger takes only the rows of the project that it was opened for."""
    run = projected(FULL_RUN)
    with pytest.raises(ValueError, match="rows of project"):
        ledger.put(run.rows(OTHER), ref=run.ref, commit=run.commit)


def test_approvals_are_added_and_brought_up_to_date(ledger: Ledger) -> None:
    """An approval found twice is one row, and a row follows what its signature is found to be."""
    ledger.put_approvals([approved(0, signer=None), approved(1), approved(1)])
    ledger.put_approvals([approved(0)])
    found = {row["record_id"][-1]: row["genuine"] for row in ledger.rows()["approvals"]}
    assert found == {"0": True, "1": True}


def test_a_run_can_be_asked_for(ledger: Ledger) -> None:
    """Whether there is a plan's run, or a given one, is known without reading it."""
    put(ledger, projected(FULL_RUN))
    assert ledger.has_run("add-factorial")
    assert ledger.has_run("add-factorial", 1)
    assert not ledger.has_run("add-factorial", 2)
    assert not ledger.has_run("other")


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """The folder and the files of a new ledger are closed to other users."""
    with open_at(tmp_path) as ledger:
        put(ledger, projected(FULL_RUN))
        made = [file_of(tmp_path).parent, *file_of(tmp_path).parent.iterdir()]
        assert len(made) > 2
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {0}


def test_the_database_is_durable(tmp_path: Path) -> None:
    """SQLite keeps a write-ahead log."""
    with open_at(tmp_path) as ledger:
        put(ledger, projected(FULL_RUN))
        with closing(sqlite3.connect(file_of(tmp_path))) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "a#b", "ä", "%20"])
def test_paths_survive_being_a_url(tmp_path: Path, name: str) -> None:
    """A file's URL names that file whatever characters its folders have."""
    with open_at(tmp_path / name):
        assert file_of(tmp_path / name).is_file()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "nonsense", "foo://x/y"]
)
def test_a_url_that_keeps_nothing_is_refused(url: str) -> None:
    """Databases in memory, options and URLs that cannot be read are refused with a hint."""
    with pytest.raises(LedgerError, match="opening the ledger") as caught:
        Ledger(url, project=PROJECT)
    assert caught.value.hint


def test_a_missing_driver_is_named() -> None:
    """Without its driver a server cannot be used; the message hides the password."""
    url = "mssql+pymssql://ada:secret@localhost/planlock"
    with pytest.raises(LedgerError, match=r"pymssql") as caught:
        Ledger(url, project=PROJECT)
    assert caught.value.hint == "pip install pymssql"
    assert "secret" not in caught.value.message


def test_a_url_round_trips(tmp_path: Path) -> None:
    """The ledger names its place as the path of its file."""
    with open_at(tmp_path) as ledger:
        assert ledger.place == str(file_of(tmp_path))
        assert sqlite_url(file_of(tmp_path)).startswith("sqlite:///")
