"""Rules held against steps and changes: what each one asks, and why.

A step is judged as such; what it changes is judged path by path, as an edit of the path. All
of it must be met. The first rule that surely matches decides, every rule that may match adds
what it asks, and a `deny` that may match wins over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from runner.core import command_line, globs, paths, risks
from runner.core.command_line import CommandLine
from runner.core.globs import Hit
from runner.core.plan import (
    EditFileInput,
    ReadFileInput,
    RunCommandInput,
    Step,
    typed_input,
    undo_step,
)
from runner.core.policy import PLANS_FOLDER, Assurance, Match, Policy, Rule
from runner.core.text import visible

THE_COMMAND = "the command"
THE_UNDO = "the undo command"
CODE_OWNERS = "code owners"
DEFAULTS = {"read_file": 0, "analyze": 0, "summarize": 0, "edit_file": 1, "run_command": 1}

Effect = Literal["decides", "adds", "denies", "comes too late"]


@dataclass(frozen=True, kw_only=True, order=True)
class Requirement:
    """How many distinct people must approve, of which roles, how surely and how recently.

    With `owners` only code owners of that list count.
    """

    approvals: int
    roles: tuple[str, ...] = ()
    assurance: Assurance = "forge"
    rule: str = ""
    expires_after: str = ""
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules ask of a step; all requirements must be met."""

    requirements: tuple[Requirement, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one rule says about a step or a change: `about`, as a reader names it.

    `sure` is False where the rule only may match.
    """

    about: str
    rule: str
    effect: Effect
    sure: bool = True
    requirements: tuple[Requirement, ...] = ()
    denied: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What rules are held against; `by` is the type of the step that makes a change.

    `settled` is False where a command runs otherwise than its words alone say. `step_risks` are
    those of the step that makes a change; rules that name a path as well are held against them.
    """

    about: str
    step_type: str
    by: str = ""
    path: str | None = None
    command: CommandLine | None = None
    settled: bool = True
    risks: frozenset[str] = frozenset()
    step_risks: frozenset[str] = frozenset()


def judge_step(policy: Policy, step: Step) -> Verdict:
    """Apply the rules to one step: by type, risk and command, by what it touches and declares.

    Its undo command is judged besides, as a command: neither frees the other of anything.
    """
    return _verdict(rulings(policy, step))


def rulings(policy: Policy, step: Step) -> tuple[Ruling, ...]:
    """Everything that the rules say about a step, in the order in which they were asked."""
    undo = undo_step(step)
    return (*_of_step(policy, step), *(_of_step(policy, undo, THE_UNDO) if undo else ()))


def _of_step(policy: Policy, step: Step, about: str = THE_COMMAND) -> tuple[Ruling, ...]:
    given, labels = typed_input(step), risks.labels(step)
    if isinstance(given, EditFileInput):
        return tuple(_of_change(policy, given.path, by=step.step_type, labels=labels))
    if isinstance(given, RunCommandInput):
        return tuple(_of_command(policy, given, labels, about))
    path = given.path if isinstance(given, ReadFileInput) else None
    what = f"reading {visible(path)}" if path else "the step"
    subject = Subject(about=what, step_type=step.step_type, path=path, risks=labels)
    return tuple(_of_subject(policy, subject))


def _of_command(
    policy: Policy, given: RunCommandInput, labels: frozenset[str], about: str
) -> Iterator[Ruling]:
    yield from _of_subject(
        policy,
        Subject(
            about=about,
            step_type="run_command",
            command=command_line.read(given.command, variables=given.env),
            # another folder, variables, secrets or a network make another command of the same words
            settled=given.working_dir == "." and not (given.env or given.secrets or given.network),
            risks=labels,
        ),
    )
    for glob in given.writes:
        yield from _of_change(policy, glob, by="run_command", of_step=labels)


def judge_change(
    policy: Policy,
    target: str,
    *,
    by: str = "run_command",
    of_step: frozenset[str] = frozenset(),
    labels: frozenset[str] = frozenset(),
) -> Verdict:
    """Judge a change of a path, or of any path that a declared glob may match, by a step type.

    It is judged as an edit of the path, and by the rules for that step type that name a path.
    `labels` are the risks of this very change, `of_step` those of the step that makes it.
    """
    return _verdict(_of_change(policy, target, by=by, of_step=of_step, labels=labels))


def _of_change(
    policy: Policy,
    target: str,
    *,
    by: str,
    of_step: frozenset[str] = frozenset(),
    labels: frozenset[str] = frozenset(),
) -> Iterator[Ruling]:
    about = f"changing {visible(target)}"
    always = _always_denied(target)
    if always:
        yield Ruling(about=about, rule="planlock", effect="denies", denied=always)
        return
    subject = Subject(
        about=about,
        step_type="edit_file",
        by=by,
        path=target,
        risks=labels | risks.of_path(target),
        step_risks=of_step,
    )
    yield from _of_subject(policy, subject)
    if policy.forge.code_owners:
        yield from _of_owners(policy, target, about)
    if paths.is_protected(target) and not any(_names(rule, subject) for rule in policy.rules):
        denied = f"{target} is protected: a rule must name it"
        yield Ruling(about=about, rule="planlock", effect="denies", denied=denied)


def _of_owners(policy: Policy, target: str, about: str) -> Iterator[Ruling]:
    """A code owner has to approve besides whom the rules ask for."""
    if policy.owners is None:
        denied = "forge.code_owners is true, and the trusted branch has no CODEOWNERS"
        yield Ruling(about=about, rule=CODE_OWNERS, effect="denies", denied=denied)
        return
    for owners in policy.owners.of(target):
        needed = Requirement(
            approvals=1,
            assurance=policy.assurance,
            rule=f"{CODE_OWNERS} of {visible(target)}",
            owners=owners,
        )
        yield Ruling(about=about, rule=CODE_OWNERS, effect="adds", requirements=(needed,))


def _always_denied(target: str) -> str:
    """Deny what names plans/; a glob as wide as `**` is judged by what the command then changed."""
    first = target.split("/", 1)[0].casefold()
    named = bool(first.strip("*")) and globs.overlaps(PLANS_FOLDER, first)
    if paths.is_authority(target) or named:
        return f"{target} may touch {PLANS_FOLDER}/, which no step may change"
    return ""


def _names(rule: Rule, subject: Subject) -> bool:
    """Whether a rule about the subject says in its own words that the path is a protected one."""
    pattern = rule.match.path
    return (
        pattern is not None and paths.names_protected(pattern) and _hit(rule, subject) is not Hit.NO
    )


def _of_subject(policy: Policy, subject: Subject) -> Iterator[Ruling]:
    settled = False
    for rule in policy.rules:
        hit = _hit(rule, subject)
        if hit is not Hit.NO:
            effect = _effect(rule, hit, settled=settled)
            yield _ruling(policy, rule, subject.about, effect=effect, sure=hit is Hit.YES)
            settled = settled or (hit is Hit.YES and rule.deny is None)
    if not settled:
        default = _default(policy, subject.step_type)
        yield Ruling(
            about=subject.about, rule=default.rule, effect="decides", requirements=(default,)
        )


def _effect(rule: Rule, hit: Hit, *, settled: bool) -> Effect:
    if rule.deny is not None:
        return "denies"
    if settled:
        return "comes too late"
    return "decides" if hit is Hit.YES else "adds"


def _ruling(policy: Policy, rule: Rule, about: str, *, effect: Effect, sure: bool) -> Ruling:
    asks = effect in {"decides", "adds"}
    return Ruling(
        about=about,
        rule=rule.name,
        effect=effect,
        sure=sure,
        requirements=tuple(requirements(policy, rule)) if asks else (),
        denied=f"rule {rule.name!r}: {rule.deny}" if effect == "denies" else "",
    )


def _hit(rule: Rule, subject: Subject) -> Hit:
    """Hold a rule against a subject: the weakest hit of all that its `match` names."""
    match = rule.match
    fits = match.step_type in {None, subject.step_type}
    if not fits and (match.path is None or match.step_type != subject.by):
        return Hit.NO
    hits = [
        _path_hit(rule, subject) if match.path is not None else Hit.YES,
        _command_hit(match.command, subject) if match.command is not None else Hit.YES,
        Hit.YES if match.risk is None or _has_risk(match, subject) else Hit.NO,
    ]
    return next((each for each in (Hit.NO, Hit.MAYBE) if each in hits), Hit.YES)


def _has_risk(match: Match, subject: Subject) -> bool:
    """A risk of the step alone would free its changes too, where a rule asks for nothing."""
    of_step = subject.step_risks if match.path is not None else frozenset()
    return match.risk in subject.risks | of_step


def _path_hit(rule: Rule, subject: Subject) -> Hit:
    if subject.path is None or (rule.match.step_type is None and not subject.by):
        return Hit.NO
    return globs.hit(rule.match.path or "", subject.path)


def _command_hit(pattern: str, subject: Subject) -> Hit:
    if subject.command is None:
        return Hit.NO
    hit = command_line.hit(pattern, subject.command)
    return Hit.MAYBE if hit is Hit.YES and not subject.settled else hit


def requirements(policy: Policy, rule: Rule) -> Iterator[Requirement]:
    """What a rule asks; a quorum asks it of every set of its roles.

    Distinct people can fill all places exactly if, for any set of roles, enough people have
    one of them (Hall's theorem): so nobody counts for two roles.
    """
    places = rule.quorum or {}
    sets = [group for size in range(1, len(places) + 1) for group in combinations(places, size)]
    asked = [(sum(places[role] for role in group), group) for group in sets]
    for approvals, roles in asked or [(rule.approvals or 0, tuple(rule.roles))]:
        yield Requirement(
            approvals=approvals,
            roles=roles,
            assurance=rule.assurance or policy.assurance,
            rule=rule.name,
            expires_after=rule.expires_after or "",
        )


def _default(policy: Policy, step_type: str) -> Requirement:
    count = policy.defaults.get(step_type, DEFAULTS.get(step_type, 1))
    return Requirement(approvals=count, assurance=policy.assurance, rule=f"default {step_type}")


def _verdict(found: Iterable[Ruling]) -> Verdict:
    every = list(found)
    needed = {each: None for ruling in every for each in ruling.requirements}
    denied = {ruling.denied: None for ruling in every if ruling.denied}
    return Verdict(requirements=tuple(needed), denied=tuple(denied))
