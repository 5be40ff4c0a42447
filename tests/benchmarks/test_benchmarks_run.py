"""The benchmarks themselves work; what they measure is not judged here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.benchmarks import (
    approvals,
    commands,
    peers,
    plans,
    router,
    scale,
    startup,
    steps,
    tracing,
    workspaces,
)
from tests.benchmarks.lines import Figure, Line, Note, Printed


def test_the_benchmark_of_approvals_measures_everything(tmp_path: Path) -> None:
    """Each line has a time, and each comparison a ratio."""
    lines = approvals.measure(tmp_path, count=3, times=3)
    assert len(lines) == 11
    assert all(line.seconds > 0 for line in lines)
    assert [line.ratio > 0 for line in lines] == [bool(line.against) for line in lines]


def test_the_benchmark_of_the_router_measures_everything(tmp_path: Path) -> None:
    """Plain httpx is the floor, and each way to ask the router has its ratio to it."""
    lines = router.measure(tmp_path, times=3)
    assert len(lines) == 7
    assert all(line.seconds > 0 for line in lines)
    assert all(line.ratio == line.seconds / lines[0].seconds for line in lines)


@pytest.mark.usefixtures("confined")
def test_the_benchmark_of_commands_measures_everything(tmp_path: Path) -> None:
    """Each backend of this machine has a line for each size, and a ratio to a plain process."""
    lines = commands.measure(tmp_path, times=1)
    names = {backend.name for backend in commands.backends()}
    for name in names:
        assert sum(f": {name}" in line.what for line in lines) >= 5
    assert all(line.seconds > 0 for line in lines)
    floors = [line for line in lines if line.what.endswith(commands.FLOOR)]
    assert [line.ratio for line in floors] == [1.0] * 3


def timed(lines: Iterable[Printed]) -> dict[str, Line]:
    """Map what was timed to its line, having looked that each has a time and a ratio."""
    found = {line.what: line for line in lines if isinstance(line, Line)}
    assert all(line.seconds > 0 and str(line) for line in found.values())
    assert all(bool(line.ratio) == bool(line.against) for line in found.values())
    return found


def test_the_benchmark_of_starting_measures_everything(tmp_path: Path) -> None:
    """Each command has its ratio to an interpreter that does nothing."""
    found = timed(startup.measure(tmp_path, times=1))
    assert list(found) == list(startup.COMMANDS)
    assert found["planlock --help"].against == "python -c pass"


def test_the_benchmark_of_steps_measures_everything(tmp_path: Path) -> None:
    """Recording is compared with the disk and with git, and its system calls are counted."""
    lines = list(steps.measure(tmp_path, files=(12,), steps=3, times=1))
    assert len(timed(lines)) == 7
    counted = {line.what: line.value for line in lines if isinstance(line, Figure)}
    if not tracing.INSTALLED:
        assert isinstance(lines[-1], Note)
        return
    assert len(counted) == len(steps.AIMS)
    assert counted["12 files: fsyncs"] > 0


def test_the_benchmark_of_workspaces_measures_everything(tmp_path: Path) -> None:
    """Ours are made and removed twice, and for commands twice in two ways; git's once."""
    found = timed(workspaces.measure(tmp_path, files=(2,)))
    assert len(found) == 14
    assert sum(line.against == "2 files: git worktree add" for line in found.values()) == 6


def test_the_benchmark_of_plans_measures_everything(tmp_path: Path) -> None:
    """Each act is timed on each length, and what a further step costs is compared."""
    lines = list(plans.measure(tmp_path, steps=(3, 4, 5)))
    acts = ("validate", "show", "status", "run")
    assert [str(line).split(" ")[0].rstrip(":") for line in lines] == [
        act for act in acts for _ in range(4)
    ]


def test_the_benchmark_of_peers_says_which_are_not_installed(tmp_path: Path) -> None:
    """They are no dependency of ours, and an interpreter without packages has none."""
    lines = list(peers.measure(tmp_path, steps=2, python=sys.executable))
    assert len(timed(lines)) + sum("not installed" in str(line) for line in lines) == 3


def test_the_benchmark_of_scale_measures_everything(tmp_path: Path) -> None:
    """Each way to read all records has a time, a speed and a peak of memory, at two sizes."""
    lines = list(scale.measure(tmp_path, steps=20))
    assert len(timed(lines)) == 14
    figures = [line for line in lines if isinstance(line, Figure)]
    assert len(figures) == 20
    assert all(figure.value > 0 and str(figure) for figure in figures)
