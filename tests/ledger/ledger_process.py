"""What tests run as a process of its own: `ledger_process.py MODE FOLDER`."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ledger_samples import FULL_RUN, PROJECT, cut, file_of, open_at, output, projected, record
from sqlalchemy import event
from sqlalchemy.engine import Engine

from runner.core.errors import LedgerError
from runner.ledger.store import Ledger, sqlite_url

RUN = projected(FULL_RUN)


def opens(folder: Path) -> None:
    open_at(folder).close()


def puts(folder: Path) -> None:
    with open_at(folder) as ledger:
        ledger.put(RUN.at(PROJECT))


def kill_everywhere(work: Callable[[Path], None], folder: Path) -> None:
    """Do the work in folder 0, 1, 2 …, killed at the first, second, third … statement."""
    point = 0
    while not _survives(work, folder, point):
        point += 1
    sys.stdout.write(f"{point}\n")


def _survives(work: Callable[[Path], None], folder: Path, point: int) -> bool:
    child = os.fork()
    if child == 0:
        _die_at(point)
        work(folder / str(point))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code == 0


def _die_at(point: int) -> None:
    left = iter(range(point, -1, -1))

    def count(*_: object) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def put_begun(folder: Path) -> None:
    for number in range(30):
        with open_at(folder / str(number)) as ledger:
            begun = cut(RUN, 2)
            ledger.put(begun.at(PROJECT))


def put_when_told(folder: Path) -> None:
    """Wait for a line, then open and put the run of that number."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    each = projected(FULL_RUN, n=int(sys.stdin.readline()))
    with Ledger(sqlite_url(file_of(folder)), project=PROJECT) as ledger:
        ledger.put(each.at(PROJECT))


def put_too_much(folder: Path) -> None:
    large = projected([record("read", output=output("x" * 5_000_000))])
    with open_at(folder) as ledger:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            ledger.put(large.at(PROJECT))
        except LedgerError as error:
            sys.stdout.write(error.message)


def list_modules(folder: Path) -> None:
    opens(folder)
    sys.stdout.write(" ".join(name for name in sys.modules if name.startswith("alembic")))


def kill_opening(folder: Path) -> None:
    # Imported before the forks, so that no child needs to.
    from runner.ledger.migrations import upgrade

    assert upgrade
    kill_everywhere(opens, folder)


def kill_putting(folder: Path) -> None:
    put_begun(folder)
    kill_everywhere(puts, folder)


MODES = {
    each.__name__: each
    for each in (kill_opening, kill_putting, put_when_told, put_too_much, list_modules)
}

if __name__ == "__main__":
    MODES[sys.argv[1]](Path(sys.argv[2]))
