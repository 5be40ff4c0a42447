"""Killed with -9 in a rollback, a fork, a cancel or a skip, the same command again completes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_points import Scene, die, strays
from team import EDIT, READ, Result, Team, command

# From a run's work tree to the folder beside the repository.
OUTSIDE = "../../../../../.."
# A publication takes about eleven acts: so many-th ones meet each of them in one or the other.
EACH, PARTS = 3, 4


def step(name: str) -> str:
    """One whose effect, and that of its undo, are lines of files outside the repository."""
    done = command(f"echo {name} >> {OUTSIDE}/done", name=name)
    return f"{done}  undo: {{command: echo {name} >> {OUTSIDE}/undone}}\n"


STEPS = READ + EDIT + step("one") + step("two") + command("test -e mended", name="last")


@dataclass(frozen=True)
class Case:
    """What is killed, and what a person does then; `ends` is how the run it is about ends."""

    args: tuple[str, ...]
    again: Callable[[Team], Result]
    run: int
    ends: str
    done: tuple[str, ...] = ("one", "two")
    undone: tuple[str, ...] = ()


def roll_back(team: Team) -> Result:
    done = team.cli("ada", "rollback", "job/1", "--yes")
    return team.cli("ada", "rollback", "job/1", "--yes", "--retry") if done.code == 5 else done


def fork(team: Team) -> Result:
    """The new run stops where the first did, and is cancelled there."""
    if team.refs("refs/heads/planlock/job/2"):
        done = team.cli("ada", "resume", "job/2")
        if done.code == 5 and "interrupted" in done.text:
            team.cli("ada", "resume", "job/2", "--retry")
    else:
        team.cli("ada", "run", "job", "--from", "1:two")
    return team.cli("ada", "cancel", "job/2")


def skip(team: Team) -> Result:
    done = team.cli("ada", "resume", "job/1", "--skip")
    return team.cli("ada", "resume", "job/1") if done.code else done


CASES = {
    "rollback": Case(
        args=("rollback", "job", "--yes"),
        again=roll_back,
        run=1,
        ends="rolled_back",
        undone=("two", "one"),
    ),
    "fork": Case(
        args=("run", "job", "--from", "1:two"),
        again=fork,
        run=2,
        ends="cancelled",
        done=("one", "two", "two"),
    ),
    "cancel": Case(
        args=("cancel", "job"),
        again=lambda team: team.cli("ada", "cancel", "job"),
        run=1,
        ends="cancelled",
    ),
    "skip": Case(args=("resume", "job", "--skip"), again=skip, run=1, ends="completed"),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run whose last step failed."""
    team = Team.governed(tmp_path_factory.mktemp("scene"), "bob")
    team.policy("require: confined", "require: none")
    team.propose("job", STEPS)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 5
    return Scene(team)


def lines(team: Team, name: str) -> list[str]:
    file = team.base / name
    return file.read_text().split() if file.exists() else []


def copied(scene: Scene, base: Path) -> Team:
    team = scene.copy(base).team
    (team.base / "done").write_text((scene.team.base / "done").read_text())
    return team


def check(team: Team, case: Case) -> None:
    story = team.cli("ada", "log", f"job/{case.run}", "--json").json
    assert story["status"] == case.ends, story
    assert sum(each["kind"] in {"end", "rollback"} for each in story["entries"]) == 1
    for verb in (("audit",), ("ledger", "check")):
        done = team.cli("ada", *verb)
        assert done.code == 0, done.text
    team.git("fsck", "--strict")
    # git removes its own unfinished objects one day, and these are named alike
    assert not [path for path in strays(team) if not path.name.startswith("tmp_obj_")]


def interrupted(team: Team, case: Case) -> int:
    """How many commands a person had to decide about, as nobody knew their end."""
    entries = team.cli("ada", "log", f"job/{case.run}", "--json").json["entries"]
    return [each["status"] for each in entries].count("interrupted")


def repeated(there: list[str], wanted: tuple[str, ...]) -> list[str]:
    """What was done more often than it should; raises AssertionError where something was not."""
    left = list(there)
    for each in wanted:
        left.remove(each)
    return left


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", CASES)
def test_F01_killed_before_each_act(scene: Scene, tmp_path: Path, name: str, part: int) -> None:
    """It ends as it would have undisturbed; a command is repeated only where nobody knows its end."""
    case = CASES[name]
    team = copied(scene, tmp_path / "undisturbed")
    acts = die(team, *case.args)
    case.again(team)
    check(team, case)
    for at in range(1 + EACH * part, len(acts) + 1, EACH * PARTS):
        team = copied(scene, tmp_path / str(at))
        told = die(team, *case.args, at=at)
        case.again(team)
        try:
            check(team, case)
            again = [
                *repeated(lines(team, "done"), case.done),
                *repeated(lines(team, "undone"), case.undone),
            ]
            assert len(again) <= interrupted(team, case)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"killed before act {at} of {len(acts)}: {told[-3:]}") from error
