"""The lease of a long command: kept while its runner is awake, and lost where that slept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import moved_clock
import pytest
from real_runs import approved, running, started, until
from team import READ, Team, command, surroundings

from runner.core.errors import RunHeld
from runner.git.leases import GRACE
from runner.project import Project, World, real_world
from runner.verbs import execute
from runner.verbs.events import Event
from runner.verbs.execute import Options

OUTSIDE = "../../../../../.."
# Between two looks; after so many the first lease would have run out twice.
PASSING, LOOKS = GRACE / 3, 7
LAST = READ.replace("id: read", "id: last")
Start = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


def test_A26_a_long_command_keeps_its_lease(team: Team) -> None:
    """Others are told who holds the run, long after the lease it began with has run out."""
    team.policy("require: confined", "require: none")
    wait = f"echo begun; until test -e {OUTSIDE}/go; do sleep 0.05; done"
    approved(team, command(wait) + READ)
    later, heard, told = timedelta(), "", list[str]()

    def world() -> World:
        return replace(real_world(), now=lambda: datetime.now(UTC) + later)

    def look() -> str:
        with Project(world()) as other, pytest.raises(RunHeld) as refused:
            execute.run(other, "job", Options(), lambda _: None)
        return refused.value.message

    def listen(event: Event) -> None:
        nonlocal later, heard
        heard += event.text if event.kind == "output" else ""
        if event.kind == "tick" and "begun" in heard:
            told.append(look())
            later += PASSING
            if len(told) == LOOKS:
                (team.base / "go").touch()

    with surroundings(team.root, team.environment("ada")), Project(world()) as project:
        report = execute.run(project, "job", Options(), listen)
    assert (report.status, later > 2 * GRACE) == ("completed", True)
    assert all(f"/{os.getpid()}/" in each for each in told)
    assert team.cli("ada", "audit").code == 0


def state(team: Team) -> dict[str, bytes]:
    """The refs, and the files of the run's work tree."""
    top = team.root / ".git/planlock/work/job/1"
    files = {str(path): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    return {"refs": team.git("for-each-ref").encode(), **files}


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    file = tmp_path / "ahead"
    file.write_text("0")
    return file


@pytest.fixture
def start(team: Team, clock: Path) -> Start:
    """Start a planlock by the clock of the test."""
    main = (moved_clock.__file__,)
    more = {moved_clock.AHEAD: str(clock)}
    return partial(started, team, main=main, **more)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


@pytest.mark.usefixtures("confined")
def test_A40_a_woken_runner_writes_nothing(team: Team, clock: Path, start: Start) -> None:
    """Neither refs, records and ledger, nor the other's files; its command is ended, and told."""
    pause = f"3600.{os.getpid()}"
    slow = command(f"echo started; sleep {pause}; echo x > count", more="writes: [count]\n")
    make = command("echo 2 > made", name="make", more="writes: [made]\n")
    approved(team, READ + slow + make + LAST)
    with start("run", "job", "--json") as asleep:
        until(asleep, "output")
        asleep.send_signal(signal.SIGSTOP)
        clock.write_text(str(GRACE.total_seconds() + 60))
        with start("resume", "job", "--skip") as other:
            assert ended(other)[0] == 4  # what follows a skipped step needs another approval
        team.approve("bob", "job")
        with start("resume", "job", "--until", "make") as other:
            assert ended(other)[0] == 0
        before, rows = state(team), team.cli("ada", "ledger", "check").text
        assert b"2\n" in before.values()
        asleep.send_signal(signal.SIGCONT)
        code, said = ended(asleep)
    assert (code, '"run_held"' in said, "no longer ours" in said) == (4, True, True), said
    assert not running(pause)
    assert (state(team), team.cli("ada", "ledger", "check").text) == (before, rows)
    with start("resume", "job") as other:
        assert ended(other)[0] == 0
    assert "count" not in team.git("ls-tree", "--name-only", "planlock/job/1")
    with start("audit") as audit:
        assert ended(audit)[0] == 0
