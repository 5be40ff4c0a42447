"""One call while it lasts: its time, its money, and every HTTP request that it made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Final

from runner.core.errors import BudgetExceeded, PriceUnknown
from runner.core.model_call import (
    Attempt,
    AttemptStatus,
    BudgetNote,
    Cost,
    CostStatus,
    FinishReason,
    Message,
    Request,
    Usage,
)
from runner.core.text import visible
from runner.core.values import usd
from runner.models import purse as purses
from runner.models.choice import PriceOf, fits, likely_tokens, most_tokens, room, schema_of
from runner.models.config import ModelConfig
from runner.models.contract import (
    Ask,
    Clock,
    Failure,
    FailureKind,
    OnText,
    Provider,
    Purse,
    Reply,
    Want,
)
from runner.models.prices import OWN, SMALLEST, Price
from runner.models.retry import pause

MAX_ERROR: Final = 500
# No model worked on these; a broken or late answer may well be on the bill.
_NOT_CHARGED: Final[frozenset[FailureKind]] = frozenset(
    {"unreachable", "rate_limited", "refused", "context_too_long"}
)
_STATUS: Final[Mapping[FinishReason, AttemptStatus]] = {
    "stop": "ok",
    "length": "cut_off",
    "refused": "error",
}


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What became of one request, and what it took."""

    usage: Usage
    cost: Cost
    status: AttemptStatus = "error"
    error: str = ""
    reply: Reply | None = None


@dataclass(kw_only=True)
class Call:
    """A question on its way; `attempts` are the HTTP requests so far, each of them paid."""

    request: Request
    providers: Mapping[str, Provider]
    price: PriceOf
    clock: Clock
    retries: int
    purse: Purse | None = None
    on_text: OnText | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()
        self.own = purses.of_wish(self.request.budget)
        # The own one first: what it refuses must not appear in the book of the other.
        self.purses: tuple[Purse, ...] = (self.own, *([self.purse] if self.purse else []))

    @property
    def left_s(self) -> float:
        """Seconds that the whole call still has, all models, retries and repairs together."""
        return self.started + self.request.params.timeout_s - self.clock.monotonic()

    @property
    def latency_ms(self) -> int:
        return _millis(self.started, self.clock.monotonic())

    def remaining(self) -> BudgetNote:
        left = purses.least_left(self.purses)
        return BudgetNote(remaining_usd=None if left is None else usd(left))

    def ask(self, model: ModelConfig, messages: Sequence[Message]) -> Reply:
        """Ask a model, and again where that may help.

        Raises Failure, BudgetExceeded, PriceUnknown, and what the purse raises.
        """
        reply, made = self._try(model, messages), 0
        while isinstance(reply, Failure):
            wait = self._pause(reply, made)
            if wait is None:
                raise reply
            self.clock.sleep(wait)
            made += 1
            reply = self._try_again(model, messages, reply)
        return reply

    def _pause(self, failure: Failure, made: int) -> float | None:
        chance, left_s = self.clock.random(), self.left_s
        return pause(failure, made=made, retries=self.retries, left_s=left_s, chance=chance)

    def _try(self, model: ModelConfig, messages: Sequence[Message]) -> Reply | Failure:
        try:
            return self._once(model, messages)
        except Failure as failure:
            return failure

    def _try_again(
        self, model: ModelConfig, messages: Sequence[Message], before: Failure
    ) -> Reply | Failure:
        """Ask once more, unless the failure has used the money up: it is the cause then."""
        try:
            return self._try(model, messages)
        except BudgetExceeded as error:
            message = f"{before.message}; no money is left to ask again"
            raise Failure(before.kind, message) from error

    def spoil(self, why: str) -> None:
        """Note that the last answer did not satisfy."""
        last = self.attempts[-1]
        self.attempts[-1] = last.model_copy(update={"status": "invalid", "error": _short(why)})

    def _once(self, model: ModelConfig, messages: Sequence[Message]) -> Reply:
        provider = self.providers[model.provider]
        if why := closed(provider):
            raise Failure("refused", why)
        ask, price = self._question(model, messages), self.price(model)
        held = purses.reserve(self.purses, self._want(model, ask, price))
        begun = self.clock.monotonic()
        try:
            reply = provider.ask(ask, self.on_text)
        except Failure as failure:
            usage, cost = _spent_in_vain(failure, held.want, price, most=_most(ask))
            lost = _Outcome(usage=usage, cost=cost, error=failure.message)
            self._conclude(model, held, lost, begun=begun)
            raise
        usage, cost = _spent(reply, held.want, price, most=_most(ask))
        status = _STATUS[reply.finish_reason]
        error = "the model refused to answer" if status == "error" else ""
        said = _Outcome(usage=usage, cost=cost, status=status, error=error, reply=reply)
        self._conclude(model, held, said, begun=begun)
        return reply

    def _question(self, model: ModelConfig, messages: Sequence[Message]) -> Ask:
        """The same question makes the same request, but for the time that is left."""
        params, schema = self.request.params, schema_of(self.request)
        likely, left = likely_tokens(messages, schema), self.left_s
        if left <= 0:
            raise Failure("timeout", f"the {params.timeout_s} s of the call are over")
        if not fits(model, likely, params.max_tokens):
            raise Failure("context_too_long", "its context cannot hold the repaired question")
        return Ask(
            model=model.name,
            messages=messages,
            max_tokens=room(model, likely, params.max_tokens),
            timeout_s=math.ceil(left),
            window=model.context,
            temperature=params.temperature,
            seed=params.seed,
            schema=schema,
            schema_name=getattr(self.request, "schema_name", "answer"),
        )

    def _want(self, model: ModelConfig, ask: Ask, price: Price | None) -> Want:
        if price is None:
            self._check_unpriced(model)
        most = _most(ask)
        worst = price.worst(most.input_tokens, most.output_tokens) if price else None
        return Want(usd=worst, tokens=most.total, model=model.ref)

    def _check_unpriced(self, model: ModelConfig) -> None:
        wish = self.request.budget
        if wish.allow_unpriced and wish.max_tokens is not None:
            return
        if purses.least_left(self.purses) is not None:
            message = f"asking {model.ref}: nobody knows its price, and money is bounded"
            hint = "a `price` in models.yaml, or allow_unpriced with a limit on tokens"
            raise PriceUnknown(message, hint=hint)

    def _conclude(
        self, model: ModelConfig, held: purses.Held, outcome: _Outcome, *, begun: float
    ) -> None:
        """Put the request on the list and settle what was set aside for it."""
        usage, cost, reply = outcome.usage, outcome.cost, outcome.reply
        self.attempts.append(
            Attempt(
                n=len(self.attempts) + 1,
                provider=model.provider,
                model=model.name,
                response_model=reply.response_model if reply else "",
                status=outcome.status,
                usage=usage,
                cost=cost,
                latency_ms=_millis(begun, self.clock.monotonic()),
                error=_short(outcome.error),
                raw_usage=dict(reply.raw_usage) if reply else {},
            )
        )
        amount = None if cost.amount is None else Decimal(cost.amount)
        held.settle(usd=amount, tokens=usage.total)


