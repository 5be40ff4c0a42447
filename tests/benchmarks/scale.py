"""What very many recorded steps cost to read, against git: `python -m tests.benchmarks.scale`.

Times on one machine say little about another; the ratios do, and the memory.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.lines import Figure, Line, Printed, compared, seconds, show
from tests.benchmarks.scene import SOURCE, Team

from many_runs import Size, build  # isort: skip  # the scene finds tests/support

STEPS_OF_RUN = 50
MOST_PLANS = 10
# The peak that the system tells of a child is no less than what its parent had when it forked.
CODE = """
import atexit, re, sys
from pathlib import Path
peak = lambda: re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]
atexit.register(lambda: print(peak(), file=sys.stderr))
from runner.cli.main import main
main()
"""


@dataclass(frozen=True, kw_only=True)
class Process:
    """What a process of its own took: seconds, and its peak of memory in MiB."""

    seconds: float
    memory: float


def calling(team: Team, *args: str) -> Process:
    """Call planlock in a process of its own."""
    environment = {**team.environment("ada"), "PYTHONPATH": str(SOURCE)}
    told: list[str] = []

    def act() -> None:
        argv = [sys.executable, "-c", CODE, *args]
        done = subprocess.run(
            argv, cwd=team.root, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"planlock {' '.join(args)}: {done.stderr}")
        told.append(done.stderr.splitlines()[-1])

    return Process(seconds=seconds(act), memory=int(told[0]) / 1024)


def reading(team: Team) -> float:
    """Read all objects as git itself does: the log, then every content."""

    def act() -> None:
        for args in (
            ("log", "--all", "--format=%H %T %P%n%B"),
            ("cat-file", "--batch", "--batch-all-objects", "--unordered"),
        ):
            subprocess.run(["git", *args], cwd=team.root, check=True, stdout=subprocess.DEVNULL)

    return seconds(act)


def inserting(team: Team, folder: Path) -> float:
    """Insert the rows of the ledger into another database in one go, without keys."""
    rows = _rows(team.root / ".git/planlock/ledger.sqlite")
    database = sqlite3.connect(folder / "floor.sqlite")
    for table, found in rows.items():
        marks = ", ".join(f"c{number}" for number in range(len(found[0])))
        database.execute(f"CREATE TABLE {table} ({marks})")

    def act() -> None:
        with database:
            for table, found in rows.items():
                marks = ", ".join("?" * len(found[0]))
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", found)  # noqa: S608  # names of our own tables

    taken = seconds(act)
    database.close()
    return taken


def _rows(ledger: Path) -> Mapping[str, Sequence[tuple[object, ...]]]:
    """Every row of every table that has one."""
    database = sqlite3.connect(ledger)
    named = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for (name,) in named}  # noqa: S608  # names of our own tables
    database.close()
    return {name: found for name, found in rows.items() if found}


def size_of(steps: int) -> Size:
    runs = max(1, steps // STEPS_OF_RUN)
    plans = min(MOST_PLANS, runs)
    return Size(plans=plans, runs=runs // plans, steps=min(steps, STEPS_OF_RUN))


def of_size(folder: Path, steps: int) -> Iterator[Printed]:
    size = size_of(steps)
    team = build(folder / "team", size)
    total = size.plans * size.runs * size.steps
    place = f"{total} steps: "
    floor = Line(what=f"{place}git log + cat-file --batch", seconds=reading(team))
    yield floor
    yield from told(f"{place}audit", calling(team, "audit"), floor, total, fast=">= 2000")
    rebuilt = calling(team, "ledger", "rebuild")
    taken = floor.seconds + inserting(team, folder)
    insert = Line(what=f"{place}read, and insert in bulk", seconds=taken)
    yield insert
    yield from told(f"{place}ledger rebuild", rebuilt, insert, total, aim="<= 1.5")
    yield from told(f"{place}ledger check", calling(team, "ledger", "check"), floor, total)
    of_plan, of_run = size.runs * size.steps, size.steps
    yield from told(f"{place}status of a plan", calling(team, "status", "plan-1"), floor, of_plan)
    yield from told(f"{place}log of a run", calling(team, "log", "plan-1"), floor, of_run)


def told(  # noqa: PLR0913  # what was measured, and its two aims
    what: str, process: Process, floor: Line, records: int, *, aim: str = "", fast: str = ""
) -> Iterator[Printed]:
    yield compared(what, process.seconds, floor, aim=aim)
    yield Figure(what=f"{what}, speed", value=records / process.seconds, unit="steps/s", aim=fast)
    yield Figure(what=f"{what}, peak memory", value=process.memory, unit="MiB", aim="flat")


def measure(folder: Path, *, steps: int) -> Iterator[Printed]:
    """Measure a tenth first, to see whether memory grows."""
    for number in (max(1, steps // 10), steps):
        place = folder / str(number)
        place.mkdir()
        yield from of_size(place, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    show(partial(measure, steps=parser.parse_args().steps))


if __name__ == "__main__":
    main()
