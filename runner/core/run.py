"""Runs: header, records, their chain, and the legal transitions of states."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationError

from runner.core.cost import Total
from runner.core.errors import InvalidDocument
from runner.core.plan import Version, model_problems
from runner.core.record import Executor, Record, RecordedStep, RecordFile
from runner.core.run_index import RunIndex
from runner.core.run_states import RunStatus
from runner.core.values import (
    Digest,
    Line,
    Name,
    ObjectId,
    Principal,
    Stored,
    Timestamp,
    parse_time,
)

NAMESPACE = "planlock-run"
RUN_FILE = "run.yaml"


class RecordedFork(Stored):
    """Where a run left another of the same plan: `commit` is that run's, as it was before `step`."""

    run: Annotated[int, Field(ge=1)]
    step: Name
    commit: ObjectId


class Desk(Stored):
    """The pull request on which a run's plan was decided; `makers` may not approve it.

    `decisions` are the digests of the approval records that the runner signed at the start.
    """

    url: Line
    pull_request: Annotated[int, Field(ge=1)]
    makers: list[Principal] = []
    decisions: list[Digest] = []


class RunHeader(Stored):
    """`run.yaml`, written once when the run starts; `approvals` are consumed by it."""

    version: Version
    plan: Name
    run: Annotated[int, Field(ge=1)]
    repository: str
    plan_digest: Digest
    plan_tip: ObjectId
    base: ObjectId
    trusted_ref: str
    authority: ObjectId
    approvals: list[Digest]
    runner: Principal
    executor: Executor
    started_at: Timestamp
    fork: RecordedFork | None = None
    desk: Desk | None = None


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A run as its branch tells it; `header_digest` is that of the bytes of `run.yaml`.

    `origin` is the run that a fork left, up to there: its steps count as done here, its cost not.
    """

    header: RunHeader
    header_digest: str
    records: tuple[RecordFile, ...]
    origin: RunFile | None = None

    @cached_property
    def index(self) -> RunIndex:
        """What the records tell together."""
        found, fork = RunIndex(), self.header.fork
        if self.origin is not None and fork is not None:
            found = self.origin.index.before(fork.step)
        return found.after(each.record for each in self.records)

    def with_record(self, added: RecordFile) -> RunFile:
        """The run with one record more, whose index is that of this one extended."""
        longer = replace(self, records=(*self.records, added))
        vars(longer)["index"] = self.index.after([added.record])
        return longer

    @property
    def last_digest(self) -> str:
        return self.records[-1].digest if self.records else self.header_digest

    @property
    def ended(self) -> bool:
        """Whether it was closed or rolled back; undo commands may be recorded after that."""
        return self.index.end is not None

    @property
    def last_moment(self) -> str:
        return self.records[-1].record.ended_at if self.records else self.header.started_at

    def latest(self, step_id: str) -> Record | None:
        """The newest attempt at a step, or its skip, be it of the run that this one left."""
        return self.index.latest.get(step_id)

    def latest_undo(self, step_id: str) -> Record | None:
        """The newest attempt at a step's undo command."""
        return self.index.undos.get(step_id)

    def status(self, step_id: str) -> str:
        """`rolled_back`, the status of the latest record, or `pending`."""
        if step_id in self.index.rolled_back:
            return "rolled_back"
        found = self.latest(step_id)
        return found.status if found else "pending"

    @property
    def recorded_steps(self) -> tuple[RecordedStep, ...]:
        """Steps as records have them: those done before a fork, then those of each record."""
        fork, origin = self.header.fork, self.origin
        kept = origin.index.before(fork.step).latest.values() if origin and fork else ()
        every = (*kept, *(each.record for each in self.records))
        return tuple(each.step for each in every if each.step is not None)

    @property
    def source(self) -> str:
        """Digest of the plan as people wrote it that the run follows: without its drafts."""
        return self.index.source or self.header.plan_digest

    @property
    def authority(self) -> str:
        """The last authority that a gate relied on."""
        return self.index.authority or self.header.authority

    @property
    def approvals(self) -> frozenset[str]:
        """Digests of the approvals that it consumed: its header's, and those that steps used."""
        return self.index.approvals.union(self.header.approvals)

    @property
    def drafts(self) -> tuple[Record, ...]:
        """The records of drafts, oldest first; also of those that failed."""
        return self.index.drafts

    def skipped(self) -> tuple[str, ...]:
        """Ids of the steps whose latest record is a skip, in plan order."""
        return self.index.skipped

    @property
    def cost(self) -> Total:
        return self.index.cost


def digest_bytes(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def build_header(value: Mapping[str, Any], *, file: str) -> RunHeader:
    try:
        return RunHeader.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error


def record_name(number: int, name: str) -> str:
    return f"{number:03d}-{name}.yaml"


def run_branch(plan: str, run: int) -> str:
    return f"refs/heads/planlock/{plan}/{run}"


def run_tag(plan: str, run: int) -> str:
    return f"refs/tags/planlock-run/{plan}/{run}"


def lease_ref(plan: str, run: int) -> str:
    return f"refs/planlock/leases/{plan}/{run}"


def control_ref(plan: str, run: int) -> str:
    return f"refs/planlock/control/{plan}/{run}"


def plan_branch(plan: str) -> str:
    return f"refs/heads/plan/{plan}"


def plan_folder(plan: str) -> str:
    return f"plans/{plan}"


def run_folder(plan: str, run: int) -> str:
    return f"plans/{plan}/runs/{run}"


def chain_problems(run: RunFile) -> tuple[str, ...]:
    """Say where numbers or `previous` digests do not follow; empty for a sound chain."""
    problems = []
    expected = run.header_digest
    for position, each in enumerate(run.records, start=1):
        if each.number != position:
            problems.append(f"{each.name}: record {position} expected")
        if each.record.previous != expected:
            problems.append(f"{each.name}: `previous` is not the digest of the record before it")
        expected = each.digest
    moments = [run.header.started_at, *(each.record.ended_at for each in run.records)]
    if any(parse_time(b) < parse_time(a) for a, b in itertools.pairwise(moments)):
        problems.append("records go back in time")
    return tuple(problems)


def statuses(run: RunFile, step_ids: Sequence[str]) -> dict[str, str]:
    """The status of each step as the records tell it."""
    return {step_id: run.status(step_id) for step_id in step_ids}


def run_status(run: RunFile, step_ids: Iterable[str]) -> RunStatus:
    """The state that the records alone tell; waiting and pausing are not recorded."""
    index = run.index
    if index.end is not None:
        rolled_back = index.end.kind == "rollback"
        return "rolled_back" if rolled_back else index.end.status  # type: ignore[return-value]  # checked when written
    if index.failed and not index.failed.isdisjoint(step_ids):
        return "failed"
    return "running" if run.records else "pending"
