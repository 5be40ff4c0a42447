"""Real processes, really killed, frozen and interrupted: nothing is lost, nothing runs twice."""

from __future__ import annotations

import os
import signal

import pytest
from real_runs import approved, expire_lease, press_once, running, started, until
from team import EDIT, FACTORIAL, READ, Team, command

from runner.project import Project
from runner.verbs import runs

COUNT = command("echo once >> count; sleep 0.1; echo done", more="writes: [count]\n")
NAMES = ["read", "edit", "check", "last"]
STEPS = READ + EDIT + COUNT + READ.replace("id: read", "id: last")


def finish(team: Team) -> None:
    """Run to the end, retrying what was interrupted, and look at what came of it."""
    done = team.cli("ada", "run", "job")
    if done.code == 5:
        assert "check interrupted and is not repeated by itself" in done.out, done.text
        assert team.cli("ada", "run", "job").code == 5
        done = team.cli("ada", "resume", "job", "--retry")
    assert done.code == 0, done.text
    assert "run job/1 completed" in done.out or "has ended" in done.out
    assert team.show_file("planlock/job/1", "count") == "once"
    assert f"{team.show_file('planlock/job/1', 'utils.py')}\n" == FACTORIAL
    story = team.cli("ada", "log", "job/1", "--json").json
    ended = [each["step"] for each in story["entries"] if each["status"] == "completed"]
    assert [name for name in ended if name] == NAMES
    assert team.cli("ada", "ledger", "check").code == 0
    team.git("fsck", "--strict")


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize(
    "kind,step",
    [
        ("run_started", ""),
        ("step_started", "read"),
        ("step_finished", "read"),
        ("step_started", "edit"),
        ("step_started", "check"),
        ("output", "check"),
        ("step_finished", "check"),
        ("run_finished", ""),
    ],
)
def test_F01_killed_at_an_event(team: Team, kind: str, step: str) -> None:
    """Killed with -9 at each stage, the run goes on from its last record."""
    approved(team, STEPS)
    with started(team, "run", "job", "--json") as process:
        until(process, kind, step=step)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        finish(team)


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP"])
def test_F07_command_is_not_repeated(team: Team, name: str) -> None:
    """A command whose outcome is unknown is recorded as interrupted and waits for a person."""
    approved(team, command("echo started; sleep 60; echo x > count", more="writes: [count]\n"))
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        process.send_signal(signal.Signals[name])
        process.wait(30)
    again = team.cli("ada", "run", "job")
    assert again.code == 5, again.text
    assert "planlock resume job --retry" in again.out
    record = team.show_file("planlock/job/1", "plans/job/runs/1/001-check.yaml")
    assert "status: interrupted" in record
    assert team.cli("ada", "run", "job").code == 5
    assert team.git("rev-list", "--count", "plan/job..planlock/job/1") == "2"


@pytest.mark.usefixtures("confined")
def test_F01_edit_is_done_again(team: Team) -> None:
    """An edit that had started is simply done again."""
    approved(team, READ + EDIT)
    with started(team, "run", "job", "--json") as process:
        until(process, "step_finished", step="read")
        process.kill()
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    assert f"{team.show_file('planlock/job/1', 'utils.py')}\n" == FACTORIAL


@pytest.mark.usefixtures("confined")
def test_F01_dead_runner_that_nobody_waited_for(team: Team) -> None:
    """A runner that is dead but still in the process table holds nothing."""
    approved(team, command("echo started; sleep 60"))
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert team.cli("ada", "run", "job").code == 5


@pytest.mark.usefixtures("confined")
def test_F01_damaged_work_files(team: Team) -> None:
    """What a crash left in the run's folder, however closed, is not built upon."""
    approved(team, READ + COUNT)
    assert team.cli("ada", "run", "job", "--step").code == 0
    work = team.root / ".git/planlock/work/job/1"
    (work / "utils.py").write_text("half a fi")
    (work / "stray").mkdir()
    (work / "stray/count").write_text("leftover")
    (work / "stray").chmod(0)
    assert team.cli("ada", "run", "job").code == 0
    assert team.show_file("planlock/job/1", "count") == "once"
    assert "stray" not in team.git("ls-tree", "-r", "--name-only", "planlock/job/1")


@pytest.mark.usefixtures("confined")
def test_A40_frozen_runner_publishes_nothing(team: Team) -> None:
    """A runner that slept through the takeover of its run is told, and its result is dropped."""
    approved(team, command("echo started; sleep 0.3; echo x > count", more="writes: [count]\n"))
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        process.send_signal(signal.SIGSTOP)
        expire_lease(team)
        taken = team.cli("ada", "run", "job")
        assert taken.code == 5, taken.text
        tip = team.git("rev-parse", "planlock/job/1")
        lease = team.git("rev-parse", "refs/planlock/leases/job/1")
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4, err
    assert team.git("rev-parse", "planlock/job/1") == tip
    assert team.git("rev-parse", "refs/planlock/leases/job/1") == lease
    assert "count" not in team.git("ls-tree", "--name-only", "planlock/job/1")


