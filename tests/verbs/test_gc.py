"""`gc` takes away what ended runs leave, and neither records nor what is still in use."""

from __future__ import annotations

from typing import Any

import pytest
from real_runs import approved, started, until
from team import EDIT, READ, Team, command

SLOW = command("echo started; sleep 60")


def cleaned(team: Team, *options: str) -> Any:
    done = team.cli("ada", "gc", "--json", *options)
    assert done.code == 0, done.text
    return done.json


def names(report: Any) -> list[str]:
    return [each["name"] for each in report["cleaned"]]


def test_leases_of_ended_runs_go(team: Team) -> None:
    """The lease of a completed run goes; its records stay, and its number is never taken again."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job").code == 0
    before = team.git("for-each-ref", "refs/heads", "refs/tags")
    assert names(cleaned(team, "--dry-run")) == ["refs/planlock/leases/job/1"]
    assert team.refs("refs/planlock/leases")
    assert names(cleaned(team)) == ["refs/planlock/leases/job/1"]
    assert not team.refs("refs/planlock/leases")
    assert team.git("for-each-ref", "refs/heads", "refs/tags") == before
    assert names(cleaned(team)) == []
    assert team.cli("ada", "audit").code == 0
    again = team.cli("ada", "run", "job", "--new")
    assert "run job/2 completed" in again.out, again.text


@pytest.mark.usefixtures("confined")
def test_an_open_run_keeps_its_lease(team: Team) -> None:
    """Only the work tree of a run that waits goes, and the run goes on with a fresh one."""
    approved(
        team,
        READ
        + command("cat utils.py > copy", more="writes: [copy]\n")
        + READ.replace("id: read", "id: last"),
    )
    assert team.cli("ada", "run", "job", "--until", "check").code == 0
    report = cleaned(team)
    assert names(report) == ["work/job/1"]
    assert report["bytes"] > 0
    assert report["kept"] == ["lease and requests of job/1: the run is not over"]
    assert team.refs("refs/planlock/leases") == ["refs/planlock/leases/job/1"]
    assert team.cli("ada", "resume", "job").code == 0


@pytest.mark.usefixtures("confined")
def test_what_a_runner_is_at_work_in_stays(team: Team) -> None:
    """The work tree of a command that runs is left alone, and the holder is named."""
    approved(team, SLOW)
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        report = cleaned(team)
        assert names(report) == []
        assert any(str(process.pid) in each for each in report["kept"])
        assert (team.root / ".git/planlock/work/job/1").is_dir()


def test_requests_go_with_a_cancelled_run(team: Team) -> None:
    """Both the lease and the requests of a run that was cancelled are cleaned up."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job", "--until", "read").code == 0
    assert team.cli("ada", "cancel", "job", "--reason", "not needed").code == 0
    assert {"refs/planlock/control/job/1", "refs/planlock/leases/job/1"} <= set(
        names(cleaned(team))
    )
    assert "cancelled" in team.cli("ada", "log", "job/1").out


def test_what_a_killed_replay_left_goes(team: Team) -> None:
    """A scratch workspace whose process is gone is taken away, another's stays."""
    top = team.root / ".git/planlock/replay"
    for name in ("job-1@host@unknown@1@1", "job-1@nobody"):
        (top / name / "inner").mkdir(parents=True)
    assert names(cleaned(team)) == ["replay/job-1@nobody"]
    assert [each.name for each in top.iterdir()] == ["job-1@host@unknown@1@1"]
