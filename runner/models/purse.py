"""Money and tokens of one call, in memory; and several purses that must all agree."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from runner.core.budget import NOTHING, Account, Bound, Sum
from runner.core.errors import BudgetExceeded
from runner.core.model_call import BudgetWish
from runner.models.contract import Purse, Want

RAISE: Final = "raise the request's budget, or lower its params.max_tokens"


class Allowance:
    """A purse in this process, for as many threads as like; `name` says whose the bounds are."""

    def __init__(
        self,
        *,
        usd: Decimal | None = None,
        tokens: int | None = None,
        allow_unpriced: bool = False,
        name: str = "the request's budget",
        fix: str = RAISE,
    ) -> None:
        self.bounds = (
            Bound(name=f"{name}.max_cost_usd", scope="call", usd=usd),
            Bound(name=f"{name}.max_tokens", scope="call", tokens=tokens),
        )
        self.fix = fix
        self._allow_unpriced = allow_unpriced
        self._lock = threading.Lock()
        self._held: dict[str, Sum] = {}
        self._spent = NOTHING
        self._made = 0

    def reserve(self, want: Want) -> str:
        """Set the worst case aside and name the reservation; raises BudgetExceeded."""
        worst = Sum(usd=want.usd or Decimal(0), tokens=want.tokens, unpriced=int(want.usd is None))
        with self._lock:
            for account in self._accounts():
                why = account.objection(worst, allow_unpriced=self._allow_unpriced)
                if why:
                    raise BudgetExceeded(f"asking {want.model}: {why}", hint=self.fix)
            self._made += 1
            self._held[str(self._made)] = worst
            return str(self._made)

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        """Replace the worst case by what it was; raises KeyError for what is not set aside."""
        with self._lock:
            del self._held[reservation]
            self._spent += Sum(usd=usd or Decimal(0), tokens=tokens, unpriced=int(usd is None))

    def left(self) -> Decimal | None:
        """What is neither spent nor set aside; None where money is not bounded."""
        with self._lock:
            money, _ = self._accounts()
            return money.money_left(allow_unpriced=self._allow_unpriced)

    @property
    def held(self) -> int:
        """How many reservations are not settled."""
        with self._lock:
            return len(self._held)

    def _accounts(self) -> tuple[Account, Account]:
        spent = sum(self._held.values(), self._spent)
        money, tokens = self.bounds
        return Account(bound=money, spent=spent), Account(bound=tokens, spent=spent)


def of_wish(wish: BudgetWish) -> Allowance:
    """The money of one call, as its request bounds it."""
    return Allowance(
        usd=None if wish.max_cost_usd is None else Decimal(wish.max_cost_usd),
        tokens=wish.max_tokens,
        allow_unpriced=wish.allow_unpriced,
    )


@dataclass(frozen=True, kw_only=True)
class Held:
    """One worst case, set aside in several purses."""

    want: Want
    parts: tuple[tuple[Purse, str], ...]

    def settle(self, *, usd: Decimal | None, tokens: int) -> None:
        for purse, name in self.parts:
            purse.settle(name, usd=usd, tokens=tokens)


def reserve(purses: Sequence[Purse], want: Want) -> Held:
    """Set the worst case aside in all purses, or in none; raises BudgetExceeded or what they do."""
    parts: list[tuple[Purse, str]] = []
    with ExitStack() as undo:
        for purse in purses:
            name = purse.reserve(want)
            undo.callback(purse.settle, name, usd=Decimal(0), tokens=0)
            parts.append((purse, name))
        undo.pop_all()
    return Held(want=want, parts=tuple(parts))


def least_left(purses: Sequence[Purse]) -> Decimal | None:
    """What the tightest purse leaves; None where none bounds money."""
    lefts = (purse.left() for purse in purses)
    return min((each for each in lefts if each is not None), default=None)
