"""The schema's history, and where a database stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnClause, Connection, column, inspect, select, table

from runner.ledger.tables import METADATA, VERSION_TABLE

REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]

State = Literal["current", "empty", "older", "newer", "foreign", "broken"]


def state(connection: Connection) -> State:
    """Say how far the database is; broken means half migrated or lacking tables."""
    names = set(inspect(connection).get_table_names())
    ours = names & METADATA.tables.keys()
    if VERSION_TABLE not in names:
        if ours:
            return "broken"
        # On a server other programs may share the database; a file of theirs is not ours.
        return "foreign" if names and connection.dialect.name == "sqlite" else "empty"
    number: ColumnClause[str] = column("version_num")
    versions = connection.scalars(select(number).select_from(table(VERSION_TABLE))).all()
    return _state_at(versions, complete=ours == METADATA.tables.keys())


def _state_at(versions: Sequence[str], *, complete: bool) -> State:
    if len(versions) != 1:
        return "broken"
    if versions[0] == HEAD:
        return "current" if complete else "broken"
    return "older" if versions[0] in REVISIONS else "newer"
