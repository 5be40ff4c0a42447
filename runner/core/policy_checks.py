"""What the schema of a policy cannot say: dead rules, doubled people, examples that do not hold.

All of it takes broken policies too, since every problem of a file is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runner.core import command_line, globs, paths
from runner.core.errors import WorkspaceSecurityError
from runner.core.globs import Hit
from runner.core.plan_checks import BUILT_IN, Check, exactly_one, host_checks, items, mappings
from runner.core.values import STEP_TYPE

RULE_WAYS = ("approvals", "quorum", "deny")
WITH_PATH = (None, "read_file", "edit_file", "run_command")
WITH_COMMAND = (None, "run_command")
# What every command gets from the sandbox, and one with a network; a secret would take its place.
SET_BY_SANDBOX = frozenset(
    {
        *("PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE"),
        *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("https_proxy", "http_proxy", "all_proxy", "no_proxy"),
    }
)
# A quorum is judged by every subset of its roles.
MOST_ROLES = 4


def cross_checks(value: Any) -> Iterator[Check]:
    """Yield (code, path, message, fix) for what spans fields."""
    people = list(mappings(value, "people"))
    yield from _repeated((f"people[{n}].principal", each.get("principal")) for n, each in people)
    # One account for two people would let one reviewer count twice.
    yield from _repeated(
        (f"people[{number}].github.id", each["github"].get("id"))
        for number, each in people
        if isinstance(each.get("github"), dict)
    )
    sandbox = value.get("sandbox") if isinstance(value, dict) else None
    if isinstance(sandbox, dict):
        yield from _sandbox_checks(sandbox)
    plugins = bool(value.get("plugins")) if isinstance(value, dict) else False
    for number, rule in mappings(value, "rules"):
        yield from _rule_checks(rule, f"rules[{number}]", plugins=plugins)
    defaults = value.get("defaults") if isinstance(value, dict) else None
    for name in defaults if isinstance(defaults, dict) else ():
        yield from _type_check(name, f"defaults.{name}", plugins=plugins)


def _sandbox_checks(sandbox: Mapping[str, Any]) -> Iterator[Check]:
    """Refuse what no command can reach or be shown, and what would undo the sandbox's own."""
    yield from host_checks(sandbox, "sandbox.network")
    for number, name in items(sandbox, "secrets"):
        if isinstance(name, str) and name in SET_BY_SANDBOX:
            message = f"the sandbox sets {name} itself, so it cannot be a secret"
            fix = "give the secret a variable of its own"
            yield "reserved_secret", f"sandbox.secrets[{number}]", message, fix
    for number, tool in items(sandbox, "tools"):
        if isinstance(tool, str) and _is_whole(tool):
            message = f"{tool!r} is a whole home or machine, which no command may see"
            fix = "name a folder of tools, like ~/.venv"
            yield "tool_too_wide", f"sandbox.tools[{number}]", message, fix


def _is_whole(tool: str) -> bool:
    """Whether a tool is `/`, `~` or `~name`."""
    names = [name for name in tool.split("/") if name not in {"", "."}]
    return (tool.startswith("/") and not names) or (tool.startswith("~") and len(names) == 1)


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
    yield from _extras(rule, at)
    match = rule.get("match")
    match = match if isinstance(match, dict) else {}
    yield from _match_checks(match, f"{at}.match", plugins=plugins)
    yield from _example_checks(rule, match, f"{at}.examples")


def _extras(rule: Mapping[str, Any], at: str) -> Iterator[Check]:
    useless = [name for name in ("roles", "assurance", "expires_after") if rule.get(name)]
    if rule.get("deny") is not None and useless:
        names = ", ".join(f"`{name}`" for name in useless)
        yield "deny_extras", at, f"a rule that denies has no use for {names}", "leave them out"
    if rule.get("quorum") is not None and rule.get("roles"):
        message = "`quorum` says itself how many of which role, so `roles` has no use"
        yield "quorum_roles", f"{at}.roles", message, "leave `roles` out"


