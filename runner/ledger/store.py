"""The ledger: rows in a database, kept equal to what git holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, delete, insert, select
from sqlalchemy import update as update_of

from runner.ledger import database
from runner.ledger.database import BUSY_TIMEOUT_S, explained, set_aside, sqlite_url
from runner.ledger.projection import Row, Rows
from runner.ledger.tables import (
    REBUILDABLE,
    RUN_TABLES,
    agent_runs,
    approvals,
    model_calls,
    projected_refs,
    reservations,
)

__all__ = ["Ledger", "set_aside", "sqlite_url"]


class Ledger:
    """The rows of one project (the policy's `repository`) in the database at a URL.

    Opening makes the database and migrates it where needed. Every method raises LedgerError.
    """

    def __init__(self, url: str, *, project: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        parsed = database.parse(url)
        self.project = project
        self.place = database.place_of(parsed)
        # A commit's rows never change, so a ref still at the commit has the rows put for it.
        self._seen: dict[str, tuple[str, Rows]] = {}
        with explained("opening", self.place):
            self._engine = database.open_engine(parsed, busy_timeout_s=busy_timeout_s)

    def put(self, rows: Rows, *, ref: str, commit: str) -> None:
        """Make the run's rows these, and remember that `ref` was projected up to `commit`."""
        if rows.project != self.project:
            raise ValueError(f"rows of project {rows.project} in the ledger of {self.project}")
        with self.writing(f"recording {ref} in") as connection:
            before, after = self._before(connection, rows, ref), rows.tables()
            for table in RUN_TABLES:
                _replace(connection, table, before[table.name], after[table.name])
            _release(connection, before["model_calls"], after["model_calls"])
            self._mark(connection, ref, commit)
        self._seen[ref] = (commit, rows)

    def put_approvals(self, rows: Iterable[Row]) -> None:
        """Add approvals, or bring those that are known up to date; none is removed."""
        given = {row["id"]: row for row in rows}
        with self.writing("recording approvals in") as connection:
            known = _select(connection, approvals, approvals.c.project == self.project)
            before = [row for row in known if row["id"] in given]
            _replace(connection, approvals, before, list(given.values()))

    def projected(self) -> dict[str, str]:
        """The commit up to which each ref was projected."""
        with self.reading() as connection:
            found = _select(connection, projected_refs, projected_refs.c.project == self.project)
        return {row["ref"]: row["commit_id"] for row in found}

    def forget(self) -> None:
        """Drop all that a rebuild brings back."""
        with self.writing("emptying") as connection:
            for table in (projected_refs, *reversed(REBUILDABLE)):
                connection.execute(delete(table).where(table.c.project == self.project))
        self._seen.clear()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of the rebuildable tables, by table, in the order of their ids."""
        with self.reading() as connection:
            return {
                table.name: _select(
                    connection, table, table.c.project == self.project, order=(table.c.id,)
                )
                for table in REBUILDABLE
            }

    def has_run(self, plan: str, run: int | None = None) -> bool:
        """Whether there is this run, or any run of the plan."""
        wanted = [agent_runs.c.project == self.project, agent_runs.c.plan == plan]
        wanted += [] if run is None else [agent_runs.c.run_number == run]
        with self.reading() as connection:
            return connection.scalar(select(agent_runs.c.id).where(*wanted).limit(1)) is not None

    def calls(
        self, *, plan: str | None = None, run: int | None = None, all_projects: bool = False
    ) -> list[dict[str, Any]]:
        """Model calls, run by run, in the order in which they were made."""
        columns = model_calls.c
        wanted = [] if all_projects else [columns.project == self.project]
        wanted += [] if plan is None else [columns.plan == plan]
        wanted += [] if run is None else [columns.run_number == run]
        order = (
            columns.project,
            columns.plan,
            columns.run_number,
            columns.record_number,
            columns.call_number,
        )
        with self.reading() as connection:
            return _select(connection, model_calls, *wanted, order=order)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _before(self, connection: Connection, rows: Rows, ref: str) -> Mapping[str, Sequence[Row]]:
        commit, seen = self._seen.get(ref, ("", None))
        stands = select(projected_refs.c.commit_id).filter_by(project=self.project, ref=ref)
        at = connection.scalar(stands.with_for_update())
        if seen and seen.run_id == rows.run_id and at == commit:
            return seen.tables()
        return {
            table.name: _select(connection, table, _run_column(table) == rows.run_id)
            for table in RUN_TABLES
        }

    def _mark(self, connection: Connection, ref: str, commit: str) -> None:
        key = {"project": self.project, "ref": ref}
        moved = update_of(projected_refs).filter_by(**key).values(commit_id=commit)
        if connection.execute(moved).rowcount == 0:
            connection.execute(insert(projected_refs).values(**key, commit_id=commit))

    @contextmanager
    def writing(self, activity: str) -> Iterator[Connection]:
        """One transaction with the write lock; raises LedgerError."""
        with explained(activity, self.place), database.writing(self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with explained("reading", self.place), self._engine.connect() as connection:
            yield connection


def _run_column(table: Table) -> Column[Any]:
    return table.c.id if table is agent_runs else table.c.run_id


def _select(
    connection: Connection,
    table: Table,
    *wanted: ColumnElement[bool],
    order: Sequence[Column[Any]] = (),
) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(*wanted).order_by(*order))
    return [dict(row) for row in found.mappings()]


def _replace(
    connection: Connection, table: Table, before: Sequence[Row], after: Sequence[Row]
) -> None:
    """Write the differences only."""
    old = {row["id"]: row for row in before}
    new = {row["id"]: row for row in after}
    same_id = table.c.id == bindparam("row_id")
    gone = [{"row_id": key} for key in old.keys() - new.keys()]
    added = [dict(row) for key, row in new.items() if key not in old]
    changed = [{**row, "row_id": key} for key, row in new.items() if key in old and old[key] != row]
    if gone:
        connection.execute(delete(table).where(same_id), gone)
    if changed:
        connection.execute(update_of(table).where(same_id), changed)
    if added:
        connection.execute(insert(table), added)


def _release(connection: Connection, before: Sequence[Row], after: Sequence[Row]) -> None:
    """Let go of the reservations whose calls are recorded now."""
    fresh = {row["reservation"] for row in after} - {row["reservation"] for row in before} - {""}
    if fresh:
        same_id = reservations.c.id == bindparam("row_id")
        connection.execute(
            delete(reservations).where(same_id), [{"row_id": each} for each in fresh]
        )
