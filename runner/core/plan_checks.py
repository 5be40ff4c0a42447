"""What the schema of a plan cannot say: what spans fields and steps, and paths and hosts.

All of it takes broken plans too, since every problem of a file is told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

from runner.core import globs, paths
from runner.core.errors import Problem, WorkspaceSecurityError

BUILT_IN = ("read_file", "analyze", "edit_file", "run_command", "summarize")
MAX_STEPS = 1000
MAX_FINDINGS = 1000
EDIT_WAYS = ("new_content", "edits", "delete", "instruction")

# Code, path, message and fix.
Check: TypeAlias = tuple[str, str, str, str]


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
    seen: dict[str, None] = {}
    for number, step in islice(mappings(value, "steps"), MAX_STEPS):
        at, step_id = f"steps[{number}]", step.get("id")
        if isinstance(step_id, str) and step_id in seen:
            yield "duplicate_step", f"{at}.id", f"step id {step_id!r} is used twice", "rename it"
        yield from _type_check(step.get("step_type"), f"{at}.step_type")
        if isinstance(step.get("input"), dict):
            yield from _input_checks(step.get("step_type"), step["input"], f"{at}.input", seen)
        if isinstance(step.get("undo"), dict):
            yield from _command_checks(step["undo"], f"{at}.undo")
        if isinstance(step_id, str):
            seen[step_id] = None


def _type_check(step_type: Any, at: str) -> Iterator[Check]:
    """A plugin's type may not look like a built-in one: a slip of the pen would go unchecked."""
    if isinstance(step_type, str) and step_type not in BUILT_IN:
        import difflib

        for close in difflib.get_close_matches(step_type, BUILT_IN, n=1, cutoff=0.85):
            message = f"step type {step_type!r} is too much like {close!r}"
            yield "misspelt_step_type", at, message, f"write {close}"


def _input_checks(
    step_type: Any, given: Mapping[str, Any], at: str, seen: Collection[str]
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


def _context_checks(given: Mapping[str, Any], at: str, seen: Collection[str]) -> Iterator[Check]:
    for number, name in items(given, "context"):
        if isinstance(name, str) and name not in seen:
            yield (
                "unknown_context",
                f"{at}.context[{number}]",
                f"context names {name!r}, which is not an earlier step",
                f"name one of: {', '.join(list(seen)[-10:])}" if seen else "leave `context` out",
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
    from runner.core import hosts

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
