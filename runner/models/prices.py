"""What models cost: the user's own prices first, then the table of genai-prices, else unknown.

Unknown is None, never zero. Amounts are exact, and rounded up to a billionth of a dollar.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.core.model_call import Cost, CostStatus, Usage
from runner.core.values import usd
from runner.models.config import ModelConfig, ModelsConfig, PriceConfig, ProviderConfig

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

OWN = "models.yaml"
LOCAL = "local"
SCRIPT = "script"
MILLION = 1_000_000
SMALLEST = Decimal("0.000000001")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """USD for a million tokens, and dearer (or cheaper) ones from a size of the input on."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The whole call costs the rate of the highest tier whose start the input exceeds."""
        return next((rate for start, rate in self.tiers[::-1] if input_tokens > start), self.base)

    def worst(self, input_tokens: int) -> Decimal:
        """The highest rate that an input of at most so many tokens can have."""
        return max([self.base, *(rate for start, rate in self.tiers if input_tokens > start)])


NOTHING = Rate(base=Decimal(0))


@dataclass(frozen=True, kw_only=True)
class Price:
    """The rates of a model as they were when it was asked for; None means as other input."""

    source: str
    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_creation: Rate | None = None
    reasoning: Rate | None = None
    per_call: Decimal = Decimal(0)

    @property
    def free(self) -> bool:
        return self.worst(MILLION, MILLION) == 0

    def cost(self, usage: Usage) -> Cost:
        """What a call cost; totals are inclusive, so each token is paid for once."""
        total = usage.input_tokens
        read = min(usage.cache_read_input_tokens, total)
        written = min(usage.cache_creation_input_tokens, total - read)
        thought = min(usage.reasoning_output_tokens, usage.output_tokens)
        parts = (
            (total - read - written, self.input),
            (read, self.cache_read or self.input),
            (written, self.cache_creation or self.input),
            (usage.output_tokens - thought, self.output),
            (thought, self.reasoning or self.output),
        )
        amount = sum((count * rate.at(total) for count, rate in parts), Decimal(0)) / MILLION
        told = usd(_rounded(amount + self.per_call))
        return Cost(amount=told, status=self._status(usage), price_source=self.source)

    def _status(self, usage: Usage) -> CostStatus:
        if self.free:
            return "free"
        return "computed" if usage.source == "provider" else "estimated"

    def worst(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The most that a call of at most so many tokens can cost, whatever a cache does."""
        ins = [self.input, self.cache_read, self.cache_creation]
        outs = [self.output, self.reasoning]
        into = max(rate.worst(input_tokens) for rate in ins if rate)
        out = max(rate.worst(input_tokens) for rate in outs if rate)
        amount = (input_tokens * into + output_tokens * out) / MILLION
        return _rounded(amount + self.per_call)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(SMALLEST, rounding=ROUND_CEILING)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Prices:
    """Looks prices up; `model_url` is the user's own server, `now` decides between price lists.

    `scripts` has the dearest answer of each scripted provider, which may come at any question.
    """

    def __init__(
        self,
        *,
        model_url: str | None = None,
        scripts: Mapping[str, Decimal] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.model_url = model_url
        self.scripts = scripts or {}
        self.now = now

    def of(self, config: ModelsConfig, model: ModelConfig) -> Price | None:
        """The price of a model now; None where nobody knows it."""
        if model.price is not None:
            return _own(model.price)
        provider = config.provider(model.provider)
        if provider is None:
            return None
        if is_local(provider, model_url=self.model_url):
            return Price(source=LOCAL, input=NOTHING, output=NOTHING)
        if provider.name in self.scripts:
            dearest = self.scripts[provider.name]
            return Price(source=SCRIPT, input=NOTHING, output=NOTHING, per_call=dearest)
        table = table_of(provider)
        return _listed(table, model.name, self.now()) if table else None


def is_local(provider: ProviderConfig, *, model_url: str | None = None) -> bool:
    """Whether a provider is a server of the user's own, whose answers cost nothing."""
    if provider.kind == "ollama":
        return True
    if provider.kind != "openai" or provider.url is None:
        return False
    return provider.url == model_url or on_this_machine(provider.url)


def on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def table_of(provider: ProviderConfig) -> str | None:
    """The provider's name in genai-prices, by the API that is really asked."""
    if provider.kind == "gemini":
        return "google"
    if provider.kind != "openai":
        return None
    host = urlsplit(provider.url).hostname if provider.url else "api.openai.com"
    tables = {"api.openai.com": "openai", "openrouter.ai": "openrouter"}
    return tables.get(host or "")


def _own(price: PriceConfig) -> Price:
    def rate(text: str | None) -> Rate | None:
        return None if text is None else Rate(base=Decimal(text))

    return Price(
        source=OWN,
        input=Rate(base=Decimal(price.input)),
        output=Rate(base=Decimal(price.output)),
        cache_read=rate(price.cache_read),
        cache_creation=rate(price.cache_creation),
    )


def _listed(table: str, model: str, moment: datetime) -> Price | None:
    """Look a price up in the table that ships with the package; it is never updated by itself."""
    import genai_prices
    from genai_prices import data_snapshot

    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, table, None)
    except LookupError:
        return None
    return of_list(found.get_prices(moment), source=f"genai-prices {genai_prices.__version__}")


def of_list(listed: ModelPrice, *, source: str) -> Price | None:
    """Take the rates of text over; None where the list has none, which does not mean free."""
    rates: dict[str, Any] = listed.__dict__
    if rates.get("input_mtok") is None or rates.get("output_mtok") is None:
        return None

    def rate(name: str) -> Rate | None:
        value: Decimal | TieredPrices | None = rates.get(name)
        if value is None or isinstance(value, Decimal):
            return None if value is None else Rate(base=value)
        tiers = tuple((tier.start, tier.price) for tier in value.tiers)
        return Rate(base=value.base, tiers=tiers)

    each_call = rates.get("requests_kcount")
    return Price(
        source=source,
        input=rate("input_mtok") or NOTHING,
        output=rate("output_mtok") or NOTHING,
        cache_read=rate("cache_read_mtok"),
        cache_creation=rate("cache_write_mtok"),
        reasoning=rate("output_reasoning_mtok"),
        per_call=each_call / 1000 if isinstance(each_call, Decimal) else Decimal(0),
    )
