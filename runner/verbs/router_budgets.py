"""What all callers of a router together may spend: in a day, and for each project.

The account is kept in a ledger, so that it outlives the service and holds for several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner import settings
from runner.core import ids
from runner.core.budget import Bound, Place
from runner.models import purse
from runner.models.contract import Purse, Want
from runner.project import World

if TYPE_CHECKING:
    from runner.ledger.store import Ledger

BOOK = "router"


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """USD in a day (UTC), and for each project in all; None for no bound."""

    day_usd: Decimal | None = None
    project_usd: Decimal | None = None

    @property
    def any(self) -> bool:
        return self.day_usd is not None or self.project_usd is not None


class SharedBudgets:
    """Opens the ledger where there is a budget; `warn` is told when four fifths are gone."""

    def __init__(
        self,
        world: World,
        budgets: Budgets,
        *,
        folder: Path,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._world = world
        self._budgets = budgets
        self._warn = warn
        self._warned: set[str] = set()
        self._ledger = _open(world, folder) if budgets.any else None

    def purse(self, project: str | None) -> Purse | None:
        """Give what bounds a call for a project; calls that name none share one."""
        if self._ledger is None:
            return None
        day = f"{self._world.now():%Y-%m-%d}"
        told = (
            (f"day {day}", "--day-usd", self._budgets.day_usd),
            (f"project {project or ''}", "--project-usd", self._budgets.project_usd),
        )
        return _Together(
            tuple(
                self._purse(self._ledger, f"{BOOK} {whose}", day=day, name=name, most=most)
                for whose, name, most in told
                if most is not None
            )
        )

    def _purse(self, ledger: Ledger, whose: str, *, day: str, name: str, most: Decimal) -> Purse:
        from runner.ledger.reservations import LedgerPurse

        world = self._world
        return LedgerPurse(
            ledger,
            # every account is a project of its own, so that adding up reads no others
            Place(project=whose, day=day),
            [Bound(name=f"the service's {name}", scope="project", usd=most)],
            new_id=lambda: ids.ulid(
                int(world.now().timestamp() * 1000), world.random(ids.RANDOM_BYTES)
            ),
            now=world.now,
            warn=partial(self._tell, whose),
            fix=f"planlock router serve with a higher {name}",
        )

    def _tell(self, whose: str, text: str) -> None:
        """Warn once of each account."""
        if whose not in self._warned:
            self._warned.add(whose)
            self._warn(text)

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()


def _open(world: World, folder: Path) -> Ledger:
    """Open the ledger of the settings, else one beside the stored answers."""
    from runner.ledger.database import sqlite_url
    from runner.ledger.store import Ledger

    url = settings.load(world.environment, {}).ledger_url
    return Ledger(url or sqlite_url(folder.parent / f"{BOOK}.sqlite"), project=BOOK)


@dataclass(frozen=True)
class _Together:
    """Several purses as one: a reservation is made in all of them, or in none."""

    purses: Sequence[Purse]

    def reserve(self, want: Want) -> str:
        held = purse.reserve(self.purses, want)
        return " ".join(name for _, name in held.parts)

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        for each, name in zip(self.purses, reservation.split(), strict=True):
            each.settle(name, usd=usd, tokens=tokens)

    def left(self) -> Decimal | None:
        return purse.least_left(self.purses)
