"""Run so many steps that do nothing with DBOS, each recorded in SQLite; prints seconds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dbos import DBOS


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def workflow(steps: int) -> None:
    for number in range(steps):
        step(number)


def main(steps: int, folder: Path) -> float:
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    try:
        start = time.perf_counter()
        workflow(steps)
        return time.perf_counter() - start
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    sys.stdout.write(f"seconds {main(int(sys.argv[1]), Path(sys.argv[2]))}\n")
