"""The command that is shown for bringing a plan's branch to a remote home."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from team import READ, Team

BRANCH = "refs/heads/plan/job"


def proposed(team: Team, home: Path) -> str:
    """Make a bare home of that name, propose a plan and give the command that is shown."""
    team.git("clone", "-q", "--bare", str(team.root), str(home))
    team.git("config", "planlock.home", str(home))
    team.plan("job", READ)
    done = team.cli("ada", "propose", "job", "--json")
    assert done.code == 0, done.text
    return str(done.json["push_command"])


@pytest.mark.parametrize("name", ["my home.git", "$(touch x).git", "a;b'c.git", "plain.git"])
def test_the_home_is_one_word_of_the_command(tmp_path: Path, name: str) -> None:
    """Whatever the home is called, copying the command pushes there and does nothing else."""
    team = Team.governed(tmp_path)
    home = tmp_path / name
    words = shlex.split(proposed(team, home))
    assert words == ["git", "push", str(home), BRANCH]
    team.git(*words[1:])
    assert team.git("rev-parse", BRANCH) == team.git("rev-parse", BRANCH, cwd=home)


def test_the_command_moves_no_cursor(tmp_path: Path) -> None:
    """What a terminal would act upon is shown as an escape."""
    shown = proposed(Team.governed(tmp_path), tmp_path / "a\x1b[2Jb.git")
    assert "\x1b" not in shown
    assert r"a\x1b[2Jb.git" in shown
