"""How durable a run is: the home has each step before the next, or only now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clones import Clones
from model_script import write_script
from team import EDIT, READ, Team, command, surroundings

from runner.core.errors import GitError, RunHeld
from runner.git.leases import Lease
from runner.project import Project, World, real_world
from runner.verbs import execute
from runner.verbs.events import Event
from runner.verbs.execute import Options
from runner.verbs.run_report import RunReport

BRANCH, LEASE = "refs/heads/planlock/job/1", "refs/planlock/leases/job/1"
HEARTBEAT, ABANDONED = timedelta(seconds=31), timedelta(minutes=10)
ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Say why}}\n"
STEPS = READ + EDIT + command("echo begun; sleep 20; echo over")
Act = Callable[[], object]


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    made = Clones.make(tmp_path)
    made.git("ada", "config", "planlock.durability", "local")
    return made


def pushes(clones: Clones) -> Callable[[], list[str]]:
    """Let the remote write down which refs each push moves."""
    log, hook = clones.remote / "pushes", clones.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n(cut -d' ' -f3 | sort | tr '\\n' ' '; echo) >> {log}\n")
    hook.chmod(0o755)
    return lambda: log.read_text().splitlines() if log.exists() else []


def own_refs(clones: Clones, folder: Path | None = None) -> dict[str, str]:
    """The refs that the run leaves."""
    found = clones.refs(folder).items()
    return {ref: oid for ref, oid in found if ref.endswith("job/1")}


@dataclass
class Runner:
    """Runs `job` in a clone by a clock that its events move; `acts` are done one after another.

    Each waits for the next event of the command that is running.
    """

    clones: Clones
    who: str = "ada"
    acts: list[Act] = field(default_factory=list)
    ahead: timedelta = timedelta()
    heard: str = ""

    def world(self) -> World:
        real = real_world()
        return replace(real, now=lambda: real.now() + self.ahead)

    def pass_by(self, time: timedelta) -> None:
        self.ahead += time

    def listen(self, event: Event) -> None:
        self.heard += event.text if event.kind == "output" else ""
        if "begun" in self.heard and self.acts and event.kind == "tick":
            self.acts.pop(0)()

    def run(self) -> RunReport:
        folder = getattr(self.clones, self.who)
        environment = self.clones.team.environment(self.who, self.clones.extra)
        with surroundings(folder, environment), Project(self.world()) as project:
            return execute.run(project, "job", Options(), self.listen)


def test_a_level_that_there_is_not(team: Team) -> None:
    """Anything but `local` and `remote` is wrong usage, wherever it is set."""
    team.propose("job", READ)
    done = team.cli("ada", "status", "job", env={"PLANLOCK_DURABILITY": "disk"})
    assert (done.code, "'disk' is neither `local` nor `remote`" in done.err) == (2, True), done.text
    team.git("config", "planlock.durability", "both")
    assert team.cli("ada", "run", "job").code == 2


def test_remote_without_a_remote_home(team: Team) -> None:
    """A run that could not be as durable as asked for does not start."""
    team.propose("job", READ)
    done = team.cli("ada", "run", "job", env={"PLANLOCK_DURABILITY": "remote"})
    assert done.code == 4, done.text
    assert "there is no remote home" in done.err
    assert "hint: git config planlock.home URL" in done.err
    assert team.refs("refs/heads/planlock") == []
    assert team.cli("ada", "run", "job", env={"PLANLOCK_DURABILITY": "local"}).code == 0


@pytest.mark.parametrize(
    "since, left, due",
    [(0, 120, False), (29, 91, False), (30, 600, True), (5, 91, False), (5, 90, True)],
)
def test_when_the_home_has_to_hear_of_a_runner(since: int, left: int, due: bool) -> None:  # noqa: FBT001  # a case
    """After half a minute, or when only a minute and a half of the lease is left."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    lease = Lease(
        holder="somebody",
        epoch=1,
        taken_at=now - timedelta(seconds=since),
        expires_at=now + timedelta(seconds=left),
    )
    assert lease.is_due(now) is due


@pytest.mark.parametrize("level, expected", [("local", 3), ("remote", 5)])
def test_what_the_home_is_told(clones: Clones, level: str, expected: int) -> None:
    """Of a quick run its start, its end and the release; by default every step as well."""
    clones.git("ada", "config", "planlock.durability", level)
    clones.propose("job", READ + EDIT)
    told = pushes(clones)
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    assert len(told()) == expected, told()
    assert all(LEASE in line for line in told())
    assert own_refs(clones) == own_refs(clones, clones.ada)
    assert clones.team.refs("refs/planlock/home/heads/planlock") == []
    assert "run 1 completed" in clones.run("bob", "status", "job").out
    assert clones.run("ada", "audit").code == 0
    clones.team.git("fsck", "--strict", cwd=clones.remote)


def test_a_model_step_is_told_before_it_starts(clones: Clones, tmp_path: Path) -> None:
    """Nobody attends to the lease while a model answers, so the home has one that lasts."""
    clones.propose("job", READ + ASK)
    told = pushes(clones)
    model = write_script(tmp_path / "model.yaml", ("Say why", "Because."))
    done = clones.team.cli("ada", "run", "job", env={**clones.extra, **model})
    assert done.code == 0, done.text
    assert told()[1:2] == [f"{BRANCH} {LEASE} "]
    assert len(told()) == 4


