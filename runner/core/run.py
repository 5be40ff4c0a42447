"""Runs: header, records, their chain, and the legal transitions of states."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from runner.core.cost import Call, Total, total
from runner.core.errors import InvalidDocument
from runner.core.plan import Version, model_problems
from runner.core.values import Digest, Name, ObjectId, Principal, Stored, Timestamp, Usd, parse_time

NAMESPACE = "planlock-run"
RUN_FILE = "run.yaml"
RECORD_FILE = re.compile(r"^(?P<number>[0-9]{3,})-(?P<name>[a-z0-9-]+)\.yaml$")

StepStatus = Literal["completed", "failed", "interrupted", "skipped"]
RunStatus = Literal[
    "pending",
    "running",
    "awaiting_approval",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "rolled_back",
]

DONE = frozenset({"completed", "skipped"})
STEP_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"running", "awaiting_approval", "skipped"}),
    "awaiting_approval": frozenset({"running", "skipped"}),
    "running": frozenset({"completed", "failed", "interrupted"}),
    "failed": frozenset({"running", "skipped", "rolled_back"}),
    "interrupted": frozenset({"running", "skipped", "rolled_back"}),
    "completed": frozenset({"rolled_back"}),
    "skipped": frozenset({"rolled_back"}),
    "rolled_back": frozenset(),
}


class Executor(Stored):
    planlock: str
    platform: str
    sandbox: str = ""


class RecordedFork(Stored):
    """Where a run left another of the same plan: `commit` is that run's, as it was before `step`."""

    run: Annotated[int, Field(ge=1)]
    step: Name
    commit: ObjectId


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


class RecordedStep(Stored):
    id: Name
    number: Annotated[int, Field(ge=1)]
    type: str
    digest: Digest


class RecordedGate(Stored):
    """What the gate relied on."""

    authority: ObjectId
    plan_tip: ObjectId
    approvals: list[Digest]
    approvers: list[Principal]
    reasons: list[str] = []


class Output(Stored):
    """`text` is bounded, with hidden characters made visible; digest and length are of the whole."""

    text: str
    digest: Digest
    length: Annotated[int, Field(ge=0)]
    truncated: bool


class Change(Stored):
    """A changed path: digests of its content before and after, null where absent."""

    path: str
    before: Digest | None
    after: Digest | None
    mode: str | None = None
    size: Annotated[int, Field(ge=0)] = 0


class Contact(Stored):
    """One host that a command asked the proxy for; sizes in bytes, `reason` why it was refused."""

    host: str
    allowed: bool
    reason: str = ""
    connections: Annotated[int, Field(ge=0)] = 0
    sent: Annotated[int, Field(ge=0)] = 0
    received: Annotated[int, Field(ge=0)] = 0


class RecordedTotal(Stored):
    """What a run cost as its end tells."""

    cost_usd: Usd
    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    calls: Annotated[int, Field(ge=0)]
    unpriced: Annotated[int, Field(ge=0)]


class RecordedError(Stored):
    code: str
    message: str


class RecordedDraft(Stored):
    """The step whose text a model wrote: its digest before, and after; null where none applied."""

    step: Name
    number: Annotated[int, Field(ge=1)]
    before: Digest
    after: Digest | None = None


class RolledBackStep(Stored):
    """A step that no longer counts; `undo` tells of its effects outside the repository.

    `left` where its undo command failed or did not run and a person went on.
    """

    id: Name
    number: Annotated[int, Field(ge=1)]
    undo: Literal["done", "none", "left", "not_needed"]


class RecordedRollback(Stored):
    """The files outside `plans/<id>/` are again as `commit` has them, before `step`."""

    step: Name
    number: Annotated[int, Field(ge=1)]
    commit: ObjectId
    steps: list[RolledBackStep]


def drafted_step(draft: RecordedDraft, status: str) -> tuple[dict[str, Any], str]:
    """The step of a draft, and how it stands, as trailers tell it: it has a text, and waits."""
    step = {"id": draft.step, "type": "edit_file", "digest": draft.after or draft.before}
    return step, "awaiting_approval" if status == "completed" else status