def closed(provider: Provider) -> str:
    """Why a provider cannot be asked at all, such as a key that is not set; empty where it can."""
    return str(getattr(provider, "reason", ""))


def _most(ask: Ask) -> Usage:
    """The most that a request may use, whatever becomes of it."""
    read = most_tokens(ask.messages, ask.schema)
    return Usage(input_tokens=read, output_tokens=ask.max_tokens, source="estimated")


def _spent(reply: Reply, want: Want, price: Price | None, *, most: Usage) -> tuple[Usage, Cost]:
    """What an answer took: as its provider tells, else the worst case.

    Beside a price of the user's own what a provider says of money can only make it more.
    """
    counted = reply.usage.source != "none"
    usage, cost = (reply.usage, _cost(reply.usage, price)) if counted else _worst(want, price, most)
    if reply.cost_usd is None:
        return usage, cost
    amount = reply.cost_usd.quantize(SMALLEST, ROUND_CEILING)
    if price is not None and price.source == OWN and amount < Decimal(cost.amount or 0):
        return usage, cost
    return reply.usage, Cost(amount=usd(amount), status="reported")


def _spent_in_vain(
    failure: Failure, want: Want, price: Price | None, *, most: Usage
) -> tuple[Usage, Cost]:
    """What a failed request took: nothing where surely no model worked, else the worst case."""
    if failure.usage is not None:
        return failure.usage, _cost(failure.usage, price)
    if failure.kind in _NOT_CHARGED:
        return Usage(), Cost(amount="0.00", status="free")
    return _worst(want, price, most)


def _worst(want: Want, price: Price | None, most: Usage) -> tuple[Usage, Cost]:
    if price is None or want.usd is None:
        return most, _cost(most, None)
    status: CostStatus = "estimated" if want.usd else "free"
    cost = Cost(amount=usd(want.usd), status=status, price_source=price.source)
    return most, cost


def _cost(usage: Usage, price: Price | None) -> Cost:
    return price.cost(usage) if price else Cost(amount=None, status="unknown")


def _short(text: str) -> str:
    return visible(text[:MAX_ERROR])


def _millis(begun: float, ended: float) -> int:
    return max(0, int((ended - begun) * 1000))
