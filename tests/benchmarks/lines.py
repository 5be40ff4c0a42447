"""What benchmarks print: a time for each thing, and how it compares with another of the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measured thing: seconds each, and how many times what it is compared with."""

    what: str
    seconds: float
    against: str = ""
    ratio: float = 0.0

    def __str__(self) -> str:
        ratio = f"{self.ratio:8.2f} x  {self.against}" if self.against else ""
        return f"{self.what:<62}{1000 * self.seconds:10.3f} ms {ratio}".rstrip()


def each(act: Callable[[], object], times: int) -> float:
    """Give the median of the seconds that an act takes."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def show(measure: Callable[[Path], Iterable[Line]]) -> None:
    """Measure in a folder of its own, and print each line."""
    with tempfile.TemporaryDirectory(prefix="planlock-benchmark-") as folder:
        for line in measure(Path(folder)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
