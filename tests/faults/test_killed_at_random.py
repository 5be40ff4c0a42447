"""Killed with -9 at any instant of a run, it ends as an undisturbed one would have."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from fault_points import Scene, check, die_after, files, finish

pytestmark = pytest.mark.usefixtures("confined")
SEED, PARTS, EACH = 6, 5, 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene.make(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def undisturbed(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, list[str]]:
    """How many seconds a run takes, and what it leaves."""
    took = 0.0
    for name in ("first", "second"):  # only the first has modules to load
        team = scene.copy(tmp_path_factory.mktemp(name)).team
        begun = time.monotonic()
        assert team.cli("ada", "run", "job").code == 0
        took = time.monotonic() - begun
    check(team)
    return took, files(team)


@pytest.mark.parametrize("part", range(PARTS))
def test_F01_killed_at_any_instant(
    scene: Scene, undisturbed: tuple[float, list[str]], tmp_path: Path, part: int
) -> None:
    """Also between two acts, within one, and while git or a command is at work for it."""
    took, left = undisturbed
    parts = random.Random(SEED + part)  # noqa: S311  # the same instants each time
    for number in range(EACH):
        # one of each third of the run, and then once more while that is gone on with
        first, again = ((number + parts.random()) / EACH * took, parts.random() * took)
        team = scene.copy(tmp_path / str(number)).team
        die_after(team, first, "run", "job")
        if team.refs("refs/heads/planlock/job"):
            die_after(team, again, "resume", "job")
        try:
            finish(team)
            check(team)
            assert files(team) == left
        except AssertionError as error:
            message = f"killed after {first:.4f} s, then after {again:.4f} s, of {took:.4f} s"
            raise AssertionError(message) from error
