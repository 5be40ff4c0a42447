"""What benchmarks print: times and counts, and how they compare with others of the same run."""

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
    """One measured thing: seconds each, how many times what it is compared with, and the aim."""

    what: str
    seconds: float
    against: str = ""
    ratio: float = 0.0
    aim: str = ""

    def __str__(self) -> str:
        ratio = f"{self.ratio:8.2f} x  {self.against}" if self.against else ""
        aim = f"  (aim: {self.aim})" if self.aim else ""
        return f"{self.what:<62}{1000 * self.seconds:10.3f} ms {ratio}{aim}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Something that was counted."""

    what: str
    value: float
    unit: str
    aim: str = ""

    def __str__(self) -> str:
        aim = f"  (aim: {self.aim})" if self.aim else ""
        return f"{self.what:<62}{self.value:10.1f} {self.unit}{aim}"


@dataclass(frozen=True, kw_only=True)
class Note:
    """What could not be measured here, and why."""

    text: str

    def __str__(self) -> str:
        return self.text


Printed = Line | Figure | Note


def each(act: Callable[[], object], times: int) -> float:
    """Give the median of the seconds that an act takes."""
    return statistics.median(seconds(act) for _ in range(times))


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def compared(what: str, taken: float, floor: Line, *, aim: str = "") -> Line:
    """Make a line that says how many times another one it takes."""
    return Line(what=what, seconds=taken, against=floor.what, ratio=taken / floor.seconds, aim=aim)


def show(measure: Callable[[Path], Iterable[Printed]]) -> None:
    """Measure in a folder of its own, and print each line."""
    with tempfile.TemporaryDirectory(prefix="planlock-benchmark-") as folder:
        for line in measure(Path(folder)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
