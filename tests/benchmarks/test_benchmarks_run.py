"""The benchmarks themselves work; what they measure is not judged here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import approvals, commands, router


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
