from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fake_provider import config, form, model, question

from runner.core.errors import ContextTooLong, ModelError, NoRoute
from runner.core.model_call import Message
from runner.models import choice
from runner.models.choice import Chain, Wanted
from runner.models.config import ModelConfig, ModelsConfig
from runner.models.prices import Price, Prices, Rate

ALL = config(
    model("cloud/big", "strong", price=("9.00", "9.00")),
    model("cloud/dear", price=("3.00", "3.00")),
    model("cloud/cheap", price=("1.00", "1.00")),
    model("cloud/unknown", price=None),
    model("local/own", "local", price=None),
)


def chain(settings: ModelsConfig = ALL, **asked: Any) -> Chain:
    prices = Prices()
    return choice.choose(settings, Wanted(**asked), lambda each: prices.of(settings, each))


def names(found: Chain) -> str:
    return " ".join(each.name for each in found.models)


@pytest.mark.parametrize("kind", ["plan", "edit"])
def test_plans_and_edits_begin_with_the_cheapest_fast_model(kind: str) -> None:
    """Fast before strong before local, by price within a tier, an unknown price last."""
    found = chain(kind=kind)
    assert names(found) == "cheap dear unknown big own"
    assert found.reason == "cheapest of tier fast"


@pytest.mark.parametrize("kind", ["analyze", "summarize", "custom"])
def test_other_calls_begin_on_the_own_machine(kind: str) -> None:
    """Local before fast before strong."""
    found = chain(kind=kind)
    assert names(found) == "own cheap dear unknown big"
    assert found.reason == "cheapest of tier local"


@pytest.mark.parametrize(
    "tier,expected",
    [
        ("local", "own"),
        ("fast", "cheap dear unknown big"),
        ("strong", "big"),
    ],
)
def test_a_tier_that_is_asked_for_begins_there_and_goes_up(tier: str, expected: str) -> None:
    """No weaker model than was asked for is in the chain."""
    found = chain(kind="plan", tier=tier)
    assert names(found) == expected
    assert found.reason == f"cheapest of tier {tier}, which was asked for"


def test_a_missing_tier_is_served_by_a_stronger_one() -> None:
    """The reason says that the tier which was asked for cannot serve."""
    found = chain(config(model("cloud/big", "strong")), tier="fast")
    assert found.reason == "cheapest of tier strong, as tier fast cannot serve"


def test_equal_prices_keep_the_order_of_the_configuration() -> None:
    """The choice is stable, so that the same question has the same address."""
    settings = config(model("cloud/b"), model("cloud/a"), model("cloud/c"))
    assert names(chain(settings)) == "b a c"


def test_the_price_of_this_very_question_decides() -> None:
    """A model with cheap input is first for long questions, one with cheap output for others."""
    settings = config(
        model("cloud/talker", price=("5.00", "1.00")), model("cloud/reader", price=("1.00", "5.00"))
    )
    assert names(chain(settings, input_tokens=20_000, max_tokens=100)) == "reader talker"
    assert names(chain(settings, input_tokens=100, max_tokens=4000)) == "talker reader"


def test_one_model_of_a_tier_needs_no_price() -> None:
    """The table of prices is not loaded for a choice that has one outcome."""
    asked: list[str] = []

    def price(each: ModelConfig) -> Price:
        asked.append(each.name)
        return Price(source="x", input=Rate(base=Decimal(1)), output=Rate(base=Decimal(1)))

    choice.choose(config(model("a/one"), model("a/two", "strong")), Wanted(), price)
    assert asked == []


@pytest.mark.parametrize("name", ["cloud/big", "big"])
def test_a_model_that_is_named_stands_alone(name: str) -> None:
    """Neither routes nor tiers add anything to it."""
    found = chain(kind="plan", tier="fast", model=name)
    assert (names(found), found.reason) == ("big", "asked for by name")


ROUTES = [
    {"kind": "plan", "max_input_tokens": 4000, "models": ["own", "cheap"]},
    {"kind": "plan", "models": ["big"]},
    {"max_input_tokens": 500, "models": ["dear", "cloud/dear", "big"]},
]
ROUTED = ModelsConfig.model_validate({**ALL.model_dump(), "routes": ROUTES})


