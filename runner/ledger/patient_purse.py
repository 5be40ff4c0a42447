"""A purse for the questions of steps, whose answers must outlive a ledger that fails."""

from __future__ import annotations

from decimal import Decimal

from runner.core.errors import LedgerError
from runner.core.text import visible
from runner.ledger.reservations import LedgerPurse


class PatientPurse(LedgerPurse):
    """One that loses no answer where the ledger fails after it: what was set aside counts on."""

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        """Replace the worst case by what it was; where that cannot be written, warn."""
        try:
            super().settle(reservation, usd=usd, tokens=tokens)
        except LedgerError as error:
            self.warn(visible(f"{error.message}; what was set aside for the call counts in full"))
