"""Let a model draft one file, apply it on trial, and ask again with what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.core import drafting
from runner.core.drafting import Misfit
from runner.core.errors import NoRoute, StepFailed
from runner.core.model_call import (
    Answer,
    CacheWish,
    CallContext,
    Message,
    Params,
    Request,
    Tier,
)
from runner.models.contract import Models, OnText, Purse

MAX_TOKENS = 8_192
TRIES: tuple[Tier, ...] = ("auto", "auto", "strong")


@dataclass(frozen=True, kw_only=True)
class DraftWish:
    """What to write into which file; `before` is None for a new one.

    `material` are (name, text) of what helps; `model` and `tier` bind the choice of model.
    """

    goal: str
    path: str
    instruction: str
    before: str | None
    material: Sequence[tuple[str, str]] = ()
    model: str | None = None
    tier: Tier = "auto"
    timeout_s: int = 600
    cache: CacheWish = field(default_factory=CacheWish)
    context: CallContext = field(default_factory=CallContext)


@dataclass(frozen=True, kw_only=True)
class Drafted:
    """The step's input without its pin, every answer that was asked for, what to look at twice."""

    input: dict[str, Any]
    after: str
    answers: tuple[Answer, ...]
    complaints: tuple[str, ...]


class DraftFailed(StepFailed):
    """No draft of a model applied; `answers` are what was paid for."""

    code = "draft_failed"

    def __init__(self, message: str, *, answers: tuple[Answer, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.answers = answers


def draft(
    models: Models, wish: DraftWish, *, purse: Purse | None = None, on_text: OnText | None = None
) -> Drafted:
    """Ask for a draft until one applies and parses; raises DraftFailed, or ModelError."""
    talk = drafting.messages(
        goal=wish.goal,
        path=wish.path,
        instruction=wish.instruction,
        before=wish.before,
        material=wish.material,
    )
    answers: list[Answer] = []
    why = ""
    for tier in TRIES:
        answer = _asked(models, wish, talk, tier, purse=purse, on_text=on_text)
        answers.append(answer)
        try:
            return _tried(wish, answer, answers)
        except Misfit as error:
            why = str(error)
            talk = [*talk[:2], *_again(answer.text or "", why)]
    raise DraftFailed(
        f"drafting {wish.path}: no answer of {answers[-1].route.response_model} applies: {why}",
        answers=tuple(answers),
        hint="say more in the goal, name a stronger model with --model, or ask anew with --live",
    )


def _asked(  # noqa: PLR0913  # a question has these parts
    models: Models,
    wish: DraftWish,
    talk: list[Message],
    tier: Tier,
    *,
    purse: Purse | None,
    on_text: OnText | None,
) -> Answer:
    """Ask a model of the tier; where none is configured, whichever serves."""
    try:
        return models.complete(_request(wish, talk, tier), purse=purse, on_text=on_text)
    except NoRoute:
        if tier == "auto":
            raise
        return models.complete(_request(wish, talk, "auto"), purse=purse, on_text=on_text)


def _tried(wish: DraftWish, answer: Answer, answers: Sequence[Answer]) -> Drafted:
    if answer.finish_reason == "length":
        raise Misfit("your answer was cut off before its end; write less")
    made = drafting.read(answer.text or "", path=wish.path, before=wish.before)
    after = drafting.apply(made, wish.before)
    if made.content is not None:
        made = replace(made, content=after)
    return Drafted(
        input=made.input(wish.path),
        after=after,
        answers=tuple(answers),
        complaints=drafting.check(wish.path, wish.before, after),
    )


def _again(answer: str, why: str) -> list[Message]:
    ask = f"That cannot be used: {why}. Write it again, correctly, in the form asked for."
    return [
        Message(role="assistant", content=answer or "(nothing)"),
        Message(role="user", content=ask),
    ]


def _request(wish: DraftWish, talk: list[Message], tier: Tier) -> Request:
    context = wish.context.model_copy(update={"prompt_version": drafting.PROMPT_VERSION})
    return Request(
        messages=talk,
        kind="edit",
        tier=tier if wish.tier == "auto" else wish.tier,
        model=wish.model,
        params=Params(temperature=0.0, seed=1, max_tokens=MAX_TOKENS, timeout_s=wish.timeout_s),
        cache=wish.cache,
        context=context,
    )
