"""Amendments: what a model drafted takes the place of an instruction, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runner.core import documents
from runner.core.canonical import canonical_json
from runner.core.documents import Document, NodePath, dump
from runner.core.errors import InvalidDocument
from runner.core.plan import EditFileInput, PlanFile, Step, header_digest, step_digest, typed_input
from runner.core.record import RecordedDraft

WAYS = ("new_content", "edits")
PIN = "replaces"
Input = Mapping[str, Any]


def is_draft(step: Step) -> bool:
    """Whether a step only says what is wanted, so that a model has to write the text."""
    given = typed_input(step) if step.step_type == "edit_file" else None
    return isinstance(given, EditFileInput) and given.instruction is not None


def drafted(given: Input, made: Input, *, pin: str) -> dict[str, Any]:
    """The input of a step with its draft: text and pin in the place of the instruction."""
    text = {way: made[way] for way in WAYS if made.get(way) is not None}
    return {"path": given["path"], PIN: pin, **text, **_kept(given)}


def _kept(given: Input) -> dict[str, Any]:
    """What a draft leaves as it is."""
    gone = {"instruction", PIN, *WAYS}
    return {name: value for name, value in given.items() if name not in gone}


def strayed(before: Step, after: Step) -> str:
    """Say what a draft changed beside the instruction; empty where it is in order."""
    if not is_draft(before):
        return "the step had no instruction"
    old, new = before.model_copy(update={"input": {}}), after.model_copy(update={"input": {}})
    if old != new:
        return "it changes more of the step than its text"
    if is_draft(after) or sum(after.input.get(way) is not None for way in WAYS) != 1:
        return "it has no text in the place of the instruction"
    if after.input.get(PIN) is None or before.input.get(PIN) not in {None, after.input[PIN]}:
        return "it is not pinned to the file that it was written against"
    same = canonical_json(_kept(before.input)) == canonical_json(_kept(after.input))
    return "" if same else "it changes more of the input than the instruction"


def carried(
    newer: Mapping[str, Any], own: PlanFile, drafts: Iterable[RecordedDraft]
) -> dict[int, dict[str, Any]]:
    """Inputs of the drafts of a run, by place, that stand in a newer plan as written.

    A draft stands where the newer plan asks for the same, after the same steps.
    """
    pairs = zip(own.plan.steps, own.digests, strict=True)
    texts = {(step.id, digest): step.input for step, digest in pairs}
    made = {each.before: texts.get((each.step, str(each.after))) for each in drafts}
    found: dict[int, dict[str, Any]] = {}
    last = header_digest(newer)
    for number, step in enumerate(newer["steps"] if any(made.values()) else ()):
        before, last = last, step_digest(step, last)
        text = made.get(last)
        if text is not None:
            found[number] = text
            last = step_digest(_with_input(step, text), before)
    return found


def with_inputs(value: Mapping[str, Any], inputs: Mapping[int, Input]) -> dict[str, Any]:
    """A plan as written, with other inputs of some steps."""
    steps = [
        _with_input(step, inputs[number]) if number in inputs else step
        for number, step in enumerate(value["steps"])
    ]
    return {**value, "steps": steps}


def _with_input(step: Mapping[str, Any], given: Input) -> dict[str, Any]:
    return {**step, "input": dict(given)}


def rewrite(document: Document, inputs: Mapping[int, Input]) -> bytes:
    """A plan's file with other inputs of some steps; what people wrote elsewhere stays.

    Raises ValueError for a text that our documents cannot hold.
    """
    wanted, text = with_inputs(document.value, inputs), document.text
    whole = dump(wanted)
    for number in sorted(inputs, reverse=True):
        path: NodePath = ("steps", number, "input")
        start, end = document.span(path)
        text = text[:start] + _written(document, path, inputs[number], text[start:end]) + text[end:]
    return text.encode() if _says(text.encode(), wanted) else whole


def _written(document: Document, path: NodePath, given: Input, old: str) -> str:
    """An input in the style of the one in whose place it comes."""
    if document.is_flow(path):
        return json.dumps(given, ensure_ascii=False)
    indent = "\n" + " " * (document.place(path).column - 1)
    lines = dump(dict(given)).decode().removesuffix("\n").split("\n")
    text = "".join(f"{indent}{line}" if line else "\n" for line in lines).removeprefix(indent)
    return text + ("\n" if old.endswith("\n") else "")


def _says(data: bytes, wanted: Mapping[str, Any]) -> bool:
    try:
        found = documents.parse(data, file="plan.yaml").value
    except InvalidDocument:
        return False
    return canonical_json(found) == canonical_json(wanted)
