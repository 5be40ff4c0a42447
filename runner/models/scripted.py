"""The scripted model: answers from a file, for demos and tests, with stated tokens and cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from runner.core import documents
from runner.core.errors import FileAccessError, InvalidDocument
from runner.core.model_call import FinishReason, Usage
from runner.core.plan import Tokens, model_problems
from runner.core.values import Strict, Text, Usd
from runner.models.contract import Ask, Failure, OnText, Reply
from runner.models.http_failures import one_line

PROVIDER = "scripted"
MODEL = "scripted-1"
SHOWN = 60


class Answer(Strict):
    """One scripted answer; it is given where `match` occurs in what is asked."""

    match: str
    answer: Text
    tokens: Tokens
    cost_usd: Usd
    finish_reason: FinishReason = "stop"


class Script(Strict):
    version: Literal[1]
    answers: Annotated[list[Answer], Field(min_length=1)]


class Scripted:
    """A provider whose answers are written beforehand."""

    def __init__(self, name: str, answers: Sequence[Answer]) -> None:
        self.name = name
        self.answers = tuple(answers)

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        """Give the answer that fits; raises Failure where none does."""
        found = self._find(ask)
        if on_text:
            for line in found.answer.splitlines(keepends=True):
                on_text(line)
        return Reply(
            text=found.answer,
            finish_reason=found.finish_reason,
            usage=Usage(
                input_tokens=found.tokens.input,
                output_tokens=found.tokens.output,
                source="provider",
            ),
            response_model=MODEL,
            raw_usage=found.tokens.model_dump(),
            cost_usd=Decimal(found.cost_usd),
        )

    def offered(self) -> Sequence[str]:
        return [MODEL]

    def close(self) -> None:
        """Nothing is open."""

    def _find(self, ask: Ask) -> Answer:
        """The first that occurs in the last question, else in anything said."""
        questions = [each.content for each in ask.messages if each.role == "user"]
        everything = [each.content for each in ask.messages]
        for texts in (questions[-1:], everything):
            for answer, text in product(self.answers, texts):
                if answer.match in text:
                    return answer
        asked = one_line((questions or everything or [""])[-1][:SHOWN])
        message = f"no answer of the script matches {asked!r}: add one, or name another model"
        raise Failure("refused", message)


def load(path: Path, name: str = PROVIDER) -> Scripted:
    """Read a script; raises InvalidDocument or FileAccessError."""
    try:
        value: Any = documents.parse(path.read_bytes(), file=str(path)).value
        return Scripted(name, Script.model_validate(value).answers)
    except OSError as error:
        raise FileAccessError(f"reading model script {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidDocument(model_problems(error, file=str(path))) from error
