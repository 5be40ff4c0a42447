"""A ledger of an older planlock: brought up to date, and filled again from git."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from ledger_samples import (
    FULL_RUN,
    PROJECT,
    approved,
    every_row,
    file_of,
    open_at,
    projected,
)
from sqlalchemy import create_engine

from runner.ledger.migrations.upgrade import config
from runner.ledger.store import sqlite_url
from runner.verbs import ledger as verb

RUN = projected(FULL_RUN)
CALL_OF_0001 = """
INSERT INTO model_calls VALUES ('c1', ?, ?, 'add-factorial', 1, 'read', 1, 1, 1, '2026-11-22',
'ok', 'calls/001-1.yaml', 'openai', 'small-1', 812, 204, '0.000754', 'computed')
"""


def make_0001(folder: Path) -> None:
    """A ledger as the first version left it, with one run and one call."""
    file_of(folder).parent.mkdir()
    engine = create_engine(sqlite_url(file_of(folder)))
    with engine.connect() as connection, connection.begin():
        command.upgrade(config(connection), "0001")
    engine.dispose()
    rows = RUN.rows(PROJECT)
    with closing(sqlite3.connect(file_of(folder))) as old, old:
        names = ", ".join(rows.run)
        marks = ", ".join("?" * len(rows.run))
        old.execute(f"INSERT INTO agent_runs ({names}) VALUES ({marks})", list(rows.run.values()))  # noqa: S608  # names of our own columns
        old.execute(CALL_OF_0001, (PROJECT, rows.run_id))
        old.execute("INSERT INTO projected_refs VALUES (?, ?, ?)", (PROJECT, RUN.ref, RUN.commit))


def test_P5_an_older_ledger_is_filled_again_from_git(tmp_path: Path) -> None:
    """After the migration catching up reads every run anew, and all rows equal git's."""
    make_0001(tmp_path)
    tips = {RUN.ref: RUN.commit}
    with open_at(tmp_path) as ledger:
        assert ledger.projected() == {}
        assert len(every_row(ledger)["agent_runs"]) == 1
        done = verb.catch_up(tips, [approved()], ledger, read=lambda _: RUN)
        assert done.refs == (RUN.ref,)
        assert verb.check([RUN], [approved()], ledger).equal
