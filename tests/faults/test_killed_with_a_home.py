"""Killed with -9 around what it tells a remote home, a run ends as an undisturbed one would have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clones import Clones
from fault_points import STEPS, check, die, files, finish
from team import Team

pytestmark = pytest.mark.usefixtures("confined")
RUN = ("heads/planlock/job/1", "planlock/leases/job/1", "tags/planlock-run/job/1")
LEVELS = ["local", "remote"]
# Of the acts that are no push, which are nearly all, each so many-th.
OTHERS = 9


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Clones:
    """An approved plan in the remote, and a clone where nobody has run it yet."""
    clones = Clones.make(tmp_path_factory.mktemp("scene"))
    clones.propose("job", STEPS)
    assert clones.run("ada", "status", "job").code == 0
    return clones


def copied(scene: Clones, base: Path, level: str) -> Team:
    base.mkdir()
    for folder in (scene.ada, scene.remote):
        shutil.copytree(folder, base / folder.name, symlinks=True)
    team = Team(base=base, root=base / scene.ada.name, keys=scene.team.keys)
    for name in ("planlock.home", "remote.origin.url"):
        team.git("config", name, str(base / scene.remote.name))
    team.git("config", "planlock.durability", level)
    return team


def check_home(team: Team) -> None:
    """The home has all of the run, as it is here, and nothing is kept apart."""
    remote = team.base / "remote.git"
    for ref in RUN:
        assert team.git("rev-parse", f"refs/{ref}", cwd=remote) == team.git(
            "rev-parse", f"refs/{ref}"
        )
    team.git("fsck", "--strict", cwd=remote)
    assert team.refs("refs/planlock/unpublished") == []
    assert team.cli("ada", "gc").code == 0
    assert team.refs("refs/planlock/home/heads/planlock") == []
    assert team.refs("refs/planlock/home/planlock") == []


def chosen(acts: list[str]) -> list[int]:
    """Before and after each push, and some of the other acts."""
    pushes = [at for at, act in enumerate(acts, 1) if "push" in act]
    return sorted({*pushes, *range(1, len(acts), OTHERS)})


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("level", LEVELS)
def test_F01_killed_around_a_push(scene: Clones, tmp_path: Path, level: str, part: int) -> None:
    """Whatever the home had heard of, and whatever had been noted here of that."""
    team = copied(scene, tmp_path / "undisturbed", level)
    acts, left = die(team, "run", "job"), files(team)
    check_home(team)
    for at in chosen(acts)[part::4]:
        team = copied(scene, tmp_path / str(at), level)
        told = die(team, "run", "job", at=at)
        try:
            finish(team)
            check(team)
            check_home(team)
            assert files(team) == left
        except AssertionError as error:
            raise AssertionError(f"killed before act {at} of {len(acts)}: {told[-3:]}") from error


def test_F01_the_level_may_change(scene: Clones, tmp_path: Path) -> None:
    """What a killed runner kept to itself reaches the home before the next one does more."""
    team = copied(scene, tmp_path / "undisturbed", "local")
    acts, left = die(team, "run", "job"), files(team)
    team = copied(scene, tmp_path / "changed", "local")
    last = max(at for at, act in enumerate(acts, 1) if act == "before push" and "after" in acts[at])
    die(team, "run", "job", at=last - 20)
    remote = team.base / "remote.git"
    ahead = team.git("rev-parse", "refs/heads/planlock/job/1")
    assert team.git("rev-parse", "refs/heads/planlock/job/1", cwd=remote) != ahead
    team.git("config", "planlock.durability", "remote")
    finish(team)
    check(team)
    check_home(team)
    assert files(team) == left
