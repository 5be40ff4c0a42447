"""What was saved: stored answers as they were paid, and as the baseline model would have been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from runner.core.errors import InvalidDocument
from runner.core.model_call import Answer
from runner.models.config import ModelConfig, ModelsConfig
from runner.models.prices import Price, Prices
from runner.models.store import Store

MOST_ANSWERS = 2_000


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What answers cost, and what the baseline would have for the same tokens.

    `unpriced` answers, whose cost nobody knows, are in neither sum.
    """

    baseline: str
    answers: int
    unpriced: int
    spent_usd: Decimal
    baseline_usd: Decimal


def measured(store: Store, config: ModelsConfig, prices: Prices) -> Saving | None:
    """Measure on the first answers of the store; None where there is nothing to compare."""
    model = baseline_of(config, prices)
    price = prices.of(config, model) if model else None
    if model is None or price is None:
        return None
    answers = list(_answers(store))
    priced = [(each.cost.amount, each) for each in answers if each.cost.amount is not None]
    if not priced:
        return None
    return Saving(
        baseline=model.ref,
        answers=len(answers),
        unpriced=len(answers) - len(priced),
        spent_usd=sum((Decimal(amount) for amount, _ in priced), Decimal(0)),
        baseline_usd=sum((_as_baseline(price, each) for _, each in priced), Decimal(0)),
    )


def baseline_of(config: ModelsConfig, prices: Prices) -> ModelConfig | None:
    """The model that savings are measured against: as configured, else the dearest."""
    if config.baseline is not None:
        return config.find(config.baseline)
    priced = [(prices.of(config, each), each) for each in config.models]
    known = [(price.output.base, each) for price, each in priced if price and not price.free]
    return max(known, key=lambda each: each[0])[1] if known else None


def _as_baseline(price: Price, answer: Answer) -> Decimal:
    """What the baseline would have cost, had it answered at once: repairs are not counted."""
    good = [each for each in answer.attempts if each.status == "ok"]
    return sum((Decimal(price.cost(each.usage).amount or 0) for each in good), Decimal(0))


def _answers(store: Store) -> Iterator[Answer]:
    for address in islice(store.addresses(), MOST_ANSWERS):
        try:
            entry = store.entry(address)
        except InvalidDocument:
            continue  # whoever asks that question is told
        if entry is not None:
            yield entry.answer