@pytest.mark.parametrize(
    "asked,expected,reason",
    [
        ({"kind": "plan", "input_tokens": 4000}, "own cheap", "route plan up to 4000 tokens"),
        ({"kind": "plan", "input_tokens": 4001}, "big", "route plan"),
        (
            {"kind": "edit", "input_tokens": 500},
            "dear big",
            "route of any kind up to 500 tokens",
        ),
        (
            {"kind": "edit", "input_tokens": 501},
            "cheap dear unknown big own",
            "cheapest of tier fast",
        ),
        (
            {"kind": "edit", "tier": "strong"},
            "big",
            "route of any kind up to 500 tokens, tier strong asked for",
        ),
        (
            {"kind": "plan", "tier": "strong"},
            "big",
            "cheapest of tier strong, which was asked for",
        ),
    ],
    ids=["by size", "too large for it", "any kind", "none fits", "with a tier", "tier not in it"],
)
def test_the_first_route_that_fits_gives_the_chain(
    asked: dict[str, Any], expected: str, reason: str
) -> None:
    """In its own order; a tier that is asked for leaves out the weaker ones."""
    found = chain(ROUTED, **asked)
    assert (names(found), found.reason) == (expected, reason)


def test_models_that_are_too_small_are_left_out_with_the_reason() -> None:
    """The window must hold the question and some answer."""
    settings = config(model("a/small", context=1000), model("a/large", context=9000))
    assert names(chain(settings, input_tokens=744)) == "small large"
    found = chain(settings, input_tokens=745)
    assert names(found) == "large"
    assert found.left_out == (
        "a/small: its context of 1000 tokens cannot hold about 745 tokens of input and an answer",
    )


def test_a_short_answer_needs_little_room() -> None:
    """Who wants ten tokens may fill the window up to these."""
    settings = config(model("a/small", context=1000))
    assert chain(settings, input_tokens=990, max_tokens=10).models
    assert not chain(settings, input_tokens=991, max_tokens=10).models


@pytest.mark.parametrize(
    "settings,asked,kind,words,hint",
    [
        (config(), {}, NoRoute, "none is configured", "planlock doctor"),
        (ALL, {"model": "gone"}, NoRoute, "none is called 'gone'", "planlock models"),
        (
            config(model("a/same"), model("b/same")),
            {"model": "same"},
            NoRoute,
            "several are called 'same': a/same, b/same",
            "planlock models",
        ),
        (
            config(model("a/one")),
            {"tier": "strong"},
            NoRoute,
            "none is of tier strong or above",
            "planlock doctor",
        ),
        (
            ALL,
            {"input_tokens": 10**6},
            ContextTooLong,
            "cannot hold about 1000000",
            "planlock models",
        ),
    ],
    ids=["nothing", "no such name", "ambiguous", "no such tier", "too long"],
)
def test_without_a_model_the_refusal_says_what_to_do(
    settings: ModelsConfig, asked: dict[str, Any], kind: type[ModelError], words: str, hint: str
) -> None:
    """The chain is empty and holds the error to raise."""
    found = chain(settings, **asked)
    assert found.models == ()
    assert isinstance(found.refusal, kind)
    assert isinstance(found.refusal, ModelError)
    assert words in found.refusal.message
    assert hint in found.refusal.hint


def test_tokens_are_estimated_for_choosing_and_bounded_for_paying() -> None:
    """Four bytes a token are likely; a byte a token, and the schema twice, is the most."""
    messages = [Message(role="user", content="ä" * 200)]
    assert choice.likely_tokens(messages) == 100 + 16
    assert choice.most_tokens(messages) == 400 + 16 * 5
    assert choice.most_tokens(messages, {"a": 1}) == 400 + 16 * 5 + 2 * len('{"a": 1}')


def test_a_request_is_wanted_as_it_says() -> None:
    """The schema counts as input."""
    asked = question(kind="plan", tier="fast", model="m", params={"max_tokens": 7})
    found = choice.wanted(asked)
    assert (found.kind, found.tier, found.model, found.max_tokens) == ("plan", "fast", "m", 7)
    assert choice.wanted(form("Why?")).input_tokens > choice.wanted(question("Why?")).input_tokens