@pytest.mark.usefixtures("confined")
def test_A26_two_runners_in_one_clone(team: Team) -> None:
    """Of two runners that start at once exactly one runs; the other learns who, or how it ended."""
    approved(team, command("sleep 0.5; echo once >> count", more="writes: [count]\n"))
    with started(team, "run", "job") as one, started(team, "run", "job") as two:
        ends = [(*each.communicate(timeout=60), each.returncode) for each in (one, two)]
    told = [out + err for out, err, _ in ends if "▶" not in err]
    assert len(told) == 1, ends
    assert "refused[run_held]" in told[0] or "run job/1 has ended" in told[0]
    assert team.refs("refs/heads/planlock") == ["refs/heads/planlock/job/1"]
    assert team.show_file("planlock/job/1", "count") == "once"


@pytest.mark.usefixtures("confined")
def test_A26_run_that_appears_while_another_looks(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that somebody starts and ends after this runner looked is not run a second time."""
    approved(team, command("echo once >> count", more="writes: [count]\n"))
    look = runs.of_plan

    def stale(project: Project, plan: str) -> dict[int, str]:
        known = look(project, plan)
        monkeypatch.setattr(runs, "of_plan", look)
        assert team.cli("ada", "run", "job").code == 0
        return known

    monkeypatch.setattr(runs, "of_plan", stale)
    late = team.cli("ada", "run", "job")
    assert late.code == 0, late.text
    assert "run job/1 has ended" in late.out
    assert team.refs("refs/heads/planlock") == ["refs/heads/planlock/job/1"]
    assert team.show_file("planlock/job/1", "count") == "once"


@pytest.mark.usefixtures("confined")
def test_A26_held_run_is_left_alone(team: Team) -> None:
    """While a runner lives, another is told its name and since when, and changes nothing."""
    approved(team, command("echo started; sleep 60"))
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        before = team.git("for-each-ref", "refs/heads", "refs/planlock/leases")
        held = team.cli("ada", "run", "job", "--retry")
        assert held.code == 4
        assert f"/{process.pid}/" in held.err
        assert " since 20" in held.err
        assert team.git("for-each-ref", "refs/heads", "refs/planlock/leases") == before


@pytest.mark.usefixtures("confined")
def test_F08_twice_cancels(team: Team) -> None:
    """Ctrl-C pressed twice ends the command's whole process tree, records that, and the run."""
    pause = f"3600.{os.getpid()}"
    script = f"echo started; setsid sleep {pause} & sleep {pause} & wait; true"
    approved(team, READ + command(script))
    with started(team, "run", "job", "--json") as process:
        until(process, "output")
        while len(running(pause)) < 2:
            assert process.poll() is None
        press_once(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelling the run" in err
    assert "Traceback" not in err
    assert not running(pause)
    lease = team.git("log", "-1", "--format=%B", "refs/planlock/leases/job/1")
    assert "Holder: nobody" in lease
    story = team.cli("ada", "log", "job/1", "--json").json
    assert story["status"] == "cancelled"
    assert [each["status"] for each in story["entries"]] == [
        "completed",
        "interrupted",
        "cancelled",
    ]
    assert team.cli("ada", "resume", "job").code == 4
    assert team.cli("ada", "audit").code == 0


@pytest.mark.usefixtures("confined")
def test_F08_once_pauses(team: Team) -> None:
    """Ctrl-C pressed once lets the step end, and the run goes on later as if nothing had been."""
    approved(team, STEPS)
    with started(team, "run", "job", "--json") as process:
        until(process, "output", step="check")
        press_once(process)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert team.cli("ada", "status", "job", "--json").json["run_status"] == "paused"
    assert not team.refs("refs/planlock/control")
    finish(team)


def test_A25_deleted_run_branch(team: Team) -> None:
    """The number of a run whose branch somebody deleted is not given away again."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job", "--step").code == 0
    team.git("branch", "-q", "-D", "planlock/job/1")
    done = team.cli("ada", "run", "job")
    assert done.code == 0, done.text
    assert team.refs("refs/heads/planlock") == ["refs/heads/planlock/job/2"]


def test_A25_rewritten_records_are_not_continued(team: Team) -> None:
    """A run branch that somebody else committed to is refused."""
    approved(team, READ + EDIT)
    assert team.cli("ada", "run", "job", "--step").code == 0
    stray = team.git(
        "commit-tree", "planlock/job/1^{tree}", "-p", "planlock/job/1", "-m", "Sneak in"
    )
    team.git("update-ref", "refs/heads/planlock/job/1", stray)
    before = team.git("for-each-ref", "refs/heads", "refs/planlock/leases")
    result = team.cli("ada", "run", "job")
    assert (result.code, "[authority_refused]" in result.err) == (4, True), result.text
    assert team.git("for-each-ref", "refs/heads", "refs/planlock/leases") == before
