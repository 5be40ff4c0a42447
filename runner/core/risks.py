"""What in a step deserves a second look, under labels that rules can name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from runner.core import globs, paths
from runner.core.plan import EditFileInput, RunCommandInput, Step, typed_input, undo_step
from runner.core.plan_checks import BUILT_IN
from runner.core.text import Character, mixed_letters, unusual_characters, visible

Label = Literal[
    "command",
    "network",
    "environment",
    "secret",
    "wide_writes",
    "protected_path",
    "delete",
    "executable",
    "unusual_characters",
    "plugin",
]
LABELS: tuple[Label, ...] = get_args(Label)
MEANINGS: Mapping[Label, str] = {
    "command": "runs a command",
    "network": "runs a command that names hosts",
    "environment": "runs a command with environment variables of its own",
    "secret": "gives a command secrets of the runner",
    "wide_writes": "runs a command that may change a whole tree: a glob that begins with a wildcard",
    "protected_path": "changes a path that steers the forge or git",
    "delete": "deletes a file",
    "executable": "makes a file a program",
    "unusual_characters": "has characters beyond ASCII in a command, path or host, or mixes scripts in a word of a file",
    "plugin": "is of a type that is not built in",
}
FIELDS = ("command", "path", "working_dir", "network", "writes", "reads", "env", "secrets")


@dataclass(frozen=True, kw_only=True)
class Risk:
    """A label, and what in the step earned it, safe to show."""

    label: Label
    detail: str


def of(step: Step) -> tuple[Risk, ...]:
    """Every risk of a step, in the order of LABELS, and then those of its undo command."""
    undo = undo_step(step)
    later = (Risk(label=each.label, detail=f"undo: {each.detail}") for each in _own(undo))
    return (*_own(step), *later)


def _own(step: Step | None) -> tuple[Risk, ...]:
    if step is None:
        return ()
    given = typed_input(step)
    found: list[tuple[Label, str]] = []
    if isinstance(given, RunCommandInput):
        found += _of_command(given)
    if isinstance(given, EditFileInput):
        found += _of_edit(given)
    if given is None or step.step_type not in BUILT_IN:
        found.append(("plugin", step.step_type))
    found += [("unusual_characters", text) for text in unusual(step)]
    found.sort(key=lambda each: LABELS.index(each[0]))
    return tuple(Risk(label=label, detail=visible(detail)) for label, detail in found)


def labels(step: Step) -> frozenset[Label]:
    """The labels that the step itself earns; its undo command is judged by its own."""
    return frozenset(each.label for each in _own(step))


def of_path(target: str) -> frozenset[Label]:
    """What a change of a path, or of a glob, is by its name alone."""
    found: dict[Label, bool] = {
        "protected_path": paths.is_protected(target),
        "unusual_characters": not target.isascii(),
        "wide_writes": globs.is_glob(target.split("/", 1)[0]),
    }
    return frozenset(label for label, has in found.items() if has)


def of_change(*, gone: bool, mode: str | None) -> frozenset[Label]:
    """What a command did to a path; `mode` is git's of what is there now."""
    if gone:
        return frozenset({"delete"})
    return frozenset({"executable"} if mode == "100755" else ())


def _of_command(given: RunCommandInput) -> Iterator[tuple[Label, str]]:
    yield "command", given.command
    if given.network:
        yield "network", ", ".join(given.network)
    if given.env:
        yield "environment", ", ".join(given.env)
    if given.secrets:
        yield "secret", ", ".join(given.secrets)
    for glob in given.writes:
        if globs.is_glob(glob.split("/", 1)[0]):
            yield "wide_writes", glob
        if paths.is_protected(glob):
            yield "protected_path", glob


def _of_edit(given: EditFileInput) -> Iterator[tuple[Label, str]]:
    if paths.is_protected(given.path):
        yield "protected_path", given.path
    if given.delete:
        yield "delete", given.path
    if given.mode == "0755":
        yield "executable", given.path


def unusual(step: Step) -> tuple[str, ...]:
    """Name characters that may pass for others (attack case B04).

    In what is executed or addressed that is every one beyond ASCII.
    """
    found = [
        f"{field} contains {_name(char)}"
        for field in FIELDS
        for char in unusual_characters(_flat(step.input.get(field)))
    ]
    found += [
        f"a word of the new content mixes in {_name(char)}"
        for text in _written(step)
        for char in mixed_letters(text)
    ]
    return tuple(dict.fromkeys(found))


def _written(step: Step) -> Iterator[str]:
    """Text that an edit puts into a file, where letters of any script are usual but in one word."""
    given = typed_input(step)
    if isinstance(given, EditFileInput):
        yield given.new_content or ""
        yield from (each.replace for each in given.edits or ())


def _name(char: Character) -> str:
    return f"U+{char.code_point:04X} {char.name}"


def _flat(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    return value if isinstance(value, str) else ""
