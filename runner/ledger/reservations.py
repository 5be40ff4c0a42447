"""Money set aside before a call and settled after it, in one book for all processes.

What counts as spent is what records tell, and each reservation whose call no record tells of: in
full until it is settled. A process that ends between the two leaves it to count in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, insert, select, text, update

from runner.core import budget
from runner.core.budget import Account, Bound, Place, Reservation, Scope, Sum
from runner.core.errors import BudgetExceeded, LedgerError, PriceUnknown
from runner.core.values import USD, time_text, usd
from runner.ledger.store import Ledger
from runner.ledger.tables import model_calls
from runner.ledger.tables import reservations as book

SMALLEST = Decimal("0.000000001")
RESERVED, SETTLED = "reserved", "settled"
UNPRICED = (
    "budgets.allow_unpriced: true with a limit on tokens, by review; or a price: planlock models"
)


class Wanted(Protocol):
    """The worst that one attempt may cost; `usd` is None where no price is known."""

    @property
    def usd(self) -> Decimal | None: ...
    @property
    def tokens(self) -> int: ...
    @property
    def model(self) -> str: ...


class LedgerPurse:
    """The bounds that hold for one question, checked and charged in the ledger.

    `made` are the reservations so far. `warn` is told once of each bound of which four fifths are
    gone once a call is settled. Methods raise LedgerError too: money that cannot be counted is not spent.
    """

    def __init__(  # noqa: PLR0913  # what a purse depends on
        self,
        ledger: Ledger,
        place: Place,
        bounds: Sequence[Bound],
        *,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
        warn: Callable[[str], None] = lambda _: None,
        allow_unpriced: bool = False,
        fix: str = budget.RAISE,
    ) -> None:
        self.ledger = ledger
        self.place = place
        self.bounds = tuple(bounds)
        self.made: list[str] = []
        self.name = new_id()
        self.now = now
        self.warn = warn
        self.allow_unpriced = allow_unpriced
        self.fix = fix
        self._warned: set[str] = set()

    def reserve(self, want: Wanted) -> str:
        """Set the worst case aside; raises BudgetExceeded or PriceUnknown where it does not fit."""
        check_priced(self.bounds, want, allow_unpriced=self.allow_unpriced)
        worst = Sum(usd=want.usd or Decimal(0), tokens=want.tokens, unpriced=int(want.usd is None))
        # In the order in which they were made, also those of one second.
        name = f"{self.name}-{len(self.made) + 1:03d}"
        with self.ledger.writing("setting money aside in") as connection:
            _hold(connection)
            accounts = self._accounts(connection)
            for account in accounts:
                why = account.objection(worst, allow_unpriced=self.allow_unpriced)
                if why:
                    raise BudgetExceeded(why, hint=self.fix)
            row = _row(self.place, name, want, made_at=time_text(self.now()))
            connection.execute(insert(book).values(row))
        self.made.append(name)
        return name

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        """Replace the worst case by what it was; None for a price that nobody knows."""
        values = {"state": SETTLED, "settled_usd": _text(usd), "settled_tokens": tokens}
        with self.ledger.writing("settling in") as connection:
            connection.execute(update(book).where(book.c.id == reservation).values(values))
            accounts = self._accounts(connection)
        self._tell(accounts)

    def left(self) -> Decimal | None:
        """What the tightest bound on money leaves; None where there is no bound."""
        if all(each.usd is None for each in self.bounds):
            return None
        return budget.least_money(self.accounts(), allow_unpriced=self.allow_unpriced)

    def accounts(self) -> tuple[Account, ...]:
        """Every bound with what is spent under it now."""
        with self.ledger.reading() as connection:
            return self._accounts(connection)

    def _accounts(self, connection: Connection) -> tuple[Account, ...]:
        return budget.accounts(
            self.bounds,
            self.place,
            _held(connection, self.place.project),
            own=frozenset(self.made),
            recorded=_recorded(connection, self.place, {each.scope for each in self.bounds}),
        )

    def _tell(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            told = account.warning()
            if told and account.bound.name not in self._warned:
                self._warned.add(account.bound.name)
                self.warn(told)


def check_priced(bounds: Sequence[Bound], want: Wanted, *, allow_unpriced: bool) -> None:
    """Refuse a call that nobody can price under a bound on money; raises PriceUnknown."""
    if want.usd is not None or all(each.usd is None for each in bounds):
        return
    if not allow_unpriced or all(each.tokens is None for each in bounds):
        names = ", ".join(each.name for each in bounds if each.usd is not None)
        message = f"nobody knows the price of {want.model}, and money is bound by {names}"
        raise PriceUnknown(message, hint=UNPRICED)


def unrecorded(ledger: Ledger, place: Place) -> tuple[Reservation, ...]:
    """What was set aside for a step and is in no record, oldest first."""
    with ledger.reading() as connection:
        every = _held(connection, place.project)
    wanted = (place.plan, place.run, place.step)
    return tuple(
        each for each in every if (each.place.plan, each.place.run, each.place.step) == wanted
    )


def outside_of_runs(ledger: Ledger) -> tuple[Reservation, ...]:
    """What was set aside for questions that belong to no run, oldest first."""
    with ledger.reading() as connection:
        every = _held(connection, ledger.project)
    return tuple(each for each in every if each.place.plan is None)


def _hold(connection: Connection) -> None:
    """Let nobody reserve between our sum and our row; SQLite's write lock does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE reservations IN SHARE ROW EXCLUSIVE MODE"))


