"""What a run's records tell together: each record extends it, none is read a second time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from runner.core.cost import Total, total
from runner.core.record import Record
from runner.core.run_states import DONE, FAILED

ENDS = frozenset({"end", "rollback"})


@dataclass(frozen=True, kw_only=True)
class RunIndex:
    """`latest` and `undos` have the newest record of each step; `end` is what ended the run.

    `about` has every record of this run about a step, those of its drafts among them. `changed`
    are the paths that steps changed; `authority` is the last that a gate relied on.
    """

    latest: dict[str, Record] = field(default_factory=dict)
    undos: dict[str, Record] = field(default_factory=dict)
    about: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()
    rolled_back: frozenset[str] = frozenset()
    end: Record | None = None
    drafts: tuple[Record, ...] = ()
    source: str = ""
    authority: str = ""
    approvals: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    changed_bytes: int = 0
    cost: Total = field(default_factory=Total)

    def after(self, records: Iterable[Record]) -> RunIndex:
        """The same with more records; this one stays as it is."""
        found = replace(self, latest={**self.latest}, undos={**self.undos}, about={**self.about})
        return reduce(_with, records, found)

    def before(self, step: str) -> RunIndex:
        """What a run that left this one before a step goes on with: what was done, and changed."""
        gone = {*self.rolled_back, step}
        latest = {
            name: record
            for name, record in self.latest.items()
            if record.status in DONE and name not in gone
        }
        return RunIndex(
            latest=latest,
            skipped=tuple(name for name in self.skipped if name in latest),
            changed=self.changed,
            changed_bytes=self.changed_bytes,
        )


def _with(index: RunIndex, record: Record) -> RunIndex:
    """Extend the mappings, which nobody else has yet, and replace what else is new."""
    if record.about is not None:
        index.about[record.about] = (*index.about.get(record.about, ()), record)
    new = {**_of_step(index, record), **_of_run(index, record), **_of_gate(index, record)}
    if record.changes:
        new["changed"] = index.changed.union(each.path for each in record.changes)
        new["changed_bytes"] = index.changed_bytes + sum(each.size for each in record.changes)
    if record.calls:
        new["cost"] = index.cost + total(record.calls)
    return replace(index, **new) if new else index


def _of_step(index: RunIndex, record: Record) -> dict[str, Any]:
    if record.step is None:
        return {}
    step = record.step.id
    if record.kind == "undo":
        index.undos[step] = record
        return {}
    index.latest[step] = record
    new: dict[str, Any] = {}
    if (step in index.failed) != (record.status in FAILED):
        new["failed"] = index.failed ^ {step}
    if (step in index.skipped) != (record.status == "skipped"):
        new["skipped"] = _in_order(index.latest, {*index.skipped} ^ {step})
    return new


def _of_run(index: RunIndex, record: Record) -> dict[str, Any]:
    new: dict[str, Any] = {}
    if record.kind in ENDS:
        new["end"] = record
    if record.rollback is not None:
        new["rolled_back"] = index.rolled_back.union(each.id for each in record.rollback.steps)
    if record.draft is not None:
        new["drafts"] = (*index.drafts, record)
    elif record.kind == "amendment":
        new["source"] = record.source or record.plan_digest or index.source
    return new


def _of_gate(index: RunIndex, record: Record) -> dict[str, Any]:
    gate = record.gate
    if gate is None:
        return {}
    new: dict[str, Any] = {}
    if gate.authority != index.authority:
        new["authority"] = gate.authority
    if not index.approvals.issuperset(gate.approvals):
        new["approvals"] = index.approvals.union(gate.approvals)
    return new


def _in_order(latest: Mapping[str, Record], names: Iterable[str]) -> tuple[str, ...]:
    """The names of steps in plan order, as their records number them."""
    steps = [each.step for name in names if (each := latest[name]).step is not None]
    return tuple(step.id for step in sorted(steps, key=lambda each: (each.number, each.id)))