def _match_checks(match: Mapping[str, Any], at: str, *, plugins: bool) -> Iterator[Check]:
    path, command, step_type = (match.get(name) for name in ("path", "command", "step_type"))
    if isinstance(path, str):
        yield from _path_check(path, f"{at}.path")
        yield from _wrong_type(step_type, WITH_PATH, "path", at)
    if isinstance(command, str):
        yield from _command_check(command, f"{at}.command")
        yield from _wrong_type(step_type, WITH_COMMAND, "command", at)
    if path is not None and command is not None:
        message = "a rule is about a path or about a command, not both"
        yield "match_mix", f"{at}.command", message, "write two rules"
    yield from _type_check(step_type, f"{at}.step_type", plugins=plugins)


def _wrong_type(
    step_type: Any, fitting: tuple[str | None, ...], what: str, at: str
) -> Iterator[Check]:
    if step_type not in fitting:
        message = f"a step of type {step_type!r} names no {what}, so the rule matches nothing"
        fix = "leave `step_type` out"
        yield "dead_pattern", f"{at}.{what}", message, fix


def _type_check(step_type: Any, at: str, *, plugins: bool) -> Iterator[Check]:
    """Refuse a type that no step can have: a rule for it would deny nothing, without a word."""
    known = plugins or step_type in BUILT_IN
    if isinstance(step_type, str) and re.match(STEP_TYPE, step_type) and not known:
        message = f"no step has type {step_type!r}: it is not built in, and no plugin is listed"
        yield "unknown_step_type", at, message, f"write one of: {', '.join(BUILT_IN)}"


def _path_check(pattern: str, at: str) -> Iterator[Check]:
    """Refuse a pattern that no path can match: it would deny nothing, without a word."""
    try:
        paths.check_path(globs.WILD.sub("x", pattern))
    except WorkspaceSecurityError as error:
        if error.reason_code != "git_dir":
            message = f"{pattern!r} {error.reason}, so it can match no file"
            yield "dead_pattern", at, message, "write it like docs/** or infra/*.tf"


def _command_check(pattern: str, at: str) -> Iterator[Check]:
    found = sorted(command_line.UNMATCHABLE & set(pattern))
    if found or not command_line.pattern_words(pattern):
        message = f"{pattern!r} has {' '.join(found) or 'no word'}, and a pattern is plain words"
        yield "dead_pattern", at, message, 'write it like "python -m pytest **"'


def _example_checks(rule: Mapping[str, Any], match: Mapping[str, Any], at: str) -> Iterator[Check]:
    given = rule.get("examples")
    given = given if isinstance(given, dict) else {}
    for wanted in ("match", "no_match"):
        texts = given.get(wanted)
        for number, text in enumerate(texts if isinstance(texts, list) else ()):
            if isinstance(text, str):
                yield from _example_check(rule, match, (wanted, text), f"{at}.{wanted}[{number}]")


def _example_check(
    rule: Mapping[str, Any], match: Mapping[str, Any], example: tuple[str, str], at: str
) -> Iterator[Check]:
    wanted, text = example
    hit = example_hit(match, text)
    if hit is None:
        message = "examples are of commands or paths, and `match` has neither"
        yield "example_misfit", at, message, "give `match` a command or a path"
    elif decides(hit, denies=rule.get("deny") is not None) is not (wanted == "match"):
        said = {Hit.YES: "matches", Hit.MAYBE: "may match", Hit.NO: "does not match"}[hit]
        message = f"{text!r} {said}{_why(match, text)}, but stands under `{wanted}`"
        yield "example_differs", at, message, "mend the pattern or the example"


def example_hit(match: Mapping[str, Any], text: str) -> Hit | None:
    """Hold an example against a rule's pattern; None where it has none."""
    command, path = match.get("command"), match.get("path")
    if isinstance(command, str):
        return command_line.hit(command, command_line.read(text))
    return globs.hit(path, text) if isinstance(path, str) else None


def decides(hit: Hit, *, denies: bool) -> bool:
    """Whether a rule that meets something so far decides about it: a doubt is enough to deny."""
    return hit is not Hit.NO if denies else hit is Hit.YES


def _why(match: Mapping[str, Any], text: str) -> str:
    trouble = command_line.read(text).trouble if isinstance(match.get("command"), str) else ""
    return f" ({trouble})" if trouble else ""