class Record(Stored):
    """One file of a run: an attempt at a step, a skip, an amended plan, a rollback, or the end.

    `undo` is an attempt at a step's undo command. `asked_by` is who asked on a command line, as
    git there knows them: a claim. An amendment has a `draft`, or else adopts the plan of the plan's branch: `source` is that
    plan's digest where drafts of the run were carried over into it.
    """

    version: Version
    kind: Literal["step", "skip", "amendment", "undo", "rollback", "end"]
    previous: Digest
    started_at: Timestamp
    ended_at: Timestamp
    executor: Executor
    step: RecordedStep | None = None
    status: StepStatus | RunStatus
    attempt: Annotated[int, Field(ge=1)] = 1
    gate: RecordedGate | None = None
    output: Output | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: RecordedError | None = None
    changes: list[Change] = []
    contacts: list[Contact] = []
    calls: list[Call] = []
    plan_digest: Digest | None = None
    source: Digest | None = None
    draft: RecordedDraft | None = None
    rollback: RecordedRollback | None = None
    asked_by: str = ""
    total: RecordedTotal | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "amendment" and self.step is not None:
            raise ValueError("an amendment names no step")
        if self.kind != "amendment" and self.draft is not None:
            raise ValueError("only an amendment has a draft")
        if (self.kind == "rollback") != (self.rollback is not None):
            raise ValueError("a rollback, and nothing else, says what it restored")
        return self

    @property
    def cost(self) -> Total:
        return total(self.calls)

    @property
    def drafted(self) -> RecordedDraft | None:
        """The draft of an amendment; no other record has one, whatever it says."""
        return self.draft if self.kind == "amendment" else None

    @property
    def about(self) -> str | None:
        """The id of the step that was done, skipped or drafted."""
        found = self.step.id if self.step else None
        return self.drafted.step if self.drafted else found


@dataclass(frozen=True, kw_only=True)
class RecordFile:
    """A record with its file name and the digest of its bytes."""

    name: str
    record: Record
    digest: str

    @property
    def number(self) -> int:
        found = RECORD_FILE.match(self.name)
        return int(found["number"]) if found else 0


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A run as its branch tells it; `header_digest` is that of the bytes of `run.yaml`."""

    header: RunHeader
    header_digest: str
    records: tuple[RecordFile, ...]

    @property
    def last_digest(self) -> str:
        return self.records[-1].digest if self.records else self.header_digest

    @property
    def ended(self) -> bool:
        return bool(self.records) and self.records[-1].record.kind == "end"

    @property
    def last_moment(self) -> str:
        return self.records[-1].record.ended_at if self.records else self.header.started_at

    def latest(self, step_id: str) -> Record | None:
        """The newest record of a step, whatever its kind."""
        found = [
            each.record
            for each in self.records
            if each.record.step is not None and each.record.step.id == step_id
        ]
        return found[-1] if found else None

    @property
    def source(self) -> str:
        """Digest of the plan as people wrote it that the run follows: without its drafts."""
        digests = [
            each.record.source or each.record.plan_digest
            for each in self.records
            if each.record.kind == "amendment" and each.record.draft is None
        ]
        return next((each for each in reversed(digests) if each), self.header.plan_digest)

    @property
    def drafts(self) -> tuple[Record, ...]:
        """The records of drafts, oldest first; also of those that failed."""
        return tuple(each.record for each in self.records if each.record.draft is not None)

    def skipped(self) -> tuple[str, ...]:
        """Ids of the steps whose latest record is a skip, in plan order."""
        latest: dict[str, tuple[int, str]] = {}
        for each in self.records:
            if each.record.step is not None:
                step = each.record.step
                latest[step.id] = (step.number, each.record.status)
        skips = [(number, name) for name, (number, status) in latest.items() if status == "skipped"]
        return tuple(name for _, name in sorted(skips))

    @property
    def cost(self) -> Total:
        return sum((each.record.cost for each in self.records), Total())


def digest_bytes(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def build_header(value: Mapping[str, Any], *, file: str) -> RunHeader:
    try:
        return RunHeader.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error


def build_record(value: Mapping[str, Any], *, file: str) -> Record:
    try:
        return Record.model_validate(value)
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


def check_transition(before: str, after: str) -> None:
    """Raise ValueError for a transition that the table does not list."""
    if after not in STEP_TRANSITIONS[before]:
        raise ValueError(f"a step cannot go from {before} to {after}")


def statuses(run: RunFile, step_ids: Sequence[str]) -> dict[str, str]:
    """The status of each step: that of its latest record, else pending."""
    latest = {each.record.step.id: each.record.status for each in run.records if each.record.step}
    return {step_id: latest.get(step_id, "pending") for step_id in step_ids}


def run_status(run: RunFile, step_ids: Sequence[str]) -> RunStatus:
    """The state that the records alone tell; waiting and pausing are not recorded."""
    if run.ended:
        return run.records[-1].record.status  # type: ignore[return-value]  # checked when written
    states = set(statuses(run, step_ids).values())
    if states & {"failed", "interrupted"}:
        return "failed"
    return "running" if run.records else "pending"
