"""Killed with -9 while it takes over from a machine that is gone, or while it cleans up."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_points import Scene, check, die, files, finish
from real_runs import approved, expire_lease, started, until
from team import EDIT, READ, Team, command

# From a run's work tree to the folder beside the repository.
OUTSIDE = "../../../../../.."
SCRIPT = f"echo begun >> {OUTSIDE}/begun; echo begun; test -e {OUTSIDE}/go || sleep 600"
STEPS = READ + EDIT + command(f"{SCRIPT}; echo once >> count", more="writes: [count]\n")
LAST = READ.replace("id: read", "id: last")
EACH, PARTS = 2, 4
# What cleaning up does, git's part as a whole.
CLEANING = ("os.remove", "os.rmdir", "os.rename", "subprocess.Popen")


@pytest.fixture(scope="module")
def abandoned(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The machine went away while a command was running there, and the lease has run out."""
    team = Team.governed(tmp_path_factory.mktemp("abandoned"), "bob")
    team.policy("require: confined", "require: none")
    approved(team, STEPS)
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        process.kill()
        process.wait(30)
    expire_lease(team)
    return Scene(team)


def copied(scene: Scene, base: Path) -> Team:
    team = scene.copy(base).team
    (base / "begun").write_text("begun\n")
    (base / "go").touch()
    return team


def attempts(team: Team) -> list[str]:
    """How the attempts at the command ended."""
    entries = team.cli("ada", "log", "job/1", "--json").json["entries"]
    return [each["status"] for each in entries if each["step"] == "check"]


@pytest.mark.parametrize("part", range(PARTS))
def test_F07_killed_before_each_act(abandoned: Scene, tmp_path: Path, part: int) -> None:
    """It ends as it would have undisturbed, and each time that the command ran is an attempt."""
    team = copied(abandoned, tmp_path / "undisturbed")
    acts, left = die(team, "resume", "job", "--retry"), files(team)
    check(team)
    assert attempts(team) == ["interrupted", "completed"]
    for at in range(1 + EACH * part, len(acts) + 1, EACH * PARTS):
        team = copied(abandoned, tmp_path / str(at))
        told = die(team, "resume", "job", "--retry", at=at)
        try:
            finish(team)
            check(team)
            assert files(team) == left
            done, known = (team.base / "begun").read_text().split(), attempts(team)
            assert known[:1] + known[-1:] == ["interrupted", "completed"]
            assert 2 <= len(done) <= len(known) <= 3
        except AssertionError as error:
            raise AssertionError(f"killed before act {at} of {len(acts)}: {told[-3:]}") from error


@pytest.fixture(scope="module")
def littered(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A cancelled run that leaves its lease and requests, and one that waits in its work tree."""
    team = Team.governed(tmp_path_factory.mktemp("littered"), "bob")
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job", "--until", "read").code == 0
    assert team.cli("ada", "cancel", "job").code == 0
    make = command("mkdir sub; touch sub/a", name="make", more="writes: [sub/a]\n")
    team.propose("open", READ + make + LAST)
    team.approve("bob", "open")
    assert team.cli("ada", "run", "open", "--until", "make").code == 0
    return Scene(team)


def check_clean(team: Team) -> None:
    """Nothing is left to clean, no record is lost, and the run that waits goes on."""
    assert team.cli("ada", "gc", "--json").json["cleaned"] == []
    assert list((team.root / ".git/planlock/work").glob("*/*")) == []
    assert team.refs("refs/planlock/leases") == ["refs/planlock/leases/open/1"]
    assert team.cli("ada", "resume", "open").code == 0
    for verb in (("audit",), ("ledger", "check")):
        done = team.cli("ada", *verb)
        assert done.code == 0, done.text
    team.git("fsck", "--strict")


@pytest.mark.usefixtures("confined")
def test_F01_killed_while_it_cleans_up(littered: Scene, tmp_path: Path) -> None:
    """The next `gc` takes away the rest, and nothing else."""
    team = littered.copy(tmp_path / "undisturbed").team
    acts = die(team, "gc", also=CLEANING)
    before = team.git("for-each-ref")
    check_clean(team)
    assert {"os.remove", "os.rmdir", "subprocess.Popen"} <= set(acts)
    for at in range(1, len(acts) + 1):
        team = littered.copy(tmp_path / str(at)).team
        told = die(team, "gc", at=at, also=CLEANING)
        try:
            assert team.cli("ada", "gc").code == 0
            assert team.git("for-each-ref") == before
            check_clean(team)
        except AssertionError as error:
            raise AssertionError(f"killed before act {at} of {len(acts)}: {told[-3:]}") from error
