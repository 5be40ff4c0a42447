"""A process that reserves tenths of a dollar: `reservation_process.py FOLDER NAME STOP_AFTER`."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from ledger_samples import PROJECT, file_of

import runner
from runner.core.budget import Bound, Place
from runner.core.errors import BudgetExceeded
from runner.ledger.reservations import LedgerPurse
from runner.ledger.store import Ledger, sqlite_url


@dataclass(frozen=True, kw_only=True)
class Tenth:
    usd: Decimal = Decimal("0.10")
    tokens: int = 1
    model: str = "m"


def spender(folder: Path, name: str, *, stop_after: int = 10**6) -> subprocess.Popen[str]:
    """Start one; it says `ready`, waits for a line, and says how often it got a tenth."""
    paths = [str(Path(runner.__file__).parents[1]), str(Path(__file__).parent)]
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), name, str(stop_after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(paths)},
    )
    if stop_after < 10**6 and process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()
    return process


def spend(folder: Path, name: str, stop_after: int) -> None:
    """Reserve until the day's dollar is gone; settle every other one at its worst case."""
    ids = (f"{name}{number}" for number in itertools.count())
    with Ledger(sqlite_url(file_of(folder)), project=PROJECT, busy_timeout_s=30) as ledger:
        purse = LedgerPurse(
            ledger,
            Place(project=PROJECT, day="2026-11-22", plan="job", run=1, step=name),
            [Bound(name="the day's budget", scope="day", usd=Decimal("1.00"))],
            new_id=lambda: next(ids),
            now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        )
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        got = 0
        while True:
            try:
                held = purse.reserve(Tenth())
            except BudgetExceeded:
                break
            got += 1
            if got == stop_after:
                os.kill(os.getpid(), signal.SIGKILL)
            if got % 2:
                purse.settle(held, usd=Decimal("0.10"), tokens=1)
    sys.stdout.write(f"{got}\n")


if __name__ == "__main__":
    spend(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
