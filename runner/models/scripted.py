"""The scripted model: answers from a file, for demos and tests, with stated tokens and cost.

Without a script it echoes the question and the size of what it was given, so that nobody takes
it for a real model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from runner.core import documents
from runner.core.errors import FileAccessError, InvalidDocument, StepFailed
from runner.core.plan import Tokens, model_problems
from runner.core.values import Strict, Text, Usd

PROVIDER = "scripted"
MODEL = "scripted-1"
BYTES_PER_TOKEN = 4


class Answer(Strict):
    """One scripted answer: the first whose `match` occurs in the question is given."""

    match: str
    answer: Text
    tokens: Tokens
    cost_usd: Usd


class Script(Strict):
    version: Literal[1]
    answers: Annotated[list[Answer], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer with what it cost; `cost_status` is as in the ledger."""

    text: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    cost_status: Literal["computed", "free"]


class ScriptedModel:
    def __init__(self, answers: Sequence[Answer] = ()) -> None:
        self.answers = tuple(answers)

    def price(self, instruction: str) -> Decimal:
        """What answering would cost at most, known before it is asked."""
        found = self._find(instruction)
        return Decimal(found.cost_usd) if found else Decimal(0)

    def complete(self, instruction: str, material: str) -> Completion:
        """Answer; raises StepFailed where a script is given and none of its answers fits."""
        found = self._find(instruction)
        if found:
            return Completion(
                text=found.answer,
                input_tokens=found.tokens.input,
                output_tokens=found.tokens.output,
                cost_usd=Decimal(found.cost_usd),
                cost_status="computed",
            )
        if self.answers:
            raise StepFailed(
                f"asking the scripted model: no answer matches {instruction[:60]!r}",
                hint="add an answer to the script, or unset PLANLOCK_MODEL_SCRIPT",
            )
        text = (
            f"(scripted model, no provider is configured) asked: {instruction.strip()}\n"
            f"given: {len(material)} characters of material"
        )
        return Completion(
            text=text,
            input_tokens=len((instruction + material).encode()) // BYTES_PER_TOKEN,
            output_tokens=len(text) // BYTES_PER_TOKEN,
            cost_usd=Decimal(0),
            cost_status="free",
        )

    def _find(self, instruction: str) -> Answer | None:
        return next((each for each in self.answers if each.match in instruction), None)


def load(path: Path | None) -> ScriptedModel:
    """Read a script; raises InvalidDocument or FileAccessError."""
    if path is None:
        return ScriptedModel()
    try:
        value: Any = documents.parse(path.read_bytes(), file=str(path)).value
        return ScriptedModel(Script.model_validate(value).answers)
    except OSError as error:
        raise FileAccessError(f"reading model script {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=str(path))) from error
