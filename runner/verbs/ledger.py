"""Keep the ledger equal to git: catch up, check, rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.ledger.projection import ProjectedRun, Projection, Row, Value

if TYPE_CHECKING:
    from runner.ledger.store import Ledger

Table = Mapping[str, Row]

AT_ONCE = 2_000


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
    """Make all rows anew that git can bring back, and drop those that it does not tell.

    A few runs at a time, each in its place: a runner at work waits for none of them for long, and
    no budget is ever counted over an empty ledger.
    """
    known, given = ledger.contents(), list(approvals)
    ledger.put_approvals(given)
    made: set[str] = set()
    refs: set[str] = set()
    for batch in _batches(each.at(ledger.project) for each in runs):
        ledger.replace(batch)
        made.update(each.rows.run_id for each in batch)
        refs.update(each.ref for each in batch)
    ledger.drop(known.without(runs=made, approvals={str(row["id"]) for row in given}, refs=refs))
    counts = ledger.counts()
    return RebuildReport(
        runs=counts["agent_runs"],
        steps=counts["steps"],
        model_calls=counts["model_calls"],
        approvals=counts["approvals"],
    )


def _batches(runs: Iterable[Projection]) -> Iterator[list[Projection]]:
    """Cut after so many steps that what a transaction costs no longer counts."""
    batch: list[Projection] = []
    size = 0
    for each in runs:
        batch.append(each)
        size += 1 + len(each.rows.steps) + len(each.rows.calls)
        if size >= AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


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
        ledger.put(read(ref).at(ledger.project))
    ledger.put_approvals(approvals)
    return CatchUpReport(refs=moved)


def check(runs: Iterable[ProjectedRun], approvals: Iterable[Row], ledger: Ledger) -> CheckReport:
    """Compare every row with what git tells, run by run."""
    stored = _by_id(ledger.approval_rows())
    found = list(_differences("approvals", stored, _by_id(approvals)))
    left = set(ledger.contents().runs)
    for each in runs:
        rows = each.rows(ledger.project)
        left.discard(rows.run_id)
        found += _of_run(ledger.run_rows(rows.run_id), rows.tables())
    for run_id in sorted(left):
        found += _of_run(ledger.run_rows(run_id), {})
    return CheckReport(rows=ledger.counts(), differences=tuple(found))


def _of_run(
    stored: Mapping[str, Iterable[Row]], expected: Mapping[str, Iterable[Row]]
) -> Iterator[Difference]:
    for table, rows in stored.items():
        yield from _differences(table, _by_id(rows), _by_id(expected.get(table, ())))


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
