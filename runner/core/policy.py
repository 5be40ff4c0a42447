"""The policy file: who must approve what. Rules take a step and give requirements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from runner.core import canonical, globs, paths
from runner.core.errors import InvalidDocument, WorkspaceSecurityError
from runner.core.globs import Hit
from runner.core.plan import (
    BUILT_IN,
    Check,
    EditFileInput,
    ReadFileInput,
    RunCommandInput,
    Version,
    check_problems,
    exactly_one,
    mappings,
    model_problems,
)
from runner.core.values import STEP_TYPE, Duration, Line, Principal, StepType, Strict, Usd

Assurance = Literal["server", "forge", "key", "hardware"]
LEVELS: tuple[Assurance, ...] = ("server", "forge", "key", "hardware")
DEFAULTS = {"read_file": 0, "analyze": 0, "summarize": 0, "edit_file": 1, "run_command": 1}
WITH_PATH = (None, "read_file", "edit_file", "run_command")
POLICY_PATH = "plans/policy.yaml"
SIGNERS_PATH = "plans/allowed_signers"
PLANS_FOLDER = "plans"
RULE_WAYS = ("approvals", "deny")

Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Count = Annotated[int, Field(ge=0, le=20)]


class GitHubAccount(Strict):
    login: Line
    id: Annotated[int, Field(ge=1)]


class Person(Strict):
    principal: Principal
    roles: list[Role] = []
    github: GitHubAccount | None = None


class Match(Strict):
    """All that is named must match; a path without a step type means changes of it."""

    step_type: StepType | None = None
    path: Line | None = None


class Rule(Strict):
    name: Line
    match: Match
    approvals: Count | None = None
    roles: list[Role] = []
    assurance: Assurance | None = None
    deny: Line | None = None


class Budgets(Strict):
    run_usd: Usd | None = None
    day_usd: Usd | None = None
    project_usd: Usd | None = None


class Limits(Strict):
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    changed_files: Annotated[int, Field(ge=0)] = 100
    changed_bytes: Annotated[int, Field(ge=0)] = 1_000_000


class Sandbox(Strict):
    require: Literal["confined", "none"] = "confined"
    network: list[Line] = []
    tools: list[Line] = []
    secrets: list[Line] = []


class Policy(Strict):
    version: Version
    repository: Annotated[
        str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    ]
    people: Annotated[list[Person], Field(min_length=1)]
    rules: list[Rule] = []
    defaults: dict[StepType, Count] = {}
    assurance: Assurance = "forge"
    self_approval: bool = False
    plans_signed: bool = False
    approvals_expire_after: Duration | None = None
    budgets: Budgets = Budgets()
    limits: Limits = Limits()
    sandbox: Sandbox = Sandbox()
    plugins: list[Line] = []

    def person(self, principal: str) -> Person | None:
        return next((each for each in self.people if each.principal == principal), None)


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """A checked policy; `execution` is the digest of its `sandbox` and `plugins` as written."""

    policy: Policy
    execution: str


@dataclass(frozen=True, kw_only=True, order=True)
class Requirement:
    """How many distinct people must approve, of which roles, and with what assurance."""

    approvals: int
    roles: tuple[str, ...] = ()
    assurance: Assurance = "forge"
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules ask of a step; all requirements must be met."""

    requirements: tuple[Requirement, ...] = ()
    denied: tuple[str, ...] = ()


def build(value: Mapping[str, Any], *, file: str) -> PolicyFile:
    """Type a parsed policy; raises InvalidDocument with every problem."""
    try:
        policy = Policy.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=file)) from error
    problems = check_problems(cross_checks(value), file=file)
    if problems:
        raise InvalidDocument(problems)
    execution = {key: value[key] for key in ("sandbox", "plugins") if key in value}
    return PolicyFile(
        policy=policy, execution=canonical.chain("planlock/execution/v1", execution, None)
    )


def cross_checks(value: Any) -> Iterator[Check]:
    """Yield (code, path, message, fix) for what spans fields; takes broken policies too."""
    people = list(mappings(value, "people"))
    yield from _repeated((f"people[{n}].principal", each.get("principal")) for n, each in people)
    # One account for two people would let one reviewer count twice.
    yield from _repeated(
        (f"people[{number}].github.id", each["github"].get("id"))
        for number, each in people
        if isinstance(each.get("github"), dict)
    )
    plugins = bool(value.get("plugins")) if isinstance(value, dict) else False
    for number, rule in mappings(value, "rules"):
        yield from _rule_checks(rule, f"rules[{number}]", plugins=plugins)
    defaults = value.get("defaults") if isinstance(value, dict) else None
    for name in defaults if isinstance(defaults, dict) else ():
        yield from _type_check(name, f"defaults.{name}", plugins=plugins)


def _repeated(values: Iterable[tuple[str, Any]]) -> Iterator[Check]:
    seen: set[str | int] = set()
    for at, value in values:
        if not isinstance(value, str | int):
            continue
        if value in seen:
            yield "duplicate_person", at, f"{value} is listed twice", "merge the two entries"
        seen.add(value)


