"""Keep the ledger equal to git: catch up, check, rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner.ledger.projection import ProjectedRun, Row, Value
from runner.ledger.store import Ledger

Table = Mapping[str, Row]


@dataclass(frozen=True, kw_only=True)
class RebuildReport:
    runs: int
    steps: int
    model_calls: int
    approvals: int


@dataclass(frozen=True, kw_only=True)
class CatchUpReport:
    """The refs that had moved, and were projected."""

    refs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value that is not what git tells; a row too many or missing differs in its `id`."""

    table: str
    id: str
    column: str
    stored: Value
    expected: Value


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """`rows` were compared, by table."""

    rows: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return not self.differences


def rebuild(
    runs: Iterable[ProjectedRun], approvals: Iterable[Row], ledger: Ledger
) -> RebuildReport:
    """Drop what git can bring back, and bring it back.

    Each run is a transaction of its own: a runner at work waits for none of them for long, and
    what an interrupted rebuild left out is what `catch_up` adds.
    """
    ledger.forget()
    ledger.put_approvals(approvals)
    for each in runs:
        ledger.put(each.rows(ledger.project), ref=each.ref, commit=each.commit)
    counts = {table: len(rows) for table, rows in ledger.rows().items()}
    return RebuildReport(
        runs=counts["agent_runs"],
        steps=counts["steps"],
        model_calls=counts["model_calls"],
        approvals=counts["approvals"],
    )


def catch_up(
    tips: Mapping[str, str],
    approvals: Iterable[Row],
    ledger: Ledger,
    *,
    read: Callable[[str], ProjectedRun],
) -> CatchUpReport:
    """Project the runs whose ref (of `tips`, ref to commit) moved since; only they are read."""
    known = ledger.projected()
    moved = tuple(ref for ref, commit in tips.items() if known.get(ref) != commit)
    for ref in moved:
        run = read(ref)
        ledger.put(run.rows(ledger.project), ref=ref, commit=run.commit)
    ledger.put_approvals(approvals)
    return CatchUpReport(refs=moved)


def check(runs: Iterable[ProjectedRun], approvals: Iterable[Row], ledger: Ledger) -> CheckReport:
    """Compare every row with what git tells."""
    expected: dict[str, dict[str, Row]] = {"approvals": _by_id(approvals)}
    for each in runs:
        for table, rows in each.rows(ledger.project).tables().items():
            expected.setdefault(table, {}).update(_by_id(rows))
    stored = {table: _by_id(rows) for table, rows in ledger.rows().items()}
    return CheckReport(
        rows={table: len(rows) for table, rows in stored.items()},
        differences=tuple(
            difference
            for table, rows in stored.items()
            for difference in _differences(table, rows, expected.get(table, {}))
        ),
    )


def _by_id(rows: Iterable[Row]) -> dict[str, Row]:
    return {str(row["id"]): row for row in rows}


def _differences(table: str, stored: Table, expected: Table) -> Iterator[Difference]:
    nothing: Row = {}
    for key in sorted(stored.keys() | expected.keys()):
        ours, theirs = stored.get(key, nothing), expected.get(key, nothing)
        columns = ours.keys() | theirs.keys() if ours and theirs else {"id"}
        for column in sorted(columns):
            if ours.get(column) != theirs.get(column):
                yield Difference(
                    table=table,
                    id=key,
                    column=column,
                    stored=ours.get(column),
                    expected=theirs.get(column),
                )