def test_a_run_that_stops_is_in_the_home(clones: Clones) -> None:
    """Paused, or waiting for people, it can go on from any clone."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "run", "job", "--step").code == 0
    assert own_refs(clones) == own_refs(clones, clones.ada)
    done = clones.run("bob", "run", "job")
    assert done.code == 0, done.text
    assert clones.run("ada", "status", "job").code == 0
    assert own_refs(clones) == own_refs(clones, clones.ada)


@pytest.mark.usefixtures("confined")
def test_a_heartbeat_brings_the_steps_along(clones: Clones) -> None:
    """While a command runs the home hears of what was done before it, in one push with the lease."""
    clones.propose("job", READ + EDIT + command("echo begun; sleep 2"))
    before: list[str] = []
    after: list[str] = []
    runner = Runner(clones)
    runner.acts = [
        lambda: before.append(own_refs(clones)[BRANCH]),
        lambda: runner.pass_by(HEARTBEAT),
        lambda: after.append(own_refs(clones)[BRANCH]),
    ]
    assert runner.run().status == "completed"
    assert runner.acts == []
    subjects = clones.team.git("log", "--format=%s", f"{before[0]}..{after[0]}", cwd=clones.remote)
    assert len(subjects.splitlines()) == 2
    assert own_refs(clones) == own_refs(clones, clones.ada)


@pytest.mark.usefixtures("confined")
def test_the_home_may_be_away_for_a_while(clones: Clones) -> None:
    """A heartbeat that fails ends nothing, as long as nobody may take the run."""
    clones.propose("job", READ + EDIT + command("echo begun; sleep 3"))
    away, runner = clones.remote.with_name("away.git"), Runner(clones)
    runner.acts = [
        lambda: clones.remote.rename(away),
        lambda: runner.pass_by(HEARTBEAT),
        lambda: away.rename(clones.remote),
    ]
    assert runner.run().status == "completed"
    assert own_refs(clones) == own_refs(clones, clones.ada)


@pytest.mark.parametrize("level", ["local", "remote"])
@pytest.mark.usefixtures("confined")
def test_F04_a_command_ends_before_its_lease(clones: Clones, level: str) -> None:
    """Where the home stays away the command is ended, and later recorded as interrupted."""
    clones.git("ada", "config", "planlock.durability", level)
    clones.propose("job", STEPS)
    away, runner = clones.remote.with_name("away.git"), Runner(clones)
    runner.acts = [lambda: clones.remote.rename(away), *3 * [lambda: runner.pass_by(HEARTBEAT)]]
    with pytest.raises(GitError, match="pushing to"):
        runner.run()
    assert (runner.ahead, "over" in runner.heard) == (3 * HEARTBEAT, False)
    away.rename(clones.remote)
    runner = Runner(clones, ahead=ABANDONED)
    assert runner.run().steps == {"read": "completed", "edit": "completed", "check": "interrupted"}
    assert own_refs(clones) == own_refs(clones, clones.ada)
    assert clones.run("ada", "audit").code == 0


@pytest.mark.usefixtures("confined")
def test_A25_a_home_that_lost_what_it_had(clones: Clones) -> None:
    """To be ahead of the home is no leave to follow it backwards, or to write over it."""
    clones.propose("job", STEPS)
    away, runner = clones.remote.with_name("away.git"), Runner(clones)
    runner.acts = [lambda: clones.remote.rename(away), lambda: runner.pass_by(3 * HEARTBEAT)]
    with pytest.raises(GitError, match="pushing to"):
        runner.run()
    away.rename(clones.remote)
    clones.team.git("update-ref", BRANCH, "refs/heads/plan/job", cwd=clones.remote)
    before = own_refs(clones), own_refs(clones, clones.ada)
    refused = clones.run("ada", "resume", "job")
    assert (refused.code, "[authority_refused]" in refused.err) == (4, True), refused.text
    assert (own_refs(clones), own_refs(clones, clones.ada)) == before


def overtaken(clones: Clones) -> None:
    """While ada's command runs, bob finds her lease abandoned and brings the run to its end."""
    clones.propose("job", STEPS.replace("sleep 20", "sleep 2"))
    bob, ada = Runner(clones, who="bob", ahead=ABANDONED), Runner(clones)
    held: list[int] = []
    ada.acts = [
        lambda: held.append(clones.run("ada", "run", "job").code),
        bob.run,
        lambda: ada.pass_by(HEARTBEAT),
    ]
    with pytest.raises(RunHeld, match="stays unpublished"):
        ada.run()
    assert held == [4]


@pytest.mark.usefixtures("confined")
def test_A40_what_an_overtaken_runner_did_is_not_published(clones: Clones) -> None:
    """The home goes its way; here it is followed, and what it never got is kept and told of."""
    overtaken(clones)
    there = own_refs(clones)
    status = clones.run("ada", "status", "job")
    assert "run 1 completed" in status.out, status.text
    assert own_refs(clones) == there
    assert {ref: oid for ref, oid in own_refs(clones, clones.ada).items() if ref in there} == there
    assert clones.run("ada", "gc").code == 0
    audit = clones.run("ada", "audit", "--json")
    assert audit.code == 1, audit.text
    (finding,) = audit.json["findings"]
    assert (finding["code"], finding["where"]) == ("unpublished", "job/1")
    assert finding["message"].startswith("read, edit, check: done here, unknown to the home")
    look = finding["fix"].removeprefix("see what they did: git ").split()
    assert "step 2/3 edit_file utils.py" in clones.git("ada", *look)
    assert clones.run("bob", "audit").code == 0


@pytest.mark.usefixtures("confined")
def test_the_ledger_follows_the_home(clones: Clones) -> None:
    """Rows of steps that the home never got make way for those of the run as it went on."""
    overtaken(clones)
    assert clones.run("ada", "status", "job").code == 0
    assert clones.run("ada", "cost").code == 0
    checked = clones.run("ada", "ledger", "check")
    assert checked.code == 0, checked.text