def _rule_checks(rule: Mapping[str, Any], at: str, *, plugins: bool) -> Iterator[Check]:
    yield from exactly_one(at, RULE_WAYS, rule)
    if rule.get("deny") is not None and (rule.get("roles") or rule.get("assurance")):
        message = "a rule that denies has no use for `roles` and `assurance`"
        yield "deny_extras", at, message, "leave them out"
    match = rule.get("match")
    match = match if isinstance(match, dict) else {}
    pattern, step_type = match.get("path"), match.get("step_type")
    if isinstance(pattern, str):
        yield from _pattern_check(pattern, f"{at}.match.path")
        if step_type not in WITH_PATH:
            message = f"a step of type {step_type!r} names no path, so the rule matches nothing"
            fix = "leave `step_type` out to match changes by any step"
            yield "dead_pattern", f"{at}.match.path", message, fix
    yield from _type_check(step_type, f"{at}.match.step_type", plugins=plugins)


def _type_check(step_type: Any, at: str, *, plugins: bool) -> Iterator[Check]:
    """Refuse a type that no step can have: a rule for it would deny nothing, without a word."""
    known = plugins or step_type in BUILT_IN
    if isinstance(step_type, str) and re.match(STEP_TYPE, step_type) and not known:
        message = f"no step has type {step_type!r}: it is not built in, and no plugin is listed"
        yield "unknown_step_type", at, message, f"write one of: {', '.join(BUILT_IN)}"


def _pattern_check(pattern: str, at: str) -> Iterator[Check]:
    """Refuse a pattern that no path can match: it would deny nothing, without a word."""
    try:
        paths.check_path(globs.WILD.sub("x", pattern))
    except WorkspaceSecurityError as error:
        if error.reason_code != "git_dir":
            message = f"{pattern!r} {error.reason}, so it can match no file"
            yield "dead_pattern", at, message, "write it like docs/** or infra/*.tf"


def judge_step(policy: Policy, step_type: str, given: Strict | None) -> Verdict:
    """Apply the rules to one step: by type, by the path it touches, by the paths it declares."""
    if isinstance(given, EditFileInput):
        return judge_change(policy, given.path, by=step_type)
    target = given.path if isinstance(given, ReadFileInput) else None
    verdicts = [_first_match(policy, step_type, target)]
    if isinstance(given, RunCommandInput):
        verdicts += [judge_change(policy, glob) for glob in given.writes]
    return _merge(verdicts)


def judge_change(policy: Policy, target: str, *, by: str = "run_command") -> Verdict:
    """Judge a change of a path, or of any path that a declared glob may match, by a step type.

    It is judged as an edit of the path, and by the rules for that step type that name a path.
    """
    always = _always_denied(target)
    if always:
        return Verdict(denied=(always,))
    verdict = _first_match(policy, "edit_file", target, by=by)
    if paths.is_protected(target) and not any(_names(rule, target) for rule in policy.rules):
        reason = f"{target} is protected: a rule must name it"
        return Verdict(requirements=verdict.requirements, denied=(*verdict.denied, reason))
    return verdict


def _always_denied(target: str) -> str:
    """Deny what names plans/; a glob as wide as `**` is judged by what the command then changed."""
    first = target.split("/", 1)[0].casefold()
    named = bool(first.strip("*")) and globs.overlaps(PLANS_FOLDER, first)
    if paths.is_authority(target) or named:
        return f"{target} may touch {PLANS_FOLDER}/, which no step may change"
    return ""


def _names(rule: Rule, target: str) -> bool:
    """Whether the rule's path names the target's first folder or file itself."""
    pattern = rule.match.path or ""
    first = pattern.split("/", 1)[0].casefold()
    return (
        bool(first)
        and first == target.split("/", 1)[0].casefold()
        and globs.hit(pattern, target) is not Hit.NO
    )


def _first_match(policy: Policy, step_type: str, target: str | None, *, by: str = "") -> Verdict:
    """Apply the rules in order; `by` is the type of the step that changes `target`, if one does."""
    needed: list[Requirement] = []
    denied: list[str] = []
    settled = False
    for rule in policy.rules:
        hit = _rule_hit(rule, step_type, target, by=by)
        if hit is Hit.NO:
            continue
        if rule.deny is not None:
            denied.append(f"rule {rule.name!r}: {rule.deny}")
        elif not settled:
            needed.append(_requirement(policy, rule))
            settled = hit is Hit.YES
    if not settled:
        needed.append(_default(policy, step_type))
    return Verdict(requirements=tuple(needed), denied=tuple(denied))


def _rule_hit(rule: Rule, step_type: str, target: str | None, *, by: str) -> Hit:
    wanted, pattern = rule.match.step_type, rule.match.path
    if wanted not in {None, step_type} and (pattern is None or wanted != by):
        return Hit.NO
    if pattern is None:
        return Hit.YES
    if target is None or (wanted is None and not by):
        return Hit.NO
    return globs.hit(pattern, target)


def _requirement(policy: Policy, rule: Rule) -> Requirement:
    return Requirement(
        approvals=rule.approvals or 0,
        roles=tuple(rule.roles),
        assurance=rule.assurance or policy.assurance,
        rule=rule.name,
    )


def _default(policy: Policy, step_type: str) -> Requirement:
    count = policy.defaults.get(step_type, DEFAULTS.get(step_type, 1))
    return Requirement(approvals=count, assurance=policy.assurance, rule=f"default {step_type}")


def _merge(verdicts: Sequence[Verdict]) -> Verdict:
    needed = {each: None for verdict in verdicts for each in verdict.requirements}
    denied = {each: None for verdict in verdicts for each in verdict.denied}
    return Verdict(requirements=tuple(needed), denied=tuple(denied))
