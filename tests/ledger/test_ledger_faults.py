"""Attack F03 and its neighbours: the ledger locked, down, lost, damaged, half migrated."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from ledger_samples import (
    FULL_RUN,
    PROJECT,
    approved,
    cut,
    every_row,
    file_of,
    open_at,
    projected,
)
from sqlalchemy import create_engine

import runner
from runner.core.errors import LedgerError
from runner.ledger.migrations import HEAD, REVISIONS
from runner.ledger.migrations.upgrade import config
from runner.ledger.store import set_aside, sqlite_url
from runner.ledger.tables import METADATA, VERSION_TABLE
from runner.verbs import ledger as verb

HERE = Path(__file__).parent
ROOT = Path(runner.__file__).parents[1]
RUN = projected(FULL_RUN)
APPROVALS = [approved(0), approved(1)]

Rows = dict[str, list[dict[str, Any]]]


def start(mode: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "ledger_process.py"), mode, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE.parent / "support")])},
    )


def outcome(mode: str, folder: Path) -> str:
    process = start(mode, folder)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said.strip()


def fill(folder: Path) -> Rows:
    """Make a ledger with a run and approvals, and give its rows."""
    with open_at(folder) as ledger:
        verb.rebuild([RUN], APPROVALS, ledger)
        return every_row(ledger)


def refill(folder: Path) -> Rows:
    """Do what `planlock ledger rebuild` does."""
    set_aside(sqlite_url(file_of(folder)))
    return fill(folder)


def refusal(folder: Path) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        open_at(folder)
    assert str(file_of(folder)) in caught.value.message
    return caught.value


@contextmanager
def sqlite(folder: Path) -> Iterator[sqlite3.Connection]:
    file_of(folder).parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(file_of(folder), isolation_level=None)) as connection:
        yield connection


def damage_header(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"no longer a database, no longer a database")


def damage_pages(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xff" * (size - 4096))


def empty_versions(file: Path) -> None:
    run_sql(file, "DELETE FROM planlock_version")


def drop_versions(file: Path) -> None:
    run_sql(file, "DROP TABLE planlock_version")


def drop_calls(file: Path) -> None:
    run_sql(file, "DROP TABLE model_calls")


def run_sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_F03_locked_waits_and_goes_on(tmp_path: Path) -> None:
    """While another process writes, a put says so and reading works; later the put succeeds."""
    fill(tmp_path)
    with open_at(tmp_path) as ledger, sqlite(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process has locked it") as caught:
            ledger.put(RUN.at(PROJECT))
        assert caught.value.hint == "planlock ledger check"
        assert ledger.projected() == {RUN.ref: RUN.commit}
        other.execute("ROLLBACK")
        ledger.put(RUN.at(PROJECT))


def test_F03_locked_when_opened(tmp_path: Path) -> None:
    """A database that another process holds for itself alone is not waited for without end."""
    with sqlite(tmp_path) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("CREATE TABLE t (x)")
        assert "another process has locked it" in refusal(tmp_path).message


def test_F03_locked_when_migrated(tmp_path: Path) -> None:
    """A new database that another process has begun to write is not migrated beside it."""
    with sqlite(tmp_path) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        assert "another process has locked it" in refusal(tmp_path).message
        other.execute("ROLLBACK")
    fill(tmp_path)


def test_F03_lost_is_caught_up(tmp_path: Path) -> None:
    """A ledger whose file is gone is made anew, and catching up gives equal rows."""
    rows = fill(tmp_path)
    file_of(tmp_path).unlink()
    with open_at(tmp_path) as ledger:
        verb.catch_up({RUN.ref: RUN.commit}, APPROVALS, ledger, read=lambda _: RUN)
        assert every_row(ledger) == rows


@pytest.mark.parametrize("damage", [damage_header, damage_pages])
def test_F03_damaged_is_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A damaged file is refused with the command that helps, kept aside, and rebuilt equal."""
    rows = fill(tmp_path)
    damage(file_of(tmp_path))
    with pytest.raises(LedgerError, match="damaged") as caught, open_at(tmp_path) as ledger:
        every_row(ledger)
    assert caught.value.hint == "planlock ledger rebuild"
    assert refill(tmp_path) == rows
    assert file_of(tmp_path).with_name("ledger.sqlite.broken-1").exists()


