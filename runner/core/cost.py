"""Money and tokens: sums that keep apart what is known and what is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from runner.core.values import Stored, Usd

STORED = frozenset({"hit", "semantic_hit"})
LOST = "lost"


class Call(Stored):
    """One HTTP request to a model as the record keeps it; `cost_usd` is null where unknown.

    `id` is that of the answer, the same for every attempt at it. An answer that was stored is one
    call with the status `hit` or `semantic_hit`. A call with the status `lost` was begun by a
    runner that ended before it could record it: its cost is what was set aside.
    """

    provider: str
    model: str
    status: str
    input_tokens: int
    output_tokens: int
    cost_usd: Usd | None
    cost_status: str
    file: str
    id: str = ""
    kind: str = ""
    attempt: int = 1
    response_model: str = ""
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    usage_source: str = ""
    price_source: str = ""
    route_reason: str = ""
    saved_usd: Usd | None = None
    reservation: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum of calls; `unpriced` counts those whose cost is unknown.

    Cached and reasoning tokens are part of the others; `saved` is what stored answers had cost.
    """

    usd: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    unpriced: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    saved: Decimal = Decimal(0)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Total) -> Total:
        return Total(
            usd=self.usd + other.usd,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            calls=self.calls + other.calls,
            unpriced=self.unpriced + other.unpriced,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            saved=self.saved + other.saved,
        )


def total(calls: Iterable[Call]) -> Total:
    return sum(map(_one, calls), Total())


def _one(call: Call) -> Total:
    return Total(
        usd=Decimal(call.cost_usd or 0),
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        calls=1,
        unpriced=int(call.cost_usd is None),
        cached_tokens=call.cache_read_input_tokens,
        reasoning_tokens=call.reasoning_output_tokens,
        saved=Decimal(call.saved_usd or 0),
    )
