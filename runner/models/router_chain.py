"""Down the chain: escalate on evidence, fall back on errors, and say what was tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from runner.core.errors import (
    BudgetExceeded,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    PriceUnknown,
    ProviderFailed,
    RateLimited,
    SchemaViolation,
)
from runner.core.model_call import StructureRequest
from runner.core.text import visible
from runner.models.choice import Chain
from runner.models.config import ModelConfig
from runner.models.contract import Failure, FailureKind, Reply
from runner.models.router_call import Call
from runner.models.structured import Form, repair

LOOK: Final = "planlock models --check"
STRONGER: Final = "name a stronger model, or allow a longer answer: planlock models"
_ERRORS: Final[Mapping[FailureKind, type[ModelError]]] = {
    "rate_limited": RateLimited,
    "timeout": ModelTimeout,
    "context_too_long": ContextTooLong,
}
_BECAUSE: Final[Mapping[FailureKind, str]] = {
    "rate_limited": "fell back: rate limited",
    "unavailable": "fell back: provider unavailable",
    "timeout": "fell back: no answer in time",
    "unreachable": "fell back: provider unreachable",
    "malformed": "fell back: malformed answer",
    "context_too_long": "escalated: input exceeds the context",
    "refused": "fell back: provider refused the request",
}


class Unfit(Exception):
    """A model answered, but not what was asked for."""

    def __init__(self, because: str, message: str) -> None:
        super().__init__(message)
        self.because = because
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a model said and why that model; `data` and `repairs` where a schema was given."""

    model: ModelConfig
    reply: Reply
    data: Any = None
    repairs: int = 0
    reason: str = ""


@dataclass(kw_only=True)
class Walk:
    """The models of a chain, asked in turn; `passed` are those that did not serve, with cause.

    `poor` tells that the first was passed over for money, which may be there tomorrow.
    """

    call: Call
    chain: Chain
    passed: list[tuple[str, str]] = field(default_factory=list)
    poor: bool = False

    def first(self, ask: Callable[[ModelConfig], Said]) -> Said:
        """Give the first whole answer, else what is best of the others; raises ModelError."""
        best: Said | None = None
        last: Exception | None = None
        because = self.chain.reason
        for model in self.chain.models:
            try:
                said = replace(ask(model), reason=because)
            except (Failure, Unfit, BudgetExceeded, PriceUnknown) as error:
                last = error
                self.poor |= not self.passed and isinstance(error, BudgetExceeded | PriceUnknown)
                because, why = _because(error), _why(error, model)
            else:
                if said.reply.finish_reason == "stop":
                    return said
                best = _better(best, said)
                because, why = _halfway(said.reply)
            self.passed.append((model.ref, why))
        if best is not None:
            return best
        raise self._given_up(last)

    def fallbacks(self, served: str) -> list[str]:
        others = [f"{ref}: {why}" for ref, why in self.passed if ref != served]
        return [visible(each) for each in (*self.chain.left_out, *others)]

    def _given_up(self, last: Exception | None) -> ModelError:
        """Build the error that the last one decides, which names every model that was tried."""
        message = f"asking {'; '.join(self.fallbacks(''))}"
        error = _error_class(last)(visible(message), hint=_hint(last))
        error.attempts = tuple(self.call.attempts)
        error.retryable &= not (isinstance(last, Failure) and last.kind == "refused")
        return error


def text_by(call: Call, model: ModelConfig) -> Said:
    """Ask one model for a text, which may be cut off; raises Failure or ModelError."""
    return Said(model=model, reply=call.ask(model, call.request.messages))


def data_by(call: Call, form: Form, model: ModelConfig) -> Said:
    """Ask one model for data, with repairs; raises Unfit, Failure or ModelError."""
    messages = call.request.messages
    repairs = call.request.max_repairs if isinstance(call.request, StructureRequest) else 0
    for number in range(repairs + 1):
        reply = call.ask(model, messages)
        if reply.finish_reason != "stop":
            raise Unfit(*_halfway(reply))
        checked = form.read(reply.text)
        if not checked.problems:
            return Said(model=model, reply=reply, data=checked.data, repairs=number)
        call.spoil(checked.problems[0])
        messages = repair(call.request.messages, reply.text, checked.problems)
    raise Unfit(
        "escalated: answer did not satisfy the schema",
        f"its answer does not satisfy the schema: {checked.problems[0]}",
    )


def _halfway(reply: Reply) -> tuple[str, str]:
    if reply.finish_reason == "length":
        return "escalated: answer was cut off", "its answer was cut off by length"
    return "escalated: model refused", "the model refused to answer"


def _better(one: Said | None, other: Said) -> Said:
    """Prefer the later of two, but a text that was cut off to a refusal."""
    if one is None or other.reply.finish_reason == "length":
        return other
    return other if one.reply.finish_reason == "refused" else one


def _because(error: Failure | Unfit | ModelError) -> str:
    if isinstance(error, Unfit):
        return error.because
    if isinstance(error, Failure):
        return _BECAUSE[error.kind]
    unpriced = isinstance(error, PriceUnknown)
    return "fell back: price unknown" if unpriced else "fell back: budget too small"


def _why(error: Failure | Unfit | ModelError, model: ModelConfig) -> str:
    return error.message.removeprefix(f"asking {model.ref}: ")


def _hint(last: Exception | None) -> str:
    if isinstance(last, ModelError):
        return last.hint
    return STRONGER if isinstance(last, Unfit) else LOOK


def _error_class(last: Exception | None) -> type[ModelError]:
    if isinstance(last, Failure):
        return _ERRORS.get(last.kind, ProviderFailed)
    return type(last) if isinstance(last, ModelError) else SchemaViolation
