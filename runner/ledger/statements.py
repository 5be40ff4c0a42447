"""What is said to the database within a transaction of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, delete, insert, select
from sqlalchemy import update as update_of

from runner.ledger.projection import Projection, Row, Rows
from runner.ledger.tables import (
    RUN_TABLES,
    agent_runs,
    approvals,
    model_calls,
    projected_refs,
    reservations,
    steps,
)

# Made once: what a run says after every step need not be compiled again.
_MOVE = update_of(projected_refs).where(
    projected_refs.c.project == bindparam("of_project"),
    projected_refs.c.ref == bindparam("of_ref"),
    projected_refs.c.commit_id == bindparam("of_commit"),
)
_UPDATE = {table: update_of(table).where(table.c.id == bindparam("row_id")) for table in RUN_TABLES}


def run_column(table: Table) -> Column[Any]:
    return table.c.id if table is agent_runs else table.c.run_id


def rows_where(
    connection: Connection,
    table: Table,
    *wanted: ColumnElement[bool],
    order: Sequence[Column[Any]] = (),
) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(*wanted).order_by(*order))
    return [dict(row) for row in found.mappings()]


def rows_of_run(connection: Connection, run_id: str) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: rows_where(connection, table, run_column(table) == run_id)
        for table in RUN_TABLES
    }


def exchange(
    connection: Connection, table: Table, before: Sequence[Row], after: Sequence[Row]
) -> None:
    """Write the differences only."""
    old = {row["id"]: row for row in before}
    new = {row["id"]: row for row in after}
    changed = [row for key, row in new.items() if key in old and old[key] != row]
    drop(connection, table.c.id, [str(key) for key in old.keys() - new.keys()])
    if changed:
        same_id = update_of(table).where(table.c.id == bindparam("row_id"))
        connection.execute(same_id, [{**row, "row_id": row["id"]} for row in changed])
    add(connection, table, [row for key, row in new.items() if key not in old])


def add(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    given = [dict(row) for row in rows]
    if given:
        connection.execute(insert(table), given)


def update(connection: Connection, rows: Rows) -> bool:
    """Overwrite the rows of a run and its steps; False where one is not there."""
    given = [(agent_runs, rows.run), *((steps, row) for row in rows.steps)]
    return all(
        connection.execute(_UPDATE[table], {**row, "row_id": row["id"]}).rowcount == 1
        for table, row in given
    )


def drop(connection: Connection, column: Column[Any], values: Iterable[str]) -> None:
    """Delete the rows whose column has one of the values."""
    gone = [{"gone": each} for each in values]
    if gone:
        connection.execute(delete(column.table).where(column == bindparam("gone")), gone)


def drop_runs(connection: Connection, run_ids: Sequence[str]) -> None:
    for table in reversed(RUN_TABLES):
        drop(connection, run_column(table), run_ids)


def drop_approvals(connection: Connection, ids: Iterable[str]) -> None:
    drop(connection, approvals.c.id, ids)


def release(connection: Connection, calls: Iterable[Row], known: Iterable[Row] = ()) -> None:
    """Let go of the reservations whose calls are recorded now."""
    settled = {row["reservation"] for row in calls} - {row["reservation"] for row in known}
    drop(connection, reservations.c.id, [str(each) for each in settled if each])


def mark(connection: Connection, project: str, run: Projection) -> None:
    """Remember the commit up to which a ref was projected."""
    key = {"project": project, "ref": run.ref}
    moved = update_of(projected_refs).filter_by(**key).values(commit_id=run.commit)
    if connection.execute(moved).rowcount == 0:
        connection.execute(insert(projected_refs).values(**key, commit_id=run.commit))


def move(connection: Connection, project: str, run: Projection, *, before: str) -> bool:
    """Move the mark of a ref on from a commit; False where it stands elsewhere."""
    told = {"of_project": project, "of_ref": run.ref, "of_commit": before}
    return connection.execute(_MOVE, {**told, "commit_id": run.commit}).rowcount == 1


def unmark(connection: Connection, project: str, names: Iterable[str]) -> None:
    gone = [{"of_project": project, "of_ref": each} for each in names]
    if gone:
        same = (
            projected_refs.c.project == bindparam("of_project"),
            projected_refs.c.ref == bindparam("of_ref"),
        )
        connection.execute(delete(projected_refs).where(*same), gone)


def add_calls(connection: Connection, calls: Sequence[Row]) -> None:
    """Add the calls of one record, and let go of what was set aside for them."""
    add(connection, model_calls, calls)
    release(connection, calls)
