"""Answers and errors that are made to exhaust whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from provider_cases import SCHEMA, Served, an_ask, served
from provider_server import Raw, Said, as_json
from provider_server_openai import OpenAiApi

from runner.core.values import usd
from runner.models.answer_usage import money, raw
from runner.models.contract import Failure
from runner.models.http_failures import MAX_MESSAGE, trouble_of


@pytest.fixture
def tried() -> Iterator[Served]:
    with served(OpenAiApi()) as found:
        yield found


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_an_enormous_error_is_read_in_part(tried: Served) -> None:
    """Its status is enough; its words are bounded."""
    words = "slow " * 50_000
    tried.server.give(tried.server.api.error(429, words), Raw(status=500, body=words.encode()))
    failures = [tried.failure(), tried.failure()]
    assert [each.kind for each in failures] == ["rate_limited", "unavailable"]
    assert all(len(each.message) < MAX_MESSAGE + 20 for each in failures)


@pytest.mark.parametrize("depth", [100, 900, 950, 970, 980, 985, 990, 995, 5000])
def test_a_nesting_too_deep_is_no_crash(tried: Served, depth: int) -> None:
    """In an error, in the account of tokens, anywhere: what can be read may still be too deep."""
    deep = b"[" * depth + b"]" * depth
    whole = json.dumps(tried.server.api.whole(Said(usage="HERE"))).encode()
    tried.server.give(
        Raw(status=400, body=b'{"error": {"message": %s}}' % deep),
        Raw(body=whole.replace(b'"HERE"', b'{"prompt_tokens": %s}' % deep)),
    )
    assert tried.failure().kind == "refused"
    outcome = ""
    try:
        outcome = tried.ask().usage.source
    except Failure as failure:
        outcome = failure.kind
    assert outcome in {"estimated", "malformed"}


def test_what_is_nested_too_deep_is_neither_shown_nor_kept() -> None:
    """Where there is no way to write it, its place is taken by words, or by nothing."""
    assert raw({"a": nested(100_000)}) == {}
    trouble = trouble_of({"message": nested(100_000)}, status=400, secret="")
    assert trouble.message == "an error nested too deep"


def test_an_account_of_tokens_is_kept_unless_it_is_deep() -> None:
    """What is kept is written, read and checked later: by code that recurses."""
    assert raw({"a": nested(15)}) == {"a": nested(15)}
    assert raw({"a": nested(21)}) == {}


@pytest.mark.parametrize("told,amount", [(-0.0, "0.00"), (-1e-30, None), (0.5, "0.50")])
def test_a_price_below_nothing_is_none(told: float, amount: str | None) -> None:
    """JSON has a negative zero; money does not."""
    assert usd(Decimal("-0.0")) == "0.00"
    found = money(told)
    assert (found if found is None else usd(found)) == amount
    assert found is None or not found.is_signed()


def test_a_server_that_refuses_everything_is_not_asked_for_ever(tried: Served) -> None:
    """Each time something is left out, until nothing can be."""
    words = "temperature, seed, stream_options, max_completion_tokens and grammar are not supported"
    tried.server.anything = tried.server.api.error(400, words)
    ask = an_ask(schema=SCHEMA, temperature=0.0, seed=1)
    assert tried.failure(ask, stream=True).kind == "refused"
    assert len(tried.server.seen) == 6
    assert tried.body.keys() == {"model", "messages", "stream", "max_completion_tokens"}


def test_an_event_that_the_end_of_the_stream_completes(tried: Served) -> None:
    """Some servers forget the last empty line."""
    value = {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}
    tried.server.give(Raw(body=b"data: " + json.dumps(value).encode()))
    assert tried.streamed()[0].text == "a"


def test_an_error_with_status_200_counts_as_its_code_says(tried: Served) -> None:
    """Gateways answer well where the model behind them did not."""
    values = [{"error": {"code": code, "message": "x"}} for code in (429, 503, "odd", 7)]
    tried.server.give(*[as_json(each) for each in values])
    kinds = [tried.failure().kind for _ in values]
    assert kinds == ["rate_limited", "unavailable", "unavailable", "unavailable"]
