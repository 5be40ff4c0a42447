"""Plans: the typed form of a plan file, its digests, and the checks that span steps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from runner.core import canonical, globs, hosts, paths
from runner.core.errors import InvalidDocument, Problem, WorkspaceSecurityError
from runner.core.values import Digest, Line, Name, ObjectId, Principal, StepType, Strict, Text, Usd
from runner.core.yaml_nodes import NodePath, path_text

BUILT_IN = ("read_file", "analyze", "edit_file", "run_command", "summarize")
MAX_STEPS = 1000
EDIT_WAYS = ("new_content", "edits", "delete", "instruction")
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


class Step(Strict):
    id: Name
    step_type: StepType
    description: Line
    input: dict[str, Any]


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

    def index(self, step_id: str) -> int | None:
        ids = [step.id for step in self.plan.steps]
        return ids.index(step_id) if step_id in ids else None


def step_digests(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Chain the digests of design section 4 over the document as written."""
    header = {key: value[key] for key in HEADER if key in value}
    last = canonical.chain("planlock/plan/v1", header, None)
    digests = []
    for step in value["steps"]:
        last = canonical.chain("planlock/step/v1", step, last)
        digests.append(last)
    return tuple(digests)


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


Check = tuple[str, str, str, str]


def check_problems(checks: Iterable[Check], *, file: str) -> list[Problem]:
    return [
        Problem(file=file, code=code, path=path, message=message, fix=fix)
        for code, path, message, fix in checks
    ]


def mappings(value: Any, field: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the mappings in a list field; what is of another type is refused elsewhere."""
    items = value.get(field) if isinstance(value, dict) else None
    for number, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield number, item


def cross_checks(value: Any) -> Iterator[Check]:
    """Yield (code, path, message, fix) for what spans fields or steps; takes broken plans too."""
    seen: list[str] = []
    for number, step in islice(mappings(value, "steps"), MAX_STEPS):
        at, step_id = f"steps[{number}]", step.get("id")
        if step_id in seen:
            yield "duplicate_step", f"{at}.id", f"step id {step_id!r} is used twice", "rename it"
        yield from _type_check(step.get("step_type"), f"{at}.step_type")
        if isinstance(step.get("input"), dict):
            yield from _input_checks(step.get("step_type"), step["input"], f"{at}.input", seen)
        if isinstance(step_id, str) and step_id not in seen:
            seen.append(step_id)


def _type_check(step_type: Any, at: str) -> Iterator[Check]:
    """A plugin's type may not look like a built-in one: a slip of the pen would go unchecked."""
    if isinstance(step_type, str) and step_type not in BUILT_IN:
        for close in difflib.get_close_matches(step_type, BUILT_IN, n=1, cutoff=0.85):
            message = f"step type {step_type!r} is too much like {close!r}"
            yield "misspelt_step_type", at, message, f"write {close}"


def typed_input(step: Step) -> Strict | None:
    """The step's input in its typed form; None for a custom type or an input that is not valid."""
    model = INPUTS.get(step.step_type)
    try:
        return model.model_validate(step.input) if model else None
    except ValidationError:
        return None


def _input_checks(
    step_type: Any, given: Mapping[str, Any], at: str, seen: Sequence[str]
) -> Iterator[Check]:
    if step_type in ("analyze", "summarize"):
        yield from _context_checks(given, at, seen)
    elif step_type == "edit_file":
        yield from _edit_checks(given, at)
    elif step_type == "run_command":
        yield from _command_checks(given, at)
    if step_type in ("read_file", "edit_file"):
        yield from _path_check(given.get("path"), f"{at}.path")


def items(given: Mapping[str, Any], field: str) -> Iterator[tuple[int, Any]]:
    items = given.get(field)
    yield from enumerate(items if isinstance(items, list) else [])


def _context_checks(given: Mapping[str, Any], at: str, seen: Sequence[str]) -> Iterator[Check]:
    for number, name in items(given, "context"):
        if isinstance(name, str) and name not in seen:
            yield (
                "unknown_context",
                f"{at}.context[{number}]",
                f"context names {name!r}, which is not an earlier step",
                f"name one of: {', '.join(seen[-10:])}" if seen else "leave `context` out",
            )


def exactly_one(at: str, fields: Sequence[str], given: Mapping[str, Any]) -> Iterator[Check]:
    chosen = [field for field in fields if given.get(field) is not None]
    if len(chosen) != 1:
        names, said = (", ".join(f"`{name}`" for name in group) for group in (fields, chosen))
        message = f"needs exactly one of {names}; given: {said or 'none'}"
        yield "exactly_one", at, message, "keep one of them" if chosen else "add one of them"


def _edit_checks(given: Mapping[str, Any], at: str) -> Iterator[Check]:
    yield from exactly_one(at, EDIT_WAYS, given)
    if given.get("delete") and given.get("mode"):
        yield "delete_mode", f"{at}.mode", "a deleted file has no mode", "leave `mode` out"


def _command_checks(given: Mapping[str, Any], at: str) -> Iterator[Check]:
    if given.get("working_dir") != ".":
        yield from _path_check(given.get("working_dir"), f"{at}.working_dir")
    for field in ("reads", "writes"):
        for number, glob in items(given, field):
            yield from _path_check(glob, f"{at}.{field}[{number}]", is_glob=True)
    yield from host_checks(given, f"{at}.network")


def host_checks(given: Mapping[str, Any], at: str) -> Iterator[Check]:
    """Yield what of a mapping's `network` no command can ever reach."""
    for number, text in items(given, "network"):
        found = hosts.trouble(text) if isinstance(text, str) else None
        if found:
            message, fix = found
            yield "unusable_host", f"{at}[{number}]", f"{text!r} {message}", fix


def _path_check(path: Any, at: str, *, is_glob: bool = False) -> Iterator[Check]:
    if not isinstance(path, str):
        return
    try:
        paths.check_path(globs.WILD.sub("x", path) if is_glob else path)
    except WorkspaceSecurityError as error:
        message = f"path {path!r}: {error.reason}"
        yield f"path_{error.reason_code}", at, message, "write a path below the repository"
