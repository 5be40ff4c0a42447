"""What in a valid policy is probably not meant, or should be known: warnings, no errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from runner.core import globs
from runner.core.command_line import pattern_words
from runner.core.demands import Keys, candidates, demands
from runner.core.globs import Hit
from runner.core.policy import Match, Policy, Rule
from runner.core.rules import requirements
from runner.core.text import visible

Kind = Literal[
    "dead_rule",
    "role_of_nobody",
    "too_few_people",
    "no_examples",
    "no_hardware_key",
    "person_without_key",
    "self_approval",
    "unsigned_plans",
    "unconfined",
]

# What can be judged: a change by an edit, a command or a plugin; a command; a reading; other steps.
_CHANGES = frozenset({"edit", "change by command", "change by plugin"})
_ANY_WORDS = "**"


@dataclass(frozen=True, kw_only=True)
class Caution:
    """One warning; `rule` is empty where it is about the whole policy."""

    kind: Kind
    rule: str
    message: str
    fix: str


def warnings(policy: Policy, keys: Keys) -> tuple[Caution, ...]:
    """Every warning: those of rules in order, then of people, then of settings.

    `keys` has the best assurance that each principal's keys can give.
    """
    of_rules = (_of_rule(policy, number, keys) for number in range(len(policy.rules)))
    return (
        *chain.from_iterable(of_rules),
        *_of_defaults(policy, keys),
        *_of_people(policy, keys),
        *_of_settings(policy),
    )


def _of_rule(policy: Policy, number: int, keys: Keys) -> Iterator[Caution]:
    rule = policy.rules[number]
    name = visible(rule.name)
    dead, fix = _dead(policy.rules, number)
    if dead:
        yield Caution(kind="dead_rule", rule=name, message=dead, fix=fix)
    if rule.deny is None:
        yield from list(_roles_of_nobody(policy, rule)) or _too_few(policy, rule, keys)
    if rule.match.command is not None and not (rule.examples.match or rule.examples.no_match):
        message = "has a pattern of commands and no examples of what it matches"
        fix = "add `examples: {match: [...], no_match: [...]}`"
        yield Caution(kind="no_examples", rule=name, message=message, fix=fix)


def _dead(rules: Sequence[Rule], number: int) -> tuple[str, str]:
    """Say why a rule decides nothing, and what to do; a denial does so wherever it stands."""
    rule = rules[number]
    for place, other in enumerate(rules):
        if rule.deny is not None or place == number or not covers(other.match, rule.match):
            continue
        name = f"rule {visible(other.name)!r}"
        if other.deny is not None:
            return f"{name} denies all that it decides", f"narrow {name}, or leave this one out"
        if place < number:
            return f"never decides: {name} matches all that it does", f"put it before {name}"
    return "", ""


def _roles_of_nobody(policy: Policy, rule: Rule) -> Iterator[Caution]:
    known = {role for person in policy.people for role in person.roles}
    for role in dict.fromkeys([*rule.roles, *(rule.quorum or {})]):
        if role not in known:
            yield Caution(
                kind="role_of_nobody",
                rule=visible(rule.name),
                message=f"nobody has role {role}",
                fix="give it to somebody in `people`",
            )


def _too_few(policy: Policy, rule: Rule, keys: Keys) -> Iterator[Caution]:
    for demand in demands(requirements(policy, rule)):
        # as if everybody had every key
        plain = candidates(demand, policy.people, keys=dict.fromkeys(_names(policy), "hardware"))
        if plain.short:
            fix = "ask for fewer, or list more people"
            yield Caution(
                kind="too_few_people", rule=visible(rule.name), message=plain.short, fix=fix
            )
        elif rule.assurance == "hardware" and demand.asks:
            found = candidates(demand, policy.people, keys=keys)
            if found.short:
                message = f"{found.short} with a key of type sk-*"
                yield _no_hardware(visible(rule.name), message)


def _no_hardware(rule: str, message: str) -> Caution:
    fix = "planlock people add NAME --key KEY.pub, with a key of type sk-*"
    return Caution(kind="no_hardware_key", rule=rule, message=message, fix=fix)


def _names(policy: Policy) -> Sequence[str]:
    return [each.principal for each in policy.people]


def _of_defaults(policy: Policy, keys: Keys) -> Iterator[Caution]:
    for step_type, count in policy.defaults.items():
        if count > len(policy.people):
            message = f"for {step_type} asks for {count} people, and only {len(policy.people)}"
            yield Caution(
                kind="too_few_people",
                rule="",
                message=f"the default {message} could approve",
                fix="ask for fewer, or list more people",
            )
    if policy.assurance == "hardware" and "hardware" not in keys.values():
        message = "assurance hardware is asked for, and nobody has a key of type sk-*"
        yield _no_hardware("", message)


def _of_people(policy: Policy, keys: Keys) -> Iterator[Caution]:
    for name in _names(policy):
        if name not in keys:
            shown = visible(name)
            yield Caution(
                kind="person_without_key",
                rule="",
                message=f"{shown} has no key in allowed_signers that can approve now",
                fix=f"planlock people add {shown} --key KEY.pub",
            )


def _of_settings(policy: Policy) -> Iterator[Caution]:
    found: Iterable[tuple[bool, Kind, str, str]] = (
        (
            policy.self_approval,
            "self_approval",
            "people may approve their own plans",
            "self_approval: false",
        ),
        (
            not policy.plans_signed,
            "unsigned_plans",
            "commits of plans need no signature, so who made a plan is what it says",
            "plans_signed: true",
        ),
        (
            policy.sandbox.require == "none",
            "unconfined",
            "commands run unconfined, with all that the runner's user may do",
            "sandbox: {require: confined}",
        ),
    )
    for wrong, kind, message, fix in found:
        if wrong:
            yield Caution(kind=kind, rule="", message=message, fix=fix)


def covers(wide: Match, narrow: Match) -> bool:
    """Whether the first surely matches whatever the second surely matches; False in doubt."""
    everything = wide.step_type is wide.path is wide.command is None
    return (
        (everything or _subjects(wide) >= _subjects(narrow))
        and wide.risk in {None, narrow.risk}
        and (wide.path is None or _path_covers(wide.path, narrow.path))
        and (wide.command is None or _command_covers(wide.command, narrow.command))
    )


def _subjects(match: Match) -> frozenset[str]:
    """What a match can be about, by its type and whether it names a path or a command."""
    step_type = match.step_type
    if match.command is not None:
        return frozenset({"command"})
    if match.path is not None:
        kinds = {"run_command": {"change by command"}, "read_file": {"reading"}}
        return frozenset(kinds.get(step_type or "", _CHANGES))
    if step_type is None:
        return frozenset({*_CHANGES, "command", "reading", "others"})
    kinds = {"edit_file": {*_CHANGES}, "run_command": {"command"}, "read_file": {"reading"}}
    return frozenset(kinds.get(step_type, {step_type}))


def _path_covers(wide: str, narrow: str | None) -> bool:
    return narrow is not None and globs.hit(wide, narrow) is Hit.YES


def _command_covers(wide: str, narrow: str | None) -> bool:
    if narrow is None:
        return False
    first, second = pattern_words(wide), pattern_words(narrow)
    if first in (second, [_ANY_WORDS]):
        return True
    if not globs.is_glob(narrow):
        return globs.sequences_meet(first, second, literal=True)
    start = first[:-1]
    if first[-1] != _ANY_WORDS or _ANY_WORDS in start or len(second) < len(start):
        return False
    return all(map(_word_covers, start, second[: len(start)]))


def _word_covers(wide: str, narrow: str) -> bool:
    if narrow == _ANY_WORDS:
        return False
    plain = not globs.is_glob(narrow)
    return wide in {narrow, "*"} or (plain and globs.sequences_meet([wide], [narrow], literal=True))
