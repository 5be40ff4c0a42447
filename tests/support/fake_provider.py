"""Providers in this process that say what a test lists, and time that passes without waiting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.core.model_call import FinishReason, Request, StructureRequest, Usage
from runner.models.config import ModelsConfig
from runner.models.contract import Ask, Clock, Failure, FailureKind, OnText, Reply
from runner.models.prices import Prices
from runner.models.router import Router
from runner.models.semantic import Embed, Semantic
from runner.models.store import Store

# For a million tokens, so that a cost can be read off the tokens.
PRICE = ("1.00", "2.00")
LOCAL = "local"


class Time:
    """A clock that only moves when somebody waits or works; `slept` has every wait."""

    def __init__(self, *, chance: float = 0.5) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._ids = itertools.count(1)
        self.clock = Clock(
            monotonic=lambda: self.now,
            sleep=self.sleep,
            random=lambda: chance,
            new_id=lambda: f"ID{next(self._ids)}",
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Fake:
    """A provider; `says` has by model what becomes of each request, in order."""

    name: str
    says: Mapping[str, list[Reply | Failure]]
    time: Time
    takes_s: float = 0.25
    asks: list[Ask] = field(default_factory=list)

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        self.asks.append(ask)
        self.time.now += min(self.takes_s, ask.timeout_s)
        if self.takes_s > ask.timeout_s:
            raise Failure("timeout", "no whole answer in time")
        says = self.says[ask.model]
        assert says, f"{ask.model} was asked once too often"
        said = says.pop(0)
        if isinstance(said, Failure):
            raise said
        if on_text:
            on_text(said.text)
        return said

    def offered(self) -> Sequence[str]:
        return list(self.says)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A router and what stands around it."""

    router: Router
    time: Time
    providers: Mapping[str, Fake]

    @property
    def asks(self) -> list[Ask]:
        return [ask for each in self.providers.values() for ask in each.asks]

    @property
    def asked(self) -> list[str]:
        """Names of the models that were asked, in no order across providers."""
        return [ask.model for ask in self.asks]


def model(
    ref: str = "cloud/small",
    tier: str = "fast",
    *,
    price: tuple[str, str] | None = PRICE,
    **more: Any,
) -> dict[str, Any]:
    provider, _, name = ref.partition("/")
    priced = {"price": {"input": price[0], "output": price[1]}} if price else {}
    return {"provider": provider, "name": name, "tier": tier, **priced, **more}


def config(*models: dict[str, Any], **more: Any) -> ModelsConfig:
    """A configuration; the provider `local` costs nothing, of others nobody knows the prices."""
    names = dict.fromkeys(each["provider"] for each in models)
    providers = [
        {"name": name, "kind": "ollama"}
        if name == LOCAL
        else {"name": name, "kind": "openai", "url": f"https://{name}.example/v1"}
        for name in names
    ]
    value = {"version": 1, "providers": providers, "models": list(models), **more}
    return ModelsConfig.model_validate(value)


def bench(
    says: Mapping[str, Sequence[Reply | Failure]],
    settings: ModelsConfig | None = None,
    *,
    store: Path | None = None,
    embed: Embed | None = None,
    time: Time | None = None,
) -> Bench:
    """A router over models that say this; without settings one model, `cloud/small`."""
    settings, time = settings or config(model()), time or Time()
    by_provider: dict[str, dict[str, list[Reply | Failure]]] = {}
    for each in settings.models:
        by_provider.setdefault(each.provider, {})[each.name] = list(says.get(each.ref, []))
    providers = {name: Fake(name, models, time) for name, models in by_provider.items()}
    router = Router(
        settings,
        providers,
        clock=time.clock,
        store=Store(store) if store else None,
        prices=Prices(),
        semantic=Semantic(store / "semantic", embed, 0.9) if store and embed else None,
    )
    return Bench(router=router, time=time, providers=providers)


def says(
    text: str = "Because.",
    *,
    finish: FinishReason = "stop",
    tokens: tuple[int, int] = (100, 50),
    cost: str | None = None,
    source: Any = "provider",
) -> Reply:
    return Reply(
        text=text,
        finish_reason=finish,
        usage=Usage(input_tokens=tokens[0], output_tokens=tokens[1], source=source),
        response_model="dated-1",
        raw_usage={"in": tokens[0], "out": tokens[1]},
        cost_usd=None if cost is None else Decimal(cost),
    )


def fails(kind: FailureKind, *, wait: float | None = None, usage: Usage | None = None) -> Failure:
    return Failure(kind, f"it is {kind}", retry_after_s=wait, usage=usage)


def question(text: str = "Why?", **fields: Any) -> Request:
    value = {"messages": [{"role": "user", "content": text}], **fields}
    return Request.model_validate(value)


NUMBER = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def form(
    text: str = "Which?", schema: Mapping[str, Any] = NUMBER, **fields: Any
) -> StructureRequest:
    value = {"messages": [{"role": "user", "content": text}], "schema": dict(schema), **fields}
    return StructureRequest.model_validate(value)
