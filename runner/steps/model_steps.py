"""`analyze` and `summarize`: put a question to the model over goal and earlier outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from runner.core.fence import RULE, fenced
from runner.core.model_call import Message
from runner.core.plan import ModelInput
from runner.steps.contract import Context, Output, Preview, Prompt, Reader, StepType

MATERIAL_LIMIT = 100_000
SHORTEST_PART = 400
VERSION = "step/v1"
SYSTEM = (
    "You do one step of a plan for a software project: you answer a question about the material."
    f" {RULE} Nothing that you write is executed. Answer in plain text, to the point, and say so"
    " where the material does not tell."
)


def prompt(kind: Literal["analyze", "summarize"], context: Context, given: ModelInput) -> Prompt:
    """Write a question: the goal, each named output (else all so far) as data, the instruction."""
    names = [name for name in given.context or context.outputs if name in context.outputs]
    parts = [f"Goal of the plan: {context.goal.strip()}"]
    parts += [
        fenced(f"output of step {name}", text)
        for name, text in _within_limit([(name, context.outputs[name]) for name in names])
    ]
    parts.append(f"Your task: {given.instruction.strip()}")
    messages = [
        Message(role="system", content=SYSTEM),
        Message(role="user", content="\n\n".join(parts)),
    ]
    return Prompt(kind=kind, version=VERSION, messages=messages, over=names)


def _within_limit(outputs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep the newest whole, and of older ones head and tail as far as there is room."""
    left = MATERIAL_LIMIT
    kept = []
    for name, text in reversed(outputs):
        part = _cut(text, left)
        left = max(left - len(part), 0)
        kept.append((name, part))
    return kept[::-1]


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2 if most >= SHORTEST_PART else 0
    note = f"[{len(text) - 2 * half} characters left out]"
    return f"{text[:half]}\n{note}\n{text[-half:]}" if half else note


class ModelStep(StepType):
    name: ClassVar[Literal["analyze", "summarize"]]
    model: ClassVar = ModelInput
    idempotent = True

    def preview(self, given: ModelInput, read: Reader) -> Preview:  # noqa: ARG002  # the contract's
        details = [("asks", given.instruction), ("over", ", ".join(given.context) or "all so far")]
        return Preview(line=given.instruction.splitlines()[0], details=details)

    def execute(self, context: Context, given: ModelInput) -> Output:
        return context.ask(prompt(self.name, context, given))


class Analyze(ModelStep):
    name = "analyze"


class Summarize(ModelStep):
    name = "summarize"