def _row(place: Place, name: str, want: Wanted, *, made_at: str) -> dict[str, Any]:
    return {
        "id": name,
        "project": place.project,
        "plan": place.plan,
        "run_number": place.run,
        "step_id": place.step,
        "ask": place.ask,
        "model": want.model,
        "day": place.day,
        "usd": _text(want.usd),
        "tokens": want.tokens,
        "state": RESERVED,
        "made_at": made_at,
    }


def _held(connection: Connection, project: str) -> list[Reservation]:
    found = select(book).where(book.c.project == project).order_by(book.c.made_at, book.c.id)
    return [_reservation(row) for row in connection.execute(found).mappings()]


def _reservation(row: Any) -> Reservation:
    settled = None
    if row["state"] == SETTLED:
        settled = _sum(row["settled_usd"], row["settled_tokens"] or 0)
    return Reservation(
        id=row["id"],
        place=Place(
            project=row["project"],
            day=row["day"],
            ask=row["ask"],
            plan=row["plan"],
            run=row["run_number"],
            step=row["step_id"],
        ),
        model=row["model"],
        worst=_sum(row["usd"], row["tokens"]),
        settled=settled,
    )


def _recorded(connection: Connection, place: Place, scopes: set[Scope]) -> dict[Scope, Sum]:
    """What records tell of the scopes that the ledger knows best."""
    columns = model_calls.c
    found: dict[Scope, Sum] = {}
    for scope in budget.SHARED & scopes:
        wanted = [columns.project == place.project]
        wanted += [columns.day == place.day] if scope == "day" else []
        rows = connection.execute(
            select(
                columns.cost_usd,
                columns.gen_ai_usage_input_tokens,
                columns.gen_ai_usage_output_tokens,
            ).where(*wanted)
        )
        found[scope] = sum((_sum(cost, sent + got) for cost, sent, got in rows), Sum())
    return found


def _sum(money: str | None, tokens: int) -> Sum:
    if money is not None and not re.fullmatch(USD, money):
        message = f"summing up money: {money[:40]!r} is no amount"
        raise LedgerError(message, hint="planlock ledger rebuild")
    return Sum(usd=Decimal(money or 0), tokens=tokens, unpriced=int(money is None))


def _text(amount: Decimal | None) -> str | None:
    """As files hold money, rounded up to what they can hold."""
    return None if amount is None else usd(amount.quantize(SMALLEST, ROUND_CEILING))
