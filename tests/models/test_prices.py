from __future__ import annotations

import warnings
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import __version__, data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from runner.core.model_call import Usage
from runner.models.config import ModelsConfig, build
from runner.models.prices import Price, Prices, Rate, of_list, on_this_machine

TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
SNAPSHOT = data_snapshot.get_snapshot()
TABLES = {
    provider.id: provider.models
    for provider in SNAPSHOT.providers
    if provider.id in {"google", "openai", "openrouter"}
}
LISTED = [model for models in TABLES.values() for model in models]
CALLS = (
    (1, 0, 0, 0, 0),
    (1_000, 0, 0, 500, 20),
    (300_000, 200_000, 50_000, 7_000, 3_000),
    (280_000, 0, 280_000, 1, 1),
)


def configured(provider: dict[str, Any], name: str, **fields: Any) -> ModelsConfig:
    model = {"provider": provider["name"], "name": name, "tier": "fast", **fields}
    return build({"version": 1, "providers": [provider], "models": [model]}, file="models.yaml")


def price(provider: dict[str, Any], name: str, **fields: Any) -> Price | None:
    config = configured(provider, name, **fields)
    return Prices(now=lambda: TODAY).of(config, config.models[0])


GEMINI = {"name": "gemini", "kind": "gemini", "key": "GEMINI_API_KEY"}
OPENAI = {"name": "openai", "kind": "openai", "key": "OPENAI_API_KEY"}


def known(provider: dict[str, Any], name: str, **fields: Any) -> Price:
    found = price(provider, name, **fields)
    assert found is not None
    return found


def test_the_cost_of_an_answer_is_what_the_price_list_says_by_hand() -> None:
    """0.30, 0.03 and 2.50 dollars for a million: 9,000 new, 3,000 cached and 700 written tokens.

    700 are 512 of thoughts and 188 of text, which cost the same.
    """
    found = known(GEMINI, "gemini-3.5-flash-lite")
    usage = Usage(
        input_tokens=12_000,
        cache_read_input_tokens=3_000,
        output_tokens=700,
        reasoning_output_tokens=512,
        source="provider",
    )
    by_hand = (9_000 * Decimal("0.30") + 3_000 * Decimal("0.03") + 700 * Decimal("2.50")) / 10**6
    cost = found.cost(usage)
    assert by_hand == Decimal("0.00454")
    assert (cost.amount, cost.status) == ("0.00454", "computed")
    assert cost.price_source == found.source == f"genai-prices {__version__}"


def test_from_a_size_of_input_on_every_token_costs_more() -> None:
    """A tier holds for the whole call once the input exceeds its start, output included."""
    found = known(OPENAI, "gpt-6-luna")
    start, dearer = found.input.tiers[0]
    at, over = (Usage(input_tokens=start + more, source="provider") for more in (0, 1))
    assert Decimal(found.cost(at).amount or 0) == start * found.input.base / 10**6
    assert Decimal(found.cost(over).amount or 0) == (start + 1) * dearer / 10**6
    assert found.output.at(start + 1) > found.output.at(start)


def usage_of(whole: int, read: int, written: int, out: int, thought: int) -> Usage:
    return Usage(
        input_tokens=whole,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=out,
        reasoning_output_tokens=thought,
    )


def listed_sum(listed: Any, usage: Usage) -> Decimal:
    """What the list's own calculation makes of the tokens."""
    told = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
    }
    given_ = ListedUsage(**{name: count for name, count in told.items() if count})
    return Decimal(listed.calc_price(given_)["total_price"])


@pytest.mark.parametrize("table", TABLES)
def test_our_sums_are_those_of_the_list_itself(table: str) -> None:
    """For every model with prices of text, to a billionth of a dollar."""
    compared = 0
    for model in TABLES[table]:
        listed = model.get_prices(TODAY)
        found = of_list(listed, source="list")
        if found is None:
            assert listed.input_mtok is None or listed.output_mtok is None
            continue
        for usage in (usage_of(*call) for call in CALLS):
            ours = Decimal(found.cost(usage).amount or -1)
            assert 0 <= ours - listed_sum(listed, usage) < Decimal("0.000000001"), model.id
            compared += 1
    assert compared >= 4 * 50


counts = st.integers(0, 2_000_000)


@given(st.tuples(counts, counts, counts, counts, counts), st.sampled_from(LISTED))
def test_no_call_costs_more_than_its_worst_case(
    claimed: tuple[int, int, int, int, int], model: Any
) -> None:
    """Whatever a provider claims about caches and thoughts, the reservation covers it."""
    found, usage = of_list(model.get_prices(TODAY), source="list"), usage_of(*claimed)
    if found is not None:
        amount = Decimal(found.cost(usage).amount or -1)
        assert 0 <= amount <= found.worst(usage.input_tokens, usage.output_tokens)


