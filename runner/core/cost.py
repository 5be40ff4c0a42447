"""Money and tokens: sums that keep apart what is known and what is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from runner.core.values import Stored, Usd


class Call(Stored):
    """One request to a model as the record keeps it; `cost_usd` is null where unknown."""

    provider: str
    model: str
    status: str
    input_tokens: int
    output_tokens: int
    cost_usd: Usd | None
    cost_status: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum of calls; `unpriced` counts those whose cost is unknown."""

    usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    unpriced: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(
            usd=self.usd + other.usd,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            calls=self.calls + other.calls,
            unpriced=self.unpriced + other.unpriced,
        )


def total(calls: Iterable[Call]) -> Total:
    result = Total()
    for call in calls:
        result += Total(
            usd=Decimal(call.cost_usd or 0),
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            calls=1,
            unpriced=int(call.cost_usd is None),
        )
    return result
