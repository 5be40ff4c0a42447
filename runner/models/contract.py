"""What the router needs from outside: providers of models, money, a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from runner.core.model_call import Answer, FinishReason, Message, Request, StructureRequest, Usage

OnText = Callable[[str], None]
FailureKind = Literal[
    "rate_limited",  # 429; later it may work
    "unavailable",  # 5xx, or the connection broke; later it may work
    "timeout",  # no whole answer in time
    "unreachable",  # nobody listens there; another provider may serve
    "malformed",  # an answer that is not what the provider's API promises
    "context_too_long",  # a model with a larger window may serve
    "refused",  # 4xx: key, model name or parameter; the same request is refused again
]


def silent(_text: str) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One HTTP request to a provider; `window` is the model's context in tokens, input and output.

    With a `schema` the provider is asked to enforce it where it can; the router checks anyway.
    """

    model: str
    messages: Sequence[Message]
    max_tokens: int
    timeout_s: int
    window: int
    temperature: float | None = None
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a provider said; `raw_usage` is its own account of the tokens, as it wrote it.

    `cost_usd` is set where the provider itself names the price of the call.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    response_model: str
    raw_usage: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: Decimal | None = None


class Failure(Exception):
    """A provider gave no answer; `usage` is what it may have cost all the same."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.usage = usage


class Provider(Protocol):
    """Openai-compatible servers, Gemini, Ollama, the scripted model."""

    name: str

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        """Send one request; with `on_text` the answer streams through it. Raises Failure."""

    def offered(self) -> Sequence[str]:
        """Names of the models that the provider says it has; raises Failure."""

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Want:
    """The worst that one attempt may cost; `usd` is None where no price is known."""

    usd: Decimal | None
    tokens: int
    model: str


class Purse(Protocol):
    """Money and tokens: one in memory, one in the ledger that processes share."""

    def reserve(self, want: Want) -> str:
        """Set the worst case aside and name the reservation; raises BudgetExceeded."""

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        """Replace the worst case by what it was; None for a price that nobody knows."""

    def left(self) -> Decimal | None:
        """What the tightest bound on money leaves; None where there is no bound."""


class Models(Protocol):
    """What the engine asks: the router in this process, or one behind HTTP.

    `purse` bounds the money beside the request's own budget; `on_text` hears the answer as it
    comes, which is provisional: a retry or a repair starts it anew.
    """

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text; raises ModelError."""

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema; raises ModelError."""

    def close(self) -> None: ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time and chance; `monotonic` and `sleep` in seconds, `random` in [0, 1), ids are unique.

    `now` decides which of several price lists holds.
    """

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    new_id: Callable[[], str]
    now: Callable[[], datetime] = _utc_now