@pytest.mark.parametrize("damage", [empty_versions, drop_versions, drop_calls])
def test_F03_half_migrated_is_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A database whose tables and version disagree is refused, and rebuilt equal."""
    rows = fill(tmp_path)
    damage(file_of(tmp_path))
    error = refusal(tmp_path)
    assert "half migrated or lacks tables" in error.message
    assert error.hint == "planlock ledger rebuild"
    assert refill(tmp_path) == rows


def test_every_broken_file_is_kept(tmp_path: Path) -> None:
    """Setting aside twice keeps both files, and leaves a sound one alone."""
    for _ in range(2):
        fill(tmp_path)
        damage_header(file_of(tmp_path))
        set_aside(sqlite_url(file_of(tmp_path)))
    fill(tmp_path)
    assert set_aside(sqlite_url(file_of(tmp_path))) is None
    names = sorted(path.name for path in file_of(tmp_path).parent.iterdir())
    assert names == ["ledger.sqlite", "ledger.sqlite.broken-1", "ledger.sqlite.broken-2"]


def test_a_log_moves_with_its_database(tmp_path: Path) -> None:
    """The write-ahead log of a broken file is never replayed into the new one."""
    fill(tmp_path)
    file = file_of(tmp_path)
    damage_header(file)
    log = file.with_name(f"{file.name}-wal")
    log.write_bytes(b"left by a crash")
    assert set_aside(sqlite_url(file)) == file.with_name(f"{file.name}.broken-1")
    assert not log.exists()


@pytest.mark.parametrize("url", ["postgresql://localhost/planlock", "sqlite:////nonexistent/x"])
def test_only_files_are_set_aside(url: str) -> None:
    """For a server, or where there is no file, nothing is moved."""
    assert set_aside(url) is None


def test_what_cannot_be_checked_is_not_moved(tmp_path: Path) -> None:
    """A file that another process holds is refused, not set aside."""
    with sqlite(tmp_path) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("CREATE TABLE agent_runs (id)")
        with pytest.raises(LedgerError, match="checking the ledger"):
            set_aside(sqlite_url(file_of(tmp_path)), busy_timeout_s=0.1)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """What a newer planlock wrote is neither used nor set aside."""
    fill(tmp_path)
    run_sql(file_of(tmp_path), "UPDATE planlock_version SET version_num = '9999'")
    error = refusal(tmp_path)
    assert "a newer planlock has written it" in error.message
    assert error.hint == "pip install --upgrade planlock"
    assert set_aside(sqlite_url(file_of(tmp_path))) is None


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    """A database of another program is refused and gets no table of ours."""
    with sqlite(tmp_path) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    assert "belongs to another program" in refusal(tmp_path).message
    assert set_aside(sqlite_url(file_of(tmp_path))) is None
    with sqlite(tmp_path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where the ledger's folder cannot be made the cause is told, with a way out."""
    (tmp_path / "planlock").write_text("a file, not a folder")
    error = refusal(tmp_path)
    assert "File exists" in error.message
    assert error.hint.startswith("git config planlock.ledgerUrl")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A folder in the database's place cannot be opened."""
    file_of(tmp_path).mkdir(parents=True)
    assert "cannot be opened" in refusal(tmp_path).message


def test_F02_a_full_disk_leaves_the_rows(tmp_path: Path) -> None:
    """A put that finds no room says so and changes nothing."""
    rows = fill(tmp_path)
    assert "the disk refused" in outcome("put_too_much", tmp_path)
    with open_at(tmp_path) as ledger:
        assert every_row(ledger) == rows


def test_F01_killed_while_opening(tmp_path: Path) -> None:
    """Killed at any statement of its first opening, a ledger opens and takes rows."""
    points = int(outcome("kill_opening", tmp_path))
    assert points > len(METADATA.tables)
    for point in range(points):
        fill(tmp_path / str(point))


def test_F01_killed_while_putting(tmp_path: Path) -> None:
    """Killed at any statement of a put, the rows are those of the commit that the ledger names."""
    points = int(outcome("kill_putting", tmp_path))
    assert points > 5
    for point in range(points):
        with open_at(tmp_path / str(point)) as ledger:
            commit = ledger.projected()[RUN.ref]
            standing = [each for each in (cut(RUN, 2), RUN) if each.commit == commit]
            assert len(standing) == 1
            assert verb.check(standing, [], ledger).equal


def test_openers_at_once_all_succeed(tmp_path: Path) -> None:
    """Processes that open a missing ledger at the same moment all put their rows."""
    processes = [start("put_when_told", tmp_path) for _ in range(4)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for number, process in enumerate(processes, start=1):
        assert process.stdin
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with open_at(tmp_path) as ledger:
        runs = [projected(FULL_RUN, n=number) for number in range(1, 5)]
        assert verb.check(runs, [], ledger).equal


def test_alembic_is_imported_for_migrations_only(tmp_path: Path) -> None:
    """Opening a database that is up to date does not pay for importing Alembic."""
    fill(tmp_path)
    assert outcome("list_modules", tmp_path) == ""


def test_tables_equal_all_migrations(tmp_path: Path) -> None:
    """A migrated database has exactly the tables that the code declares."""
    fill(tmp_path)
    engine = create_engine(sqlite_url(file_of(tmp_path)))
    with closing(engine.connect()) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": VERSION_TABLE}
        )
        assert compare_metadata(context, METADATA) == []
        scripts = ScriptDirectory.from_config(config(connection))
        assert [each.revision for each in scripts.walk_revisions()] == list(reversed(REVISIONS))
        assert scripts.get_heads() == [HEAD]
    engine.dispose()
