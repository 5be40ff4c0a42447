"""A planning that a real model on a real server did, recounted by hand from what the server said.

The server was a llama.cpp build that told cached tokens; the prices are those of `models.yaml`
beside the record: 0.12, 0.48 and 0.03 USD for a million tokens in, out and read from the cache.
"""

from __future__ import annotations

import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner.core import documents
from runner.core.model_call import Usage
from runner.models import config
from runner.models.prices import Prices
from runner.models.store import Store
from runner.models.store_archive import import_

RECORDED = Path(__file__).parents[1] / "real_model" / "recorded"
# By the number of tokens out: 20 fresh and 1,493 cached tokens in, then 67 and 1,064.
BY_HAND = {
    73: (20 * Decimal("0.12") + 1493 * Decimal("0.03") + 73 * Decimal("0.48")) / 1_000_000,
    122: (67 * Decimal("0.12") + 1064 * Decimal("0.03") + 122 * Decimal("0.48")) / 1_000_000,
}


def parsed(name: str) -> Any:
    return documents.parse((RECORDED / name).read_bytes(), file=name).value


@pytest.fixture
def attempts(tmp_path: Path) -> list[dict[str, Any]]:
    """Both attempts as they were stored, checked against their addresses by the import."""
    assert import_(Store(tmp_path / "store"), RECORDED / "answers.zip").added == 2
    with zipfile.ZipFile(RECORDED / "answers.zip") as archive:
        entries = [json.loads(archive.read(name)) for name in archive.namelist()]
    return [attempt for entry in entries for attempt in entry["answer"]["attempts"]]


def test_the_server_was_understood(attempts: list[dict[str, Any]]) -> None:
    """Totals are inclusive: cached tokens are among those of the prompt."""
    for each in attempts:
        raw, usage = each["raw_usage"], each["usage"]
        assert usage["input_tokens"] == raw["prompt_tokens"]
        assert usage["cache_read_input_tokens"] == raw["prompt_tokens_details"]["cached_tokens"]
        assert usage["output_tokens"] == raw["completion_tokens"]
        assert raw["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_each_cost_is_what_the_prices_come_to_by_hand(attempts: list[dict[str, Any]]) -> None:
    """Fresh, cached and written tokens times their prices, to the last digit, then and now."""
    whole = config.build(parsed("models.yaml"), file="models.yaml")
    price = Prices().of(whole, whole.models[0])
    assert price is not None
    for each in attempts:
        expected = BY_HAND[each["usage"]["output_tokens"]]
        assert Decimal(each["cost"]["amount"]) == expected
        assert Decimal(price.cost(Usage.model_validate(each["usage"])).amount or 0) == expected


def test_the_plan_tells_the_sum() -> None:
    """Its planner block has both calls, to the last digit."""
    planner = parsed("plan.yaml")["planner"]
    assert planner["tokens"] == {"input": 1513 + 1131, "output": 73 + 122}
    assert Decimal(planner["cost_usd"]) == sum(BY_HAND.values()) == Decimal("0.00018075")
