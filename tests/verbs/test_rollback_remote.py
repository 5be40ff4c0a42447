"""With a remote home a rollback is pushed before its next effect, and works from any clone."""

from __future__ import annotations

from pathlib import Path

import pytest
from team import EDIT, UTILS, Result, Team

BRANCH = "refs/heads/rollback/job-1"
RUN = "refs/heads/planlock/job/1"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote.git"


@pytest.fixture
def team(tmp_path: Path, remote: Path) -> Team:
    """Ada's clone of a bare remote, in which a plan has run and was merged, and then deleted."""
    team = Team.start(tmp_path)
    team.git("clone", "-q", "--bare", str(team.root), str(remote))
    team.git("remote", "add", "origin", str(remote))
    assert team.cli("ada", "init", "--solo").code == 0
    team.git("add", "plans")
    team.git("commit", "-q", "-m", "Govern")
    team.git("push", "-q", "origin", "main")
    team.propose("job", EDIT)
    team.git("push", "-q", "origin", "plan/job")
    team.approve("ada", "job")
    team.git("push", "-q", "origin", "plan/job")
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    return team


def merge(team: Team, remote: Path) -> None:
    """As a forge does it: squashed into main, both branches deleted there and here."""
    team.git("clean", "-q", "-fd", "plans")
    team.git("merge", "-q", "--squash", "planlock/job/1")
    team.git("commit", "-q", "-m", "Squash")
    team.git("push", "-q", "origin", "main", ":plan/job", ":planlock/job/1")
    team.git("branch", "-q", "-D", "plan/job", "planlock/job/1")
    assert team.git("for-each-ref", "refs/heads/planlock", cwd=remote) == ""


def there(team: Team, remote: Path, ref: str) -> str:
    return team.git("rev-parse", ref, cwd=remote)


def elsewhere(team: Team, remote: Path, *args: str) -> Result:
    """Roll back in another clone, on a machine that has the runner's key too."""
    folder = team.base / "other"
    team.git("clone", "-q", str(remote), str(folder))
    for name in ("home", "trustedRef"):
        team.git("config", f"planlock.{name}", team.git("config", f"planlock.{name}"), cwd=folder)
    key = {"PLANLOCK_RUNNER_KEY": str(team.root / ".git/planlock/runner_key")}
    return team.cli("ada", *args, cwd=folder, env=key)


def test_a_rollback_is_pushed(team: Team, remote: Path) -> None:
    """The home has the commit that restores the files, and nobody holds the run."""
    done = team.cli("ada", "rollback", "job", "--yes")
    assert done.code == 0, done.text
    assert there(team, remote, RUN) == team.git("rev-parse", RUN)
    assert f"{team.git('show', f'{RUN}:utils.py', cwd=remote)}\n" == UTILS
    assert "Holder: nobody" in team.git("log", "-1", "refs/planlock/leases/job/1", cwd=remote)


def test_a_merged_run_can_be_rolled_back_from_another_clone(team: Team, remote: Path) -> None:
    """It has the run by its tag; the run's branch and the one that takes it back are pushed."""
    merge(team, remote)
    done = elsewhere(team, remote, "rollback", "job", "--yes", "--json")
    assert done.code == 0, done.text
    assert done.json["proposed"] == "rollback/job-1"
    assert there(team, remote, f"{BRANCH}~1") == there(team, remote, "main")
    assert f"{team.git('show', f'{BRANCH}:utils.py', cwd=remote)}\n" == UTILS
    assert there(team, remote, f"{RUN}~1") == there(team, remote, "planlock-run/job/1")
    assert team.cli("ada", "log", "job").code == 0
    audited = team.cli("ada", "audit", cwd=team.base / "other")
    assert audited.code == 0, audited.text


def test_a_home_that_is_gone_is_told(team: Team, remote: Path) -> None:
    """Nothing is done, and the same command works when it is back."""
    tip = team.git("rev-parse", RUN)
    remote.rename(remote.with_suffix(".away"))
    gone = team.cli("ada", "rollback", "job", "--yes")
    assert gone.code == 5, gone.text
    assert team.git("rev-parse", RUN) == tip
    remote.with_suffix(".away").rename(remote)
    assert team.cli("ada", "rollback", "job", "--yes").code == 0
