"""From settings to a router: which providers and models there are, and where answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from runner.core import ids
from runner.core.errors import NoRoute
from runner.models.config import ModelsConfig
from runner.models.configured import Sources, configured
from runner.models.contract import Ask, Clock, Failure, Models, OnText, Provider, Reply
from runner.models.discovery import DiscoveringRouter
from runner.models.prices import Prices
from runner.models.router import Router
from runner.models.semantic import Semantic
from runner.models.store import Store

__all__ = ["Sources", "Unset", "clock", "open_models", "open_providers", "prices_of"]

TOKEN_VARIABLE = "PLANLOCK_ROUTER_TOKEN"  # noqa: S105  # the variable's name


class Unset:
    """A provider whose key is not set: its models are passed over, with this reason.

    They stay in the chains, so that a question has the same address on a machine without the key.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:  # noqa: ARG002  # as the contract has it
        raise Failure("refused", self.reason)

    def offered(self) -> list[str]:
        raise Failure("refused", self.reason)

    def close(self) -> None:
        pass


def clock(
    *,
    now: Callable[[], datetime],
    random: Callable[[int], bytes],
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> Clock:
    """Make a router's clock of the few things that are real."""
    return Clock(
        monotonic=monotonic,
        sleep=sleep,
        random=lambda: int.from_bytes(random(4), "big") / 2**32,
        new_id=lambda: ids.ulid(int(now().timestamp() * 1000), random(ids.RANDOM_BYTES)),
        now=now,
    )


def open_models(sources: Sources, *, store: Path, clock: Clock) -> Models:
    """Open the router, embedded or behind HTTP; raises InvalidDocument or FileAccessError."""
    if sources.router_url is not None and (sources.script is None or sources.file is not None):
        from runner.models.remote import RemoteModels

        token = sources.environment.get(TOKEN_VARIABLE) or None
        return RemoteModels(sources.router_url, clock=clock, token=token)
    config = configured(sources)
    providers = open_providers(config, sources.environment)
    prices = prices_of(sources, providers, now=clock.now)

    def route(whole: ModelsConfig) -> Router:
        return Router(
            whole,
            providers,
            clock=clock,
            store=Store(store),
            prices=prices,
            semantic=_semantic(whole, providers, store),
        )

    return DiscoveringRouter(config, providers, model_url=sources.url, route=route)


def open_providers(config: ModelsConfig, environment: Mapping[str, str]) -> dict[str, Provider]:
    """Make each provider; one whose key is not set only says so."""
    from runner.models import providers

    opened: dict[str, Provider] = {}
    for each in config.providers:
        try:
            opened[each.name] = providers.make(each, environment)
        except NoRoute as error:
            opened[each.name] = Unset(each.name, error.message)
    return opened


def prices_of(
    sources: Sources, providers: Mapping[str, Provider], *, now: Callable[[], datetime]
) -> Prices:
    from runner.models.scripted import Scripted

    scripts = {
        name: max(Decimal(answer.cost_usd) for answer in each.answers)
        for name, each in providers.items()
        if isinstance(each, Scripted)
    }
    return Prices(model_url=sources.url, scripts=scripts, now=now)


def _semantic(
    config: ModelsConfig, providers: Mapping[str, Provider], store: Path
) -> Semantic | None:
    """The semantic cache, where a provider that gives embeddings is configured for it."""
    told = config.semantic
    embed = getattr(providers.get(told.provider), "embed", None) if told else None
    if told is None or embed is None:
        return None
    return Semantic(store / "semantic", lambda text: embed(told.model, text), float(told.threshold))
