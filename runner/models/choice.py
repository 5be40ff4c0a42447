"""Which models may answer a question, in which order, and why: a chain, decided without I/O.

A model that is asked for by name stands alone. Else the first route that fits gives the chain,
else the tiers do: cheapest that may serve first. A tier that is asked for keeps the models of that
tier and of stronger ones, also of a route; a route that has none of them does not count. Whoever
asks for `local` keeps the prompt on the own machine, so that goes no further.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runner.core.errors import ContextTooLong, ModelError, NoRoute
from runner.core.model_call import Kind, Message, Request, StructureRequest, Tier
from runner.models.config import ModelConfig, ModelsConfig, ModelTier, RouteConfig
from runner.models.prices import Price

PriceOf = Callable[[ModelConfig], Price | None]

BYTES_PER_TOKEN: Final = 4
MESSAGE_TOKENS: Final = 16
LEAST_OUTPUT: Final = 256
_STRONGER: Final[Mapping[Tier, tuple[ModelTier, ...]]] = {
    "local": ("local",),
    "fast": ("fast", "strong"),
    "strong": ("strong",),
}
# Plans and edits by a small model mostly fail, and a failure costs time; a summary rarely does.
_HARD: Final[tuple[ModelTier, ...]] = ("fast", "strong", "local")
_EASY: Final[tuple[ModelTier, ...]] = ("local", "fast", "strong")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What decides the choice; `input_tokens` are those that the question likely has."""

    kind: Kind = "custom"
    tier: Tier = "auto"
    model: str | None = None
    input_tokens: int = 0
    max_tokens: int = 4096


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Models in the order in which they are asked, and why the first is the first.

    `left_out` says of each model that is too small why; `refusal` why there is no model at all.
    """

    models: tuple[ModelConfig, ...] = ()
    reason: str = ""
    left_out: tuple[str, ...] = ()
    refusal: ModelError | None = None


def wanted(request: Request) -> Wanted:
    return Wanted(
        kind=request.kind,
        tier=request.tier,
        model=request.model,
        input_tokens=likely_tokens(request.messages, schema_of(request)),
        max_tokens=request.params.max_tokens,
    )


def choose(config: ModelsConfig, asked: Wanted, price: PriceOf) -> Chain:
    """Give the chain for a question; one without models says why in `refusal`."""
    models, reason = _candidates(config, asked, price)
    if not models:
        return Chain(refusal=_no_route(config, asked))
    fit = tuple(each for each in models if fits(each, asked.input_tokens, asked.max_tokens))
    left_out = tuple(_too_small(each, asked) for each in models if each not in fit)
    if not fit:
        message = f"choosing a model: {'; '.join(left_out)}"
        hint = "name fewer files, or a model with a larger context: planlock models"
        return Chain(left_out=left_out, refusal=ContextTooLong(message, hint=hint))
    return Chain(models=fit, reason=reason(fit[0]), left_out=left_out)


def schema_of(request: Request) -> Mapping[str, Any] | None:
    return request.json_schema if isinstance(request, StructureRequest) else None


def likely_tokens(messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> int:
    """Estimate: four bytes are a token of prose or code, and each message has its marks."""
    return math.ceil(_bytes(messages, schema) / BYTES_PER_TOKEN) + MESSAGE_TOKENS * len(messages)


def most_tokens(messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> int:
    """Bound the tokens from above: each is a byte at least.

    The schema counts twice, as adapters complete it for providers.
    """
    doubled = 2 * _schema_bytes(schema)
    return _bytes(messages, None) + doubled + MESSAGE_TOKENS * (len(messages) + 4)


def room(model: ModelConfig, input_tokens: int, max_tokens: int) -> int:
    """How long an answer may be: as is wanted, as the model can, as its window leaves."""
    return min(max_tokens, model.max_output, model.context - input_tokens)


def fits(model: ModelConfig, input_tokens: int, max_tokens: int) -> bool:
    """Tell whether the window holds the question and some answer."""
    least = min(LEAST_OUTPUT, max_tokens, model.max_output)
    return room(model, input_tokens, max_tokens) >= least


def _bytes(messages: Sequence[Message], schema: Mapping[str, Any] | None) -> int:
    said = sum(len(each.content.encode("utf-8", "replace")) for each in messages)
    return said + _schema_bytes(schema)


def _schema_bytes(schema: Mapping[str, Any] | None) -> int:
    return 0 if schema is None else len(json.dumps(schema).encode())


def _candidates(
    config: ModelsConfig, asked: Wanted, price: PriceOf
) -> tuple[list[ModelConfig], Callable[[ModelConfig], str]]:
    """Every model that may serve whatever its size, and how to say why one is first."""
    if asked.model is not None:
        found = config.find(asked.model)
        return ([found] if found else []), lambda _: "asked for by name"
    route = _route(config, asked)
    if route is not None:
        models = _of_route(config, route, asked.tier)
        if models:
            return models, lambda _: _route_name(route, asked)
    order = _order(asked)
    found_in = {tier: _cheapest_first(config.models, tier, asked, price) for tier in order}
    return [model for tier in order for model in found_in[tier]], lambda first: _why(first, asked)


def _route(config: ModelsConfig, asked: Wanted) -> RouteConfig | None:
    for each in config.routes:
        most = math.inf if each.max_input_tokens is None else each.max_input_tokens
        if each.kind in {None, asked.kind} and asked.input_tokens <= most:
            return each
    return None


def _of_route(config: ModelsConfig, route: RouteConfig, tier: Tier) -> list[ModelConfig]:
    named = (config.find(name) for name in route.models)
    allowed = _STRONGER.get(tier, _EASY)
    found = {each.ref: each for each in named if each and each.tier in allowed}
    return list(found.values())


def _route_name(route: RouteConfig, asked: Wanted) -> str:
    size = "" if route.max_input_tokens is None else f" up to {route.max_input_tokens} tokens"
    tier = "" if asked.tier == "auto" else f", tier {asked.tier} asked for"
    return f"route {route.kind or 'of any kind'}{size}{tier}"


def _order(asked: Wanted) -> tuple[ModelTier, ...]:
    return _STRONGER.get(asked.tier) or (_HARD if asked.kind in {"plan", "edit"} else _EASY)


def _cheapest_first(
    models: Iterable[ModelConfig], tier: ModelTier, asked: Wanted, price: PriceOf
) -> list[ModelConfig]:
    """Sort by what this very question may cost at most; unknown is dearest."""

    def dearness(model: ModelConfig) -> tuple[bool, Decimal]:
        known = price(model)
        if known is None:
            return True, Decimal(0)
        return False, known.worst(asked.input_tokens, min(asked.max_tokens, model.max_output))

    of_tier = [each for each in models if each.tier == tier]
    # the table of prices takes a while to load, and a stored answer needs none
    return sorted(of_tier, key=dearness) if len(of_tier) > 1 else of_tier


def _why(first: ModelConfig, asked: Wanted) -> str:
    cheapest = f"cheapest of tier {first.tier}"
    if asked.tier == "auto":
        return cheapest
    if first.tier == asked.tier:
        return f"{cheapest}, which was asked for"
    return f"{cheapest}, as tier {asked.tier} cannot serve"


def _too_small(model: ModelConfig, asked: Wanted) -> str:
    return (
        f"{model.ref}: its context of {model.context} tokens cannot hold about"
        f" {asked.input_tokens} tokens of input and an answer"
    )


def _no_route(config: ModelsConfig, asked: Wanted) -> NoRoute:
    if not config.models:
        return NoRoute("choosing a model: none is configured", hint="planlock doctor")
    if asked.model is not None:
        same = [each.ref for each in config.models if each.name == asked.model]
        told = f"several are called {asked.model!r}: {', '.join(same)}" if same else ""
        message = told or f"none is called {asked.model!r}"
        return NoRoute(f"choosing a model: {message}", hint="planlock models")
    return NoRoute(
        f"choosing a model: none is of tier {asked.tier} or above", hint="planlock doctor"
    )
