"""The ledger: rows in a database, kept equal to what git holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, func, select

from runner.ledger import database, statements
from runner.ledger.database import BUSY_TIMEOUT_S, explained, set_aside, sqlite_url
from runner.ledger.projection import Projection, Row
from runner.ledger.tables import (
    REBUILDABLE,
    RUN_TABLES,
    agent_runs,
    approvals,
    model_calls,
    projected_refs,
)

__all__ = ["Contents", "Ledger", "set_aside", "sqlite_url"]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What there is of a project: ids of runs and approvals, and the refs that were projected."""

    runs: frozenset[str]
    approvals: frozenset[str]
    refs: frozenset[str]

    def without(
        self, *, runs: Collection[str], approvals: Collection[str], refs: Collection[str]
    ) -> Contents:
        return Contents(
            runs=self.runs.difference(runs),
            approvals=self.approvals.difference(approvals),
            refs=self.refs.difference(refs),
        )


class Ledger:
    """The rows of one project (the policy's `repository`) in the database at a URL.

    Opening makes the database and migrates it where needed. Every method raises LedgerError.
    """

    def __init__(self, url: str, *, project: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        parsed = database.parse(url)
        self.project = project
        self.place = database.place_of(parsed)
        with explained("opening", self.place):
            self._engine = database.open_engine(parsed, busy_timeout_s=busy_timeout_s)

    def put(self, run: Projection) -> None:
        """Make the run's rows these, and remember that its ref was projected up to its commit."""
        self._check_project(run)
        with self.writing(f"recording {run.ref} in", rebuildable=True) as connection:
            before = statements.rows_of_run(connection, run.rows.run_id)
            after = run.rows.tables()
            for table in RUN_TABLES:
                statements.exchange(connection, table, before[table.name], after[table.name])
            statements.release(connection, after["model_calls"], known=before["model_calls"])
            statements.mark(connection, self.project, run)

    def add(self, newest: Projection, *, before: str) -> bool:
        """Take a run on from the commit `before` by the rows that changed since.

        False, with nothing written, where the ledger does not have the run as it was there.
        """
        self._check_project(newest)
        with self.writing(f"recording {newest.ref} in", rebuildable=True) as connection:
            if not (
                statements.move(connection, self.project, newest, before=before)
                and statements.update(connection, newest.rows)
            ):
                connection.rollback()
                return False
            statements.add_calls(connection, newest.rows.calls)
        return True

    def replace(self, runs: Sequence[Projection]) -> None:
        """Drop what there is of some runs and write all their rows, in one transaction."""
        for each in runs:
            self._check_project(each)
        tables = [each.rows.tables() for each in runs]
        with self.writing("rebuilding", rebuildable=True) as connection:
            statements.drop_runs(connection, [each.rows.run_id for each in runs])
            for table in RUN_TABLES:
                rows = (row for each in tables for row in each[table.name])
                statements.add(connection, table, rows)
            statements.release(connection, (row for each in runs for row in each.rows.calls))
            for each in runs:
                statements.mark(connection, self.project, each)

    def put_approvals(self, rows: Iterable[Row]) -> None:
        """Add approvals, or bring those that are known up to date; none is removed."""
        given = {row["id"]: row for row in rows}
        with self.writing("recording approvals in", rebuildable=True) as connection:
            known = statements.rows_where(
                connection, approvals, approvals.c.project == self.project
            )
            before = [row for row in known if row["id"] in given]
            statements.exchange(connection, approvals, before, list(given.values()))

    def drop(self, gone: Contents) -> None:
        """Remove what git does not tell."""
        with self.writing("emptying", rebuildable=True) as connection:
            statements.drop_runs(connection, sorted(gone.runs))
            statements.drop_approvals(connection, gone.approvals)
            statements.unmark(connection, self.project, gone.refs)

    def contents(self) -> Contents:
        with self.reading() as connection:
            found = [
                frozenset(connection.scalars(select(column).where(project == self.project)))
                for column, project in (
                    (agent_runs.c.id, agent_runs.c.project),
                    (approvals.c.id, approvals.c.project),
                    (projected_refs.c.ref, projected_refs.c.project),
                )
            ]
        return Contents(runs=found[0], approvals=found[1], refs=found[2])

    def projected(self) -> dict[str, str]:
        """The commit up to which each ref was projected."""
        with self.reading() as connection:
            found = statements.rows_where(
                connection, projected_refs, projected_refs.c.project == self.project
            )
        return {row["ref"]: row["commit_id"] for row in found}

    def counts(self) -> dict[str, int]:
        """How many rows there are, by table."""
        with self.reading() as connection:
            return {
                table.name: connection.scalar(
                    select(func.count()).select_from(table).where(table.c.project == self.project)
                )
                or 0
                for table in REBUILDABLE
            }

    def run_rows(self, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """The rows of one run, by table."""
        with self.reading() as connection:
            return statements.rows_of_run(connection, run_id)

    def approval_rows(self) -> list[dict[str, Any]]:
        with self.reading() as connection:
            return statements.rows_where(connection, approvals, approvals.c.project == self.project)

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
            return statements.rows_where(connection, model_calls, *wanted, order=order)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_project(self, run: Projection) -> None:
        if run.rows.project != self.project:
            raise ValueError(f"rows of project {run.rows.project} in the ledger of {self.project}")

    @contextmanager
    def writing(self, activity: str, *, rebuildable: bool = False) -> Iterator[Connection]:
        """One transaction with the write lock; what is `rebuildable` may be lost in a power cut."""
        with (
            explained(activity, self.place),
            database.writing(self._engine, rebuildable=rebuildable) as connection,
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with explained("reading", self.place), self._engine.connect() as connection:
            yield connection
