"""A step's prompt as a request, and the answer as the step's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from runner.core.cost import Call
from runner.core.errors import StepFailed
from runner.core.model_call import Answer, CallContext, InputFile, Params, Request
from runner.core.plan import ReadFileInput, typed_input
from runner.core.redaction import redact
from runner.core.redaction_stream import Redactor
from runner.core.run import digest_bytes
from runner.core.text import visible
from runner.models.contract import OnText
from runner.steps.contract import Output, Prompt
from runner.verbs import recording
from runner.verbs.session import Session

ANSWER_S = 300
LONGEST_PATH = 500
CUT_OFF = "\n[the answer was cut off here]"


class Answers(Protocol):
    """What answers a step's questions: models, or the record of a run that is done again."""

    held: Session
    hidden: tuple[str, ...]
    transcripts: list[dict[str, Any]]

    def complete(self, request: Request, *, on_text: OnText | None = None) -> Answer: ...

    def recorded(self) -> tuple[Call, ...]: ...

    @property
    def remembered(self) -> bool: ...


def answer(models: Answers, prompt: Prompt, progress: Callable[[bytes], None]) -> Output:
    """Ask, and give the answer without secrets; raises ModelError, LedgerError or StepFailed."""
    redactor = Redactor(models.hidden)

    def show(data: bytes) -> None:
        if data:
            progress(data)

    found = models.complete(
        _request(prompt, models.held),
        on_text=lambda text: show(redactor.feed(text.encode("utf-8", "replace"))),
    )
    show(redactor.finish())
    told = redact(found.text or "", models.hidden).text
    if not told.strip():
        raise StepFailed(f"asking {found.route.response_model}: the answer is empty")
    whole = told + CUT_OFF if found.finish_reason == "length" else told
    data = whole.encode("utf-8", "replace")
    text, truncated = recording.bounded(visible(whole))
    return Output(text=text, digest=digest_bytes(data), length=len(data), truncated=truncated)


def _request(prompt: Prompt, held: Session) -> Request:
    return Request(
        messages=list(prompt.messages),
        kind=prompt.kind,
        params=Params(temperature=0.0, seed=1, max_tokens=prompt.max_tokens, timeout_s=ANSWER_S),
        context=CallContext(prompt_version=prompt.version, inputs=_inputs(held, prompt.over)),
    )


def _inputs(held: Session, names: Sequence[str]) -> list[InputFile]:
    """The files whose content the named steps read."""
    found = []
    for step in held.plan.file.plan.steps:
        given, record = typed_input(step), held.run.latest(step.id)
        if step.id not in names or not isinstance(given, ReadFileInput):
            continue
        if record and record.output and len(given.path) <= LONGEST_PATH:
            found.append(InputFile(path=given.path, sha256=record.output.digest))
    return found
