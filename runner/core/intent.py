"""The planner's first phase: what the model is asked, and what its answer may say.

The answer has steps with intents, not content: which files are read and edited and why, which
commands are run. Strings are bounded, since small models loop in unbounded ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.core import paths
from runner.core.errors import WorkspaceSecurityError
from runner.core.fence import RULE, fenced
from runner.core.model_call import Message

PROMPT_VERSION = "plan/1"
MOST_STEPS = 10
KINDS = ("read", "analyze", "edit", "delete", "command", "summarize")
OF_FILES = frozenset({"read", "edit", "delete"})
KEEP = "keep"
SYSTEM = (
    "You plan changes to a software project as JSON. Give the fewest steps that reach the goal."
    " Each step has a kind and a target:\n"
    "- edit: target is the path of one file to create or change; `task` says in one or two"
    " sentences what to write there\n"
    "- delete: target is the path of a file to remove\n"
    "- read: target is the path of a file that a later step needs\n"
    "- command: target is a shell command that changes files, such as a formatter; `task` names the"
    " files that it changes\n"
    "- analyze, summarize: only where the goal asks for an analysis; target is the question\n"
    "One edit for each file. Documentation goes into the file that has it, tests into the test file"
    " of the module. No command that runs the tests: they run anyway, after the last step."
    " `assumptions` has what you took for granted, `questions` what only the person can answer;"
    " both are mostly empty.\n"
    "For example, for the goal 'Add Stack.peek and test it':\n"
    '{"steps": [{"kind": "edit", "target": "lib/stack.py", "task": "Add a method peek() to Stack'
    ' that returns the top item without removing it and raises IndexError where it is empty."},'
    ' {"kind": "edit", "target": "tests/test_stack.py", "task": "Add tests of peek(): the top item'
    ' is returned and stays, an empty stack raises IndexError."}], "assumptions": [],'
    ' "questions": []}\n' + RULE
)
REVISING = (
    " You change an existing plan: for a step that stays as it is give kind keep and its name as"
    " target; write anew only what the wish changes."
)


def _text(most: int, description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, "description": description}


def schema(*, revising: bool = False) -> dict[str, Any]:
    """The JSON Schema of the answer; with `revising` a step may be kept by name."""
    kinds = [*KINDS, KEEP] if revising else list(KINDS)
    step = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": kinds},
            "target": _text(200, "a path, a command, or a question"),
            "task": _text(400, "what to do there, in one or two sentences"),
        },
        "required": ["kind", "target", "task"],
        "additionalProperties": False,
    }
    lines = {"type": "array", "maxItems": 3, "items": _text(160, "one sentence")}
    return {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "minItems": 1, "maxItems": MOST_STEPS, "items": step},
            "assumptions": lines,
            "questions": lines,
        },
        "required": ["steps", "assumptions", "questions"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One step as the model means it; `target` of a file is a checked path."""

    kind: str
    target: str
    task: str


@dataclass(frozen=True, kw_only=True)
class Intents:
    """An answer put in order; `notes` say what was left out or joined, and why."""

    steps: tuple[Intent, ...]
    assumptions: tuple[str, ...]
    questions: tuple[str, ...]
    notes: tuple[str, ...]


def messages(  # noqa: PLR0913  # a prompt has these parts
    *,
    goal: str,
    listing: Sequence[str],
    files: Sequence[tuple[str, str]],
    tests: Sequence[str] = (),
    current: Sequence[str] = (),
    wish: str = "",
) -> list[Message]:
    """Ask for intents; `current` are lines about the steps of a plan that `wish` changes."""
    parts = [fenced("files of the project", "\n".join(listing))]
    parts += [fenced(path, text) for path, text in files]
    if current:
        parts.append(fenced("the plan as it is", "\n".join(current)))
    if tests:
        parts.append(fenced("where the project has its tests", "\n".join(tests)))
    parts.append(f"The goal: {goal}")
    if wish:
        parts.append(f"The wish: {wish}")
    parts.append("Answer with the plan as JSON.")
    system = SYSTEM + REVISING if current else SYSTEM
    return [
        Message(role="system", content=system),
        Message(role="user", content="\n\n".join(parts)),
    ]


def read(data: Mapping[str, Any], *, tracked: Iterable[str], kept: Iterable[str] = ()) -> Intents:
    """Put a valid answer in order: paths checked, one edit a file, nothing that cannot be."""
    known, names, notes = set(tracked), set(kept), []
    steps: list[Intent] = []
    for value in data["steps"]:
        step = _plain(value)
        trouble = _trouble(step, known, names)
        if trouble:
            notes.append(f"left out {step.kind} {step.target}: {trouble}")
            continue
        if step.kind in OF_FILES:
            step = replace(step, target=paths.check_path(_clean(step.target)))
        if step.kind == "edit":
            known.add(step.target)
        if not _joined(steps, step, notes):
            steps.append(step)
    return Intents(
        steps=tuple(steps),
        assumptions=tuple(_lines(data["assumptions"])),
        questions=tuple(_lines(data["questions"])),
        notes=tuple(notes),
    )


def _plain(value: Mapping[str, str]) -> Intent:
    task = once_each(value["task"])
    return Intent(kind=value["kind"], target=value["target"].strip(), task=task)


def once_each(text: str) -> str:
    """Drop sentences that were said before, and a last one that was cut off after others."""
    said = [each for each in re.split(r"(?<=[.!?])\s+", text.strip()) if each]
    once = list(dict.fromkeys(said))
    if len(once) < len(said) and not once[-1].endswith((".", "!", "?")) and len(once) > 1:
        once.pop()
    return " ".join(once)


def _clean(target: str) -> str:
    return target.strip().strip("`'\"").removeprefix("./")


def _trouble(step: Intent, known: set[str], names: set[str]) -> str:
    """Why a step cannot be; empty where it can."""
    if not step.target or not step.task:
        return "it says nothing"
    if step.kind == KEEP:
        return "" if step.target in names else "the plan has no such step"
    return _path_trouble(step, known) if step.kind in OF_FILES else ""


def _path_trouble(step: Intent, known: set[str]) -> str:
    path = _clean(step.target)
    try:
        path = paths.check_path(path)
    except WorkspaceSecurityError as error:
        return error.reason
    if paths.is_authority(path) or path.startswith("plans/"):
        return "no plan may change it" if step.kind != "read" else "a plan reads no plans"
    return "" if step.kind == "edit" or path in known else "there is no such file"


def _joined(steps: list[Intent], step: Intent, notes: list[str]) -> bool:
    """Whether a step is part of an earlier one: two edits of a file become one, twins are one."""
    for number, other in enumerate(steps):
        if (other.kind, other.target) != (step.kind, step.target):
            continue
        if step.kind == "edit" and step.task != other.task:
            task = once_each(f"{other.task} {step.task}")
            steps[number] = replace(other, task=task)
            notes.append(f"joined two edits of {step.target}")
        return step.kind in {*OF_FILES, KEEP} or step.task == other.task
    return False


def _lines(values: Iterable[str]) -> list[str]:
    return [line for line in dict.fromkeys(" ".join(each.split()) for each in values) if line]


def step_name(kind: str, target: str, taken: Iterable[str]) -> str:
    """A step's id made of what it does; unlike those that are taken."""
    words = re.findall(r"[a-z0-9]+", target.lower())
    if kind in OF_FILES:
        stem = target.lower().rpartition("/")[2]
        words = re.findall(r"[a-z0-9]+", stem.rpartition(".")[0] or stem)
    name = "-".join([kind, *words[:4]])[:48].strip("-")
    used = set(taken)
    candidates = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(each for each in candidates if each not in used)
