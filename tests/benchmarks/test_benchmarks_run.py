"""The benchmarks themselves work; what they measure is not judged here."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import approvals


def test_the_benchmark_of_approvals_measures_everything(tmp_path: Path) -> None:
    """Each line has a time, and each comparison a ratio."""
    lines = approvals.measure(tmp_path, count=3, times=3)
    assert len(lines) == 11
    assert all(line.seconds > 0 for line in lines)
    assert [line.ratio > 0 for line in lines] == [bool(line.against) for line in lines]
