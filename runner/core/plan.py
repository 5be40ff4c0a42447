"""Plans: the typed form of a plan file, its digests, and the checks that span steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from runner.core import canonical
from runner.core.errors import InvalidDocument, Problem
from runner.core.plan_checks import MAX_STEPS, check_problems, cross_checks
from runner.core.values import Digest, Line, Name, ObjectId, Principal, StepType, Strict, Text, Usd
from runner.core.yaml_nodes import NodePath, path_text

HEADER = ("version", "id", "goal", "base", "author")


def _only_true(value: bool) -> bool:  # noqa: FBT001  # pydantic passes the value alone
    if not value:
        raise ValueError("is false; leave the field out")
    return value


# Not Literal[1] and Literal[True]: pydantic takes 1 and True for each other there.
Version = Annotated[int, Field(ge=1, le=1)]
OnlyTrue = Annotated[bool, AfterValidator(_only_true)]

PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$")]
Content = Annotated[str, StringConstraints(max_length=500_000)]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class ReadFileInput(Strict):
    path: PathText
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 200_000


class Edit(Strict):
    """One replacement; `search` must occur exactly once."""

    search: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
    replace: Content


class EditFileInput(Strict):
    path: PathText
    new_content: Content | None = None
    edits: Annotated[list[Edit], Field(min_length=1, max_length=100)] | None = None
    delete: OnlyTrue | None = None
    instruction: Text | None = None
    replaces: Digest | Literal["absent"] | None = None
    mode: Literal["0644", "0755"] | None = None


class RunCommandInput(Strict):
    command: Text
    working_dir: PathText = "."
    timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    network: Annotated[list[Host], Field(max_length=50)] = []
    env: dict[EnvName, Annotated[str, StringConstraints(max_length=4000)]] = {}
    secrets: Annotated[list[EnvName], Field(max_length=20)] = []
    reads: Annotated[list[Glob], Field(max_length=100)] = []
    writes: Annotated[list[Glob], Field(max_length=100)] = []


class ModelInput(Strict):
    """What `analyze` and `summarize` take."""

    instruction: Text
    context: Annotated[list[Name], Field(max_length=100)] = []


INPUTS: Mapping[str, type[Strict]] = {
    "read_file": ReadFileInput,
    "analyze": ModelInput,
    "edit_file": EditFileInput,
    "run_command": RunCommandInput,
    "summarize": ModelInput,
}


class UndoCommand(Strict):
    """What takes back a step's effects outside the repository; it may change no file."""

    command: Text
    working_dir: PathText = "."
    timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    network: Annotated[list[Host], Field(max_length=50)] = []
    env: dict[EnvName, Annotated[str, StringConstraints(max_length=4000)]] = {}
    secrets: Annotated[list[EnvName], Field(max_length=20)] = []


class Step(Strict):
    id: Name
    step_type: StepType
    description: Line
    input: dict[str, Any]
    undo: UndoCommand | None = None


class Tokens(Strict):
    input: Annotated[int, Field(ge=0)]
    output: Annotated[int, Field(ge=0)]


class Planner(Strict):
    """Which model wrote the plan; outside the digests."""

    model: Line
    request: Digest
    tokens: Tokens
    cost_usd: Usd | None = None
    prompter: Principal | None = None


class Budget(Strict):
    usd: Usd | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None


class Plan(Strict):
    version: Version
    id: Name
    goal: Text
    base: ObjectId | None = None
    author: Principal | None = None
    planner: Planner | None = None
    budget: Budget = Budget()
    assumptions: Annotated[list[Line], Field(max_length=100)] = []
    questions: Annotated[list[Line], Field(max_length=100)] = []
    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)]


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A checked plan with the digests of what was written; `digests[k]` belongs to step k."""

    plan: Plan
    digests: tuple[str, ...]

    @property
    def digest(self) -> str:
        return self.digests[-1]

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {step.id: number for number, step in enumerate(self.plan.steps)}

    def index(self, step_id: str) -> int | None:
        return self.places.get(step_id)


def step_digests(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Chain the digests of design section 4 over the document as written."""
    last = header_digest(value)
    digests = []
    for step in value["steps"]:
        last = step_digest(step, last)
        digests.append(last)
    return tuple(digests)


def header_digest(value: Mapping[str, Any]) -> str:
    header = {key: value[key] for key in HEADER if key in value}
    return canonical.chain("planlock/plan/v1", header, None)


def step_digest(step: Mapping[str, Any], previous: str) -> str:
    return canonical.chain("planlock/step/v1", step, previous)


def build(value: Mapping[str, Any], *, file: str) -> PlanFile:
    """Type a parsed plan; raises InvalidDocument with every problem (places are added later)."""
    try:
        plan = Plan.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error
    problems = list(chain.from_iterable(_input_problems(plan, file=file)))
    problems += check_problems(cross_checks(value), file=file)
    if problems:
        raise InvalidDocument(problems)
    return PlanFile(plan=plan, digests=step_digests(value))


def _input_problems(plan: Plan, *, file: str) -> Iterator[list[Problem]]:
    for number, step in enumerate(plan.steps):
        model = INPUTS.get(step.step_type)
        if model is None:
            continue
        try:
            model.model_validate(step.input)
        except ValidationError as error:
            yield model_problems(error, file=file, at=("steps", number, "input"))


def model_problems(error: ValidationError, *, file: str, at: NodePath = ()) -> list[Problem]:
    return [
        Problem(file=file, code="schema", path=path_text((*at, *item["loc"])), message=item["msg"])
        for item in error.errors(include_url=False)
    ]


def undo_step(step: Step) -> Step | None:
    """The step's undo command as a `run_command` step, which is judged and confined as any."""
    if step.undo is None:
        return None
    given = step.undo.model_dump(exclude_unset=True)
    return step.model_copy(update={"step_type": "run_command", "input": given, "undo": None})


def commands(step: Step) -> Iterator[RunCommandInput]:
    """What of a step may run as a command: itself, and what takes it back."""
    for each in (step, undo_step(step)):
        given = typed_input(each) if each and each.step_type == "run_command" else None
        if isinstance(given, RunCommandInput):
            yield given


def typed_input(step: Step) -> Strict | None:
    """The step's input in its typed form; None for a custom type or an input that is not valid."""
    model = INPUTS.get(step.step_type)
    try:
        return model.model_validate(step.input) if model else None
    except ValidationError:
        return None
