"""Killed with -9 before each durable act of a run, it ends as an undisturbed one would have."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_points import Scene, check, die, files, finish

pytestmark = pytest.mark.usefixtures("confined")
PARTS = 8


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene.make(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def undisturbed(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str]]:
    """How many durable acts a run takes, and what it leaves."""
    team = scene.copy(tmp_path_factory.mktemp("undisturbed")).team
    acts = die(team, "run", "job")
    check(team)
    return len(acts), files(team)


@pytest.mark.parametrize("part", range(PARTS))
def test_F01_killed_before_each_act(
    scene: Scene, undisturbed: tuple[int, list[str]], tmp_path: Path, part: int
) -> None:
    """Intent, objects, refs, record, ledger and clean-up: whichever is the last that begins."""
    acts, left = undisturbed
    for at in range(1 + part, acts + 1, PARTS):
        team = scene.copy(tmp_path / str(at)).team
        told = die(team, "run", "job", at=at)
        try:
            finish(team)
            check(team)
            assert files(team) == left
        except AssertionError as error:
            raise AssertionError(f"killed before act {at} of {acts}: {told[-3:]}") from error


@pytest.mark.parametrize("part", range(PARTS))
def test_F01_killed_again_while_it_resumes(
    scene: Scene, undisturbed: tuple[int, list[str]], tmp_path: Path, part: int
) -> None:
    """A second kill, while the first is mended, changes nothing of that."""
    acts, left = undisturbed
    for at in range(3 + 5 * part, acts, 5 * PARTS):
        team = scene.copy(tmp_path / str(at)).team
        die(team, "run", "job", at=at)
        again = 1 + (7 * at) % 40
        told = die(team, "resume", "job", at=again)
        try:
            finish(team)
            check(team)
            assert files(team) == left
        except AssertionError as error:
            raise AssertionError(f"killed at {at}, then at {again}: {told[-3:]}") from error