def test_ones_own_price_comes_first() -> None:
    """A price in the file holds even for a model that the list knows."""
    own = {"input": "1", "output": "2.5", "cache_read": "0.1"}
    found = known(GEMINI, "gemini-3.5-flash-lite", price=own)
    usage = Usage(
        input_tokens=10,
        cache_read_input_tokens=4,
        cache_creation_input_tokens=1,
        output_tokens=2,
        source="provider",
    )
    cost = found.cost(usage)
    assert (cost.amount, cost.status) == ("0.0000114", "computed")
    assert cost.price_source == "models.yaml"
    assert known(OPENAI, "x", price={"input": "0", "output": "0"}).cost(usage).status == "free"


@pytest.mark.parametrize(
    "provider, name",
    [
        (GEMINI, "gemini-of-tomorrow"),
        (GEMINI, "gemma-4-31b-it"),
        (OPENAI, "whisper-1"),
        ({"name": "far", "kind": "openai", "url": "https://models.example.com/v1"}, "gpt-6-luna"),
        ({"name": "lan", "kind": "openai", "url": "http://10.0.0.5:8080/v1"}, "qwen"),
        ({"name": "s", "kind": "scripted", "script": "x.yaml"}, "scripted-1"),
    ],
    ids=["unlisted", "listed-without-price", "no-text", "other-server", "network", "script"],
)
def test_an_unknown_price_is_none_and_never_zero(provider: dict[str, Any], name: str) -> None:
    """Where nobody states a price for text, there is none."""
    assert price(provider, name) is None


@pytest.mark.parametrize(
    "provider",
    [
        {"name": "a", "kind": "ollama"},
        {"name": "a", "kind": "ollama", "url": "http://ollama.example.com:11434"},
        {"name": "a", "kind": "openai", "url": "http://127.0.0.1:8080/v1"},
        {"name": "a", "kind": "openai", "url": "http://localhost:8080/v1"},
        {"name": "a", "kind": "openai", "url": "http://[::1]:8080/v1"},
    ],
)
def test_a_server_of_ones_own_is_free(provider: dict[str, Any]) -> None:
    """Answers of the own machine cost nothing, and say so."""
    cost = known(provider, "qwen").cost(Usage(input_tokens=10**6, output_tokens=10**6))
    assert (cost.amount, cost.status, cost.price_source) == ("0.00", "free", "local")
    assert known(provider, "qwen").worst(10**9, 10**9) == 0


def test_the_server_that_the_setting_names_is_free_wherever_it_is() -> None:
    """PLANLOCK_MODEL_URL is the user's own server by definition, and no other one is by it."""
    url = "http://10.0.0.5:8080/v1"
    config = configured({"name": "a", "kind": "openai", "url": url}, "qwen")
    found = Prices(model_url=url).of(config, config.models[0])
    assert found is not None
    assert found.free
    assert Prices(model_url="http://10.0.0.6/v1").of(config, config.models[0]) is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1.example.com/v1", "http://localhost.example.com", "http://1.2.3.4"]
)
def test_names_that_look_local_are_not(url: str) -> None:
    """Only loopback addresses and localhost itself are this machine."""
    assert not on_this_machine(url)


def test_vendors_are_told_by_the_address_that_is_asked() -> None:
    """OpenAI's list holds for its own address, OpenRouter's for its own."""
    router = {"name": "r", "kind": "openai", "url": "https://openrouter.ai/api/v1"}
    assert known(router, "openai/gpt-6-luna").input.base > 0
    assert price(router, "gpt-nonsense") is None
    same = {"name": "o", "kind": "openai", "url": "https://api.openai.com/v1"}
    assert known(same, "gpt-6-luna") == known(OPENAI, "gpt-6-luna")


def test_the_list_of_the_day_holds() -> None:
    """A price that the list announces for a later day holds from that day on."""
    config = configured(GEMINI, "gemini-3.8-flash")
    now, later = (
        Prices(now=lambda day=day: day).of(config, config.models[0])  # type: ignore[misc]  # bound early
        for day in (TODAY, datetime(2027, 1, 1, tzinfo=UTC))
    )
    assert now is not None
    assert later is not None
    assert now.input.base < later.input.base


def test_estimated_tokens_make_an_estimated_cost() -> None:
    """A cost is computed only from what the provider itself told."""
    found = Price(source="x", input=Rate(base=Decimal(1)), output=Rate(base=Decimal(1)))
    assert found.cost(Usage(input_tokens=1, source="estimated")).status == "estimated"
    assert found.cost(Usage(input_tokens=1, source="provider")).status == "computed"


def test_the_smallest_amounts_are_rounded_up() -> None:
    """Money in files has nine digits after the point; nothing is lost by rounding."""
    found = Price(source="x", input=Rate(base=Decimal("0.0101")), output=Rate(base=Decimal(0)))
    assert found.cost(Usage(input_tokens=1)).amount == "0.000000011"


def test_looking_prices_up_warns_of_nothing() -> None:
    """The list is read without a warning, a network or an update."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert known(GEMINI, "gemini-3.5-flash")
