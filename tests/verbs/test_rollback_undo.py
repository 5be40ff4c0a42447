"""Undo commands that fail, may not run, or die: none runs twice unseen, none is left out unseen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from forging import codes
from team import EDIT, Team, command, surroundings
from terminal import terminal
from undo_steps import undone

from runner.project import Project, real_world
from runner.verbs import rollback, rollback_outlook

MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
SOURCE = str(Path(__file__).parents[2])


@contextmanager
def started(team: Team, *args: str, wait_for: str) -> Iterator[subprocess.Popen[str]]:
    """A planlock of its own that has said something; gone at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *args],
        cwd=team.root,
        env={**team.environment("ada"), "PYTHONPATH": SOURCE},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = next((line for line in process.stderr if wait_for in line), "")
            assert said, f"it never said {wait_for}"
            yield process
        finally:
            process.kill()


@pytest.fixture
def outside(team: Team) -> Path:
    """A file out of the repository, which commands reach where nothing confines them."""
    team.policy("require: confined", "require: none")
    return team.base / "outside"


def done(team: Team, steps: str) -> None:
    """Approve and run a plan to its end."""
    team.propose("job", steps)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job").code == 0


def once(outside: Path, *, fails: str = "false") -> str:
    """An undo command that fails until somebody mends what it needs."""
    return f"echo run >> {outside}; test -e {outside}.mended || {fails}"


def statuses(team: Team) -> list[str]:
    entries = team.cli("ada", "log", "job", "--json").json["entries"]
    return [f"{each['step_type'] or each['kind']} {each['status']}" for each in entries]


class TestFailed:
    def test_one_that_fails_stops_the_rollback(self, team: Team, outside: Path) -> None:
        """It is recorded, no file is restored, and the same command alone does not repeat it."""
        done(team, EDIT + undone("true", once(outside), name="one"))
        for reason in ("command_failed", "undo_failed"):
            stopped = team.cli("ada", "rollback", "job", "--yes", "--json")
            assert (stopped.code, codes(stopped)) == (5, [reason])
            assert "--retry, or --skip-undo one" in stopped.json["reasons"][0]["fix"]
        assert outside.read_text().split() == ["run"]
        assert statuses(team)[-2:] == ["end completed", "undo failed"]
        assert codes(team.cli("ada", "status", "job", "--json")) == ["rolling_back"]
        assert "factorial" in team.show_file("planlock/job/1", "utils.py")

    def test_retry_repeats_it_and_goes_on(self, team: Team, outside: Path) -> None:
        """The next attempt is a record of its own."""
        done(team, EDIT + undone("true", once(outside), name="one"))
        assert team.cli("ada", "rollback", "job", "--yes").code == 5
        Path(f"{outside}.mended").touch()
        assert team.cli("ada", "rollback", "job", "--yes", "--retry").code == 0
        assert outside.read_text().split() == ["run", "run"]
        assert statuses(team)[-2:] == ["undo completed", "to before edit rolled_back"]
        assert not codes(team.cli("ada", "status", "job", "--json"))
        assert "attempt: 2" in team.show_file(
            "planlock/job/1", "plans/job/runs/1/005-undo-one.yaml"
        )

    def test_what_is_left_is_told(self, team: Team, outside: Path) -> None:
        """A person may go on without it; the record says whose effects are still there."""
        done(team, undone("true", once(outside), name="one") + undone("true", "true", name="two"))
        assert team.cli("ada", "rollback", "job", "--yes").code == 5
        gone_on = team.cli("ada", "rollback", "job", "--yes", "--skip-undo", "one", "--json")
        assert gone_on.json["steps"] == {"two": "done", "one": "left"}
        assert team.cli("ada", "log", "job", "--json").json["entries"][-1]["not_undone"] == ["one"]
        assert "not undone: one" in team.cli("ada", "log", "job").out

    def test_one_may_be_left_out_from_the_start(self, team: Team, outside: Path) -> None:
        """It never runs."""
        done(team, undone("true", once(outside), name="one"))
        assert team.cli("ada", "rollback", "job", "--yes", "--skip-undo", "one").code == 0
        assert not outside.exists()

    def test_an_undo_that_has_begun_is_not_passed_over(self, team: Team, outside: Path) -> None:
        """The files of a step come back too once its effects outside are taken back."""
        done(team, undone("true", once(outside), name="one") + undone("true", "true", name="two"))
        assert team.cli("ada", "rollback", "job", "--yes").code == 5
        refused = team.cli("ada", "rollback", "job", "--to", "two", "--yes")
        assert refused.code == 2
        assert "the undo command of one has been started" in refused.err


