"""Records: one file for each thing that happened in a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from runner.core.cost import Call, Total, total
from runner.core.errors import InvalidDocument
from runner.core.plan import Version, model_problems
from runner.core.run_states import RunStatus, StepStatus
from runner.core.values import Digest, Name, ObjectId, Principal, Stored, Timestamp, Usd

RECORD_FILE = re.compile(r"^(?P<number>[0-9]{3,})-(?P<name>[a-z0-9-]+)\.yaml$")


class Executor(Stored):
    planlock: str
    platform: str
    sandbox: str = ""


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


def undo_name(step: str) -> str:
    """What the file of an attempt at a step's undo command is named after."""
    return f"undo-{step}"


def trailer_status(kind: str, status: str) -> str:
    """How a record's commit tells how a step stands: an undo says nothing of the step itself."""
    return f"undo {status}" if kind == "undo" else status


def drafted_step(draft: RecordedDraft, status: str) -> tuple[dict[str, Any], str]:
    """The step of a draft, and how it stands, as trailers tell it: it has a text, and waits."""
    step = {"id": draft.step, "type": "edit_file", "digest": draft.after or draft.before}
    return step, "awaiting_approval" if status == "completed" else status


class Record(Stored):
    """One file of a run: an attempt at a step, a skip, an amended plan, a rollback, or the end.

    `undo` is an attempt at a step's undo command. `asked_by` is who asked on a command line, as
    git there knows them: a claim. An amendment has a `draft`, or else adopts the plan of the plan's branch: `source` is that
    plan's digest where drafts of the run were carried over into it. A review brings `decisions`,
    digests of the approval records that the runner signed for what it saw on a forge.
    """

    version: Version
    kind: Literal["step", "skip", "amendment", "review", "undo", "rollback", "end"]
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
    decisions: list[Digest] = []
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
        if (self.kind == "review") != bool(self.decisions):
            raise ValueError("a review, and nothing else, brings decisions")
        if self.kind == "review" and self.step is not None:
            raise ValueError("a review names no step")
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


def build_record(value: Mapping[str, Any], *, file: str) -> Record:
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error
