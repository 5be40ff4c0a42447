"""A folder or file that may not be used for a while: told clearly, and the run goes on later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_points import Scene, check, finish
from ordinary_user import as_nobody, folder_of_nobody
from surroundings import without_rights
from team import Result, Team

pytestmark = pytest.mark.usefixtures("confined")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run of which one step is done."""
    made = Scene.make(tmp_path_factory.mktemp("scene"))
    assert made.team.cli("ada", "run", "job", "--step").code == 0
    return made


@contextmanager
def closed(place: Path, mode: int) -> Iterator[None]:
    """Take rights away from a file, or from a folder with all in it, and give them back."""
    inner = [Path(name) for name, _, _ in os.walk(place)]
    before = {each: each.stat().st_mode for each in [place, *inner]}
    for each in reversed(before):
        each.chmod(mode)
    try:
        yield
    finally:
        for each, had in before.items():
            each.chmod(had)


def refused(done: Result, place: str) -> None:
    """The message says what may not be done, and the hint shows the place."""
    assert (done.code, "error[file_access]" in done.err) == (5, True), done.text
    assert "Permission denied" in done.err
    assert f"/.git/{place}" in done.err.partition("hint: ")[2].replace("\n", "")


def going_on(team: Team) -> None:
    finish(team)
    check(team)


@pytest.mark.parametrize(
    "place,mode",
    [
        ("refs", 0o555),
        ("objects", 0o555),
        ("planlock", 0o555),
        ("planlock/journal", 0o555),
        ("planlock/journal", 0),
    ],
)
def test_F02_nothing_can_be_recorded(scene: Scene, tmp_path: Path, place: str, mode: int) -> None:
    """No step begins, `status` still answers, and nothing is lost."""
    team = scene.copy(tmp_path).team
    before = team.git("for-each-ref", "refs/heads", "refs/tags")
    with closed(team.root / ".git" / place, mode):
        refused(without_rights(team, "resume", "job"), place)
        status = without_rights(team, "status", "job", "--json")
    assert (status.code, status.json["run_status"]) == (0, "paused"), status.text
    assert team.git("for-each-ref", "refs/heads", "refs/tags") == before
    going_on(team)


@pytest.mark.parametrize("mode", [0o444, 0])
def test_F03_the_ledger_catches_up(scene: Scene, tmp_path: Path, mode: int) -> None:
    """A run needs no ledger: it says that it could not write there, and the next command does."""
    team = scene.copy(tmp_path).team
    with closed(team.root / ".git/planlock/ledger.sqlite", mode):
        done = without_rights(team, "resume", "job")
    assert (done.code, "the ledger will catch up" in done.err) == (0, True), done.text
    going_on(team)


def test_F02_as_an_ordinary_user() -> None:
    """For whom permissions bind without further ado."""

    def play() -> None:
        team = Scene.make(folder / "scene").team
        assert team.cli("ada", "run", "job", "--step").code == 0
        with closed(team.root / ".git/refs", 0o555):
            refused(team.cli("ada", "resume", "job"), "refs")
        going_on(team)

    with folder_of_nobody() as folder:
        as_nobody(play)