class TestGate:
    def test_a_rejection_since_then_bars_it(self, team: Team, outside: Path) -> None:
        """Nothing runs that a person does not want to run; leaving it out is possible."""
        done(team, undone("true", f"touch {outside}", name="one"))
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
        barred = team.cli("ada", "rollback", "job", "--yes", "--json")
        assert (barred.code, codes(barred)) == (4, ["rejected"])
        assert team.cli("ada", "rollback", "job", "--yes", "--skip-undo", "one").code == 0
        assert not outside.exists()

    def test_a_policy_that_denies_it_now_bars_it(self, team: Team, outside: Path) -> None:
        """Rules apply as of use."""
        done(team, undone("true", f"touch {outside}", name="one"))
        rule = 'rules: [{name: never, match: {command: "touch **"}, deny: by hand}]'
        team.policy("rules: []", rule)
        barred = team.cli("ada", "rollback", "job", "--yes", "--json")
        assert (barred.code, codes(barred)) == (4, ["policy_denied"])
        assert not outside.exists()

    def test_an_approval_that_has_expired_does_not_bar_it(self, team: Team, outside: Path) -> None:
        """What was approved to be taken back may be taken back as long as it is there."""
        done(team, undone("true", f"touch {outside}", name="one"))
        later = datetime.now(UTC) + timedelta(days=30)
        with surroundings(team.root, team.environment("ada")):
            world = replace(real_world(), now=lambda: later)
            with Project(world) as project:
                outlook = rollback_outlook.look(project, "job")
                report = rollback.rollback(project, outlook, rollback.Options(), print)
        assert (report.status, report.reasons) == ("rolled_back", ())
        assert outside.exists()


class TestCrash:
    def test_P3_a_killed_one_is_interrupted_and_not_repeated(
        self, team: Team, outside: Path
    ) -> None:
        """Killed with -9 while it runs, it waits for a person, who may repeat it."""
        text = f"echo run >> {outside}; echo begun; test -e {outside}.mended || sleep 60"
        done(team, EDIT + undone("true", text, name="one"))
        with started(team, "rollback", "job", "--yes", wait_for="| begun") as process:
            process.kill()
            process.wait(30)
        again = team.cli("ada", "rollback", "job", "--yes")
        assert again.code == 5
        assert "the undo command of one interrupted and is not repeated by itself" in again.out
        assert outside.read_text().split() == ["run"]
        Path(f"{outside}.mended").touch()
        assert team.cli("ada", "rollback", "job", "--yes", "--retry").code == 0
        assert statuses(team)[-3:] == [
            "undo interrupted",
            "undo completed",
            "to before edit rolled_back",
        ]
        team.git("fsck", "--strict")
        assert team.cli("ada", "ledger", "check").code == 0

    def test_a_command_that_died_with_its_runner_is_undone(self, team: Team, outside: Path) -> None:
        """Nobody knows how far it came: it is recorded as interrupted, and its undo runs."""
        team.propose("job", undone("echo begun; sleep 60", f"touch {outside}", name="one"))
        team.approve("bob", "job")
        with started(team, "run", "job", wait_for="| begun") as process:
            process.kill()
            process.wait(30)
        shown = team.cli("ada", "rollback", "job", "--dry-run", "--json").json["steps"]
        assert [(each["status"], each["undo"]) for each in shown] == [("interrupted", "due")]
        assert team.cli("ada", "rollback", "job", "--yes").code == 0
        assert outside.exists()
        assert statuses(team) == [
            "run_command interrupted",
            "undo completed",
            "to before one rolled_back",
        ]

    @pytest.mark.usefixtures("confined")
    def test_a_run_that_somebody_holds_is_not_rolled_back(self, team: Team) -> None:
        """The holder is named."""
        team.propose("job", EDIT + command("echo begun; sleep 60"))
        team.approve("bob", "job")
        with started(team, "run", "job", wait_for="| begun"):
            refused = team.cli("ada", "rollback", "job", "--yes")
        assert refused.code == 4
        assert "refused[run_held]: run job/1 is held by" in refused.err

    def test_a_run_whose_rollback_has_begun_does_not_go_on(self, team: Team, outside: Path) -> None:
        """Its steps are half taken back; only the rollback can go on."""
        team.propose("job", undone("true", once(outside), name="one") + EDIT)
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job", "--step").code == 0
        assert team.cli("ada", "rollback", "job", "--yes").code == 5
        for verb in ("run", "resume"):
            refused = team.cli("ada", verb, "job")
            assert refused.code == 4, refused.text
            assert "planlock rollback job/1" in refused.text


def test_ctrl_c_stops_before_the_next_undo_command(team: Team, outside: Path) -> None:
    """The one that runs comes to its end; the same command goes on from there."""
    slow = f"echo one >> {outside}; echo begun; sleep 2"
    done(
        team,
        undone("true", f"echo two >> {outside}", name="two") + undone("true", slow, name="one"),
    )
    with terminal(team, "ada", "rollback", "job", "--yes") as there:
        there.until("| begun")
        there.type("\x03")
        assert there.end() == 130
    assert outside.read_text().split() == ["one"]
    assert team.cli("ada", "rollback", "job", "--yes").code == 0
    assert outside.read_text().split() == ["one", "two"]
