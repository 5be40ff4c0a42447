"""`models`: what is configured, what it costs, what answers, and what was saved so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from runner.core.model_call import Kind
from runner.models import choice, setup
from runner.models.config import ModelConfig, ModelsConfig, ProviderConfig
from runner.models.configured import configured, origin
from runner.models.contract import Failure, Provider
from runner.models.discovery import Discovered, discover
from runner.models.prices import Prices, is_local
from runner.models.setup import Unset
from runner.models.store import Store
from runner.project import Project
from runner.verbs.models_saving import Saving, measured
from runner.verbs.models_sources import Told, told

State = Literal["reachable", "unreachable", "not configured", "not asked"]
KINDS: tuple[Kind, ...] = ("plan", "edit", "analyze", "summarize")
# How large a call the chains are shown for.
TYPICAL_TOKENS = 2_000


@dataclass(frozen=True, kw_only=True)
class ProviderRow:
    """A server; `key` is the variable of its key, `offers` what it says it has, if asked."""

    name: str
    kind: str
    url: str | None
    key: str | None
    key_set: bool
    state: State
    reason: str
    offers: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model; prices in USD for a million tokens, None where nobody knows them."""

    model: str
    tier: str
    context: int
    max_output: int
    input_usd: Decimal | None
    output_usd: Decimal | None
    price_source: str
    state: State
    reason: str


@dataclass(frozen=True, kw_only=True)
class ChainRow:
    """Which models a call of a kind, with an input of typical size, would try in this order."""

    kind: str
    models: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All of it; `router_url` is asked instead of the models here, where it is set."""

    origin: str
    router_url: str | None
    store: str
    providers: tuple[ProviderRow, ...]
    models: tuple[ModelRow, ...]
    chains: tuple[ChainRow, ...]
    saving: Saving | None
    ignored: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    config: ModelsConfig
    providers: Mapping[str, Provider]
    found: Discovered
    prices: Prices
    told: Told


def listing(project: Project, *, check: bool = False) -> Listing:
    """List what is configured; with `check` vendors are asked too, not the own servers alone.

    Raises InvalidDocument or FileAccessError.
    """
    told_ = told(project)
    sources = told_.sources
    config = configured(sources)
    providers = setup.open_providers(config, sources.environment)
    try:
        opened = _Opened(
            config=config,
            providers=providers,
            found=discover(config, providers, model_url=sources.url),
            prices=setup.prices_of(sources, providers, now=project.world.now),
            told=told_,
        )
        return _listed(opened, check=check)
    finally:
        for each in providers.values():
            each.close()


def _listed(opened: _Opened, *, check: bool) -> Listing:
    rows = tuple(_provider(opened, each, check=check) for each in opened.config.providers)
    whole, sources = opened.found.config, opened.told.sources
    by_name = {row.name: row for row in rows}
    return Listing(
        origin=origin(sources),
        router_url=sources.router_url,
        store=str(opened.told.store),
        providers=rows,
        models=tuple(_model(opened, each, by_name[each.provider]) for each in whole.models),
        chains=tuple(_chain(opened, kind) for kind in KINDS) if whole.models else (),
        saving=measured(Store(opened.told.store), whole, opened.prices),
        ignored=opened.told.ignored,
    )


def _provider(opened: _Opened, config: ProviderConfig, *, check: bool) -> ProviderRow:
    sources = opened.told.sources
    state, reason, offers = _state(
        opened, config, ask=check or is_local(config, model_url=sources.url)
    )
    return ProviderRow(
        name=config.name,
        kind=config.kind,
        url=config.url,
        key=config.key,
        key_set=bool(config.key and sources.environment.get(config.key)),
        state=state,
        reason=reason,
        offers=offers,
    )


def _state(
    opened: _Opened, config: ProviderConfig, *, ask: bool
) -> tuple[State, str, tuple[str, ...] | None]:
    provider = opened.providers[config.name]
    if isinstance(provider, Unset):
        return "not configured", provider.reason, None
    if config.name in opened.found.unreachable:
        return "unreachable", opened.found.unreachable[config.name], None
    if config.name in opened.found.offers:
        return "reachable", "", tuple(opened.found.offers[config.name])
    if not ask and config.kind != "scripted":
        return "not asked", "", None
    try:
        return "reachable", "", tuple(provider.offered())
    except Failure as error:
        return "unreachable", error.message, None


def _model(opened: _Opened, model: ModelConfig, provider: ProviderRow) -> ModelRow:
    price = opened.prices.of(opened.config, model)
    state, reason = provider.state, provider.reason
    if provider.offers is not None and model.name not in provider.offers:
        state, reason = "unreachable", f"{provider.name} does not offer it"
    return ModelRow(
        model=model.ref,
        tier=model.tier,
        context=model.context,
        max_output=model.max_output,
        input_usd=price.input.base if price else None,
        output_usd=price.output.base if price else None,
        price_source=price.source if price else "",
        state=state,
        reason=reason,
    )


def _chain(opened: _Opened, kind: Kind) -> ChainRow:
    asked = choice.Wanted(kind=kind, input_tokens=TYPICAL_TOKENS)
    chain = choice.choose(
        opened.found.config, asked, lambda each: opened.prices.of(opened.config, each)
    )
    reason = chain.refusal.message if chain.refusal else chain.reason
    return ChainRow(kind=kind, models=tuple(each.ref for each in chain.models), reason=reason)
