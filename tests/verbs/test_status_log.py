from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forging import answer, codes
from team import EDIT, READ, Team, command

from runner.sandbox.commands import Backend

MAIN = "import sys; from runner.cli.main import main; main(sys.argv[1:])"
SOURCE = str(Path(__file__).parents[2])
STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
TWO = STEP.format("one") + STEP.format("two")


def status(team: Team) -> dict[str, Any]:
    done = team.cli("ada", "status", "job", "--json")
    assert done.code == 0, done.text
    found: dict[str, Any] = done.json
    return found


def edit_plan(team: Team, old: str, new: str) -> None:
    """Change the plan's text and propose it again."""
    path = team.root / "plans/job/plan.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = team.cli("ada", "propose", "job")
    assert done.code == 0, done.text


def append(team: Team, step: str) -> None:
    path = team.root / "plans/job/plan.yaml"
    path.write_text(path.read_text() + f"  {step}")
    assert team.cli("ada", "propose", "job").code == 0


class TestStatus:
    def test_each_step_says_what_is_missing_and_what_would_help(self, team: Team) -> None:
        """Free steps are ready, others name what they need with the command that fixes it."""
        team.propose("job", READ + EDIT)
        found = status(team)
        assert [each["status"] for each in found["steps"]] == ["ready", "waiting"]
        (reason,) = found["steps"][1]["reasons"]
        assert reason["fix"] == "planlock approve job --step edit"
        assert (found["run"], found["run_status"]) == (0, "")
        text = team.cli("ada", "status", "job").out
        assert "never run" in text
        assert "fix: planlock approve job --step edit" in text

    def test_approvers_are_named(self, team: Team) -> None:
        """A step that is ready says by whose leave."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        team.approve("cleo", "job")
        (step,) = status(team)["steps"]
        assert step["approvers"] == ["bob@example.com", "cleo@example.com"]
        assert "(approved by bob@example.com, cleo@example.com)" in (
            team.cli("ada", "status", "job").out
        )

    def test_a_rejected_step_and_those_behind_it(self, team: Team) -> None:
        """Who rejected is told, and what comes after waits for an approval that names the skip."""
        team.propose("job", TWO)
        team.approve("bob", "job")
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
        one, two = status(team)["steps"]
        assert (one["status"], one["reasons"][0]["message"]) == (
            "rejected",
            "rejected by cleo@example.com",
        )
        assert [each["code"] for each in two["reasons"]] == ["approvals_missing", "skips_differ"]

    def test_a_run_is_told(self, team: Team) -> None:
        """Recorded steps have the run's status, the others their outlook."""
        team.propose("job", TWO)
        team.approve("bob", "job")
        team.cli("ada", "run", "job", "--until", "one")
        found = status(team)
        assert (found["run"], found["run_status"]) == (1, "paused")
        assert [each["status"] for each in found["steps"]] == ["completed", "ready"]
        team.cli("ada", "run", "job")
        assert status(team)["run_status"] == "completed"

    def test_an_unknown_plan_is_not_found(self, team: Team) -> None:
        """The hint says how to make one."""
        done = team.cli("ada", "status", "nothing")
        assert (done.code, "planlock new GOAL" in done.err) == (3, True)


class TestStatusOfARun:
    """What stopped a run, or who is at it."""

    def test_a_failed_step_has_reason_and_fix(self, team: Team, confined: Backend) -> None:
        """The record's error, and the command that tries again."""
        assert confined
        team.propose("job", command("exit 3"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 5
        found = status(team)
        (reason,) = found["steps"][0]["reasons"]
        assert (found["steps"][0]["status"], reason["code"]) == ("failed", "command_failed")
        assert reason["fix"] == "planlock resume job --retry"
        assert "fix: planlock resume job --retry" in team.cli("ada", "status", "job").out

    def test_a_failed_step_of_a_run_that_was_cancelled(self, team: Team, confined: Backend) -> None:
        """Only another run can do it."""
        assert confined
        team.propose("job", command("exit 3"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 5
        assert team.cli("ada", "cancel", "job").code == 0
        found = status(team)
        assert (found["run_status"], found["reasons"]) == ("cancelled", [])
        assert found["steps"][0]["reasons"][0]["fix"] == "planlock run job --new"

    def test_a_run_that_somebody_paused_says_who(self, team: Team) -> None:
        """With the command that lets it go on."""
        team.propose("job", READ + EDIT)
        assert team.cli("ada", "run", "job").code == 4
        assert team.cli("bob", "pause", "job").code == 0
        (reason,) = status(team)["reasons"]
        assert (reason["code"], reason["fix"]) == ("paused", "planlock resume job/1")
        assert "paused by bob <bob@example.com>" in team.cli("ada", "status", "job").out

    def test_a_reject_of_a_failed_step_is_shown(self, team: Team, confined: Backend) -> None:
        """Until the next run skips it, the step is failed and rejected."""
        assert confined
        team.propose("job", command("exit 3"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 5
        assert team.cli("cleo", "reject", "job").code == 0
        (step,) = status(team)["steps"]
        assert [each["code"] for each in step["reasons"]] == ["command_failed", "rejected"]
        assert step["reasons"][1]["fix"] == "to skip it: planlock resume job --retry"
        assert team.cli("ada", "run", "job", "--retry").code == 0

    def test_a_live_run_names_its_holder(self, team: Team, confined: Backend) -> None:
        """While a retry runs, the step and the run are running, with holder and since when."""
        assert confined
        team.propose("job", command("echo started; sleep 60"))
        team.approve("bob", "job")
        with runner_at(team, "run", "job", "--json") as killed:
            killed.kill()
        assert team.cli("ada", "run", "job").code == 5
        with runner_at(team, "run", "job", "--retry", "--json") as process:
            found = status(team)
            assert (found["run_status"], found["steps"][0]["status"]) == ("running", "running")
            assert f"/{process.pid}/" in found["holder"]["name"]
            assert f"held by {found['holder']['name']} since 20" in (
                team.cli("ada", "status", "job").out
            )

    def test_an_interrupted_command_is_told_before_it_is_recorded(
        self, team: Team, confined: Backend
    ) -> None:
        """Where the runner was killed the step is interrupted and needs a retry."""
        assert confined
        team.propose("job", command("echo started; sleep 60"))
        team.approve("bob", "job")
        with runner_at(team, "run", "job", "--json") as process:
            process.kill()
            process.wait(30)
        found = status(team)
        assert (found["run_status"], found["holder"]) == ("failed", None)
        (step,) = found["steps"]
        assert (step["status"], step["reasons"][0]["fix"]) == (
            "interrupted",
            "planlock resume job --retry",
        )
        assert team.cli("ada", "run", "job").code == 5
        assert status(team)["steps"] == found["steps"]


@contextmanager
def runner_at(team: Team, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A planlock of its own whose command has said something, gone at the end."""
    environment = {**team.environment("ada"), "PYTHONPATH": SOURCE}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *args],
        cwd=team.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any('"kind": "output"' in line for line in process.stdout)
            yield process
        finally:
            process.kill()


class TestLog:
    def test_the_story_is_told_from_git(self, team: Team) -> None:
        """Each record with its commit, approvers and changes, in JSON and as text."""
        team.propose("job", READ + EDIT)
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
        story = team.cli("cleo", "log", "job", "--json").json
        read, edit, end = story["entries"]
        assert (read["step_type"], "def add" in read["output"]) == ("read_file", True)
        assert (edit["approvers"], edit["changes"]) == (["bob@example.com"], ["utils.py"])
        assert edit["commit"] == team.git("rev-parse", "planlock/job/1~")
        assert (end["kind"], story["status"], story["cost_usd"]) == ("end", "completed", "0.00")
        text = team.cli("cleo", "log", "job/1").out
        for part in ("run job/1: completed", "approved by: bob@example.com", "changed: utils.py"):
            assert part in text

    def test_who_rejected_a_skipped_step_is_told(self, team: Team) -> None:
        """A skip names the people whose reject it follows."""
        team.propose("job", TWO)
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
        skip = team.cli("ada", "log", "job", "--json").json["entries"][0]
        assert skip["reasons"] == ["rejected: rejected by cleo@example.com"]
        assert (
            "because: rejected: rejected by cleo@example.com" in team.cli("ada", "log", "job").out
        )

    def test_long_outputs_are_cut_unless_asked_for(self, team: Team) -> None:
        """The first lines are shown, and how many more there are."""
        team.commit({"utils.py": "line\n" * 30}, "Long")
        team.propose("job", READ)
        assert team.cli("ada", "run", "job").code == 0
        assert "… 18 more lines (--full)" in team.cli("ada", "log", "job").out
        assert team.cli("ada", "log", "job", "--full").out.count("| line") == 30

    def test_a_run_that_is_not_here_is_not_found(self, team: Team) -> None:
        """The message lists the runs of the plan."""
        team.propose("job", READ)
        assert team.cli("ada", "run", "job").code == 0
        done = team.cli("ada", "log", "job/7")
        assert (done.code, "runs of this plan: job/1" in done.err) == (3, True)
        assert team.cli("ada", "log", "none").code == 3


class TestAdoption:
    """A run goes on with a plan that only grew, and with no other."""

    def waiting(self, team: Team) -> None:
        team.propose("job", TWO)
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job", "--until", "one").code == 0

    def test_an_appended_step_is_adopted_in_a_commit_of_its_own(self, team: Team) -> None:
        """The amendment is recorded, earlier approvals hold, the new step waits for one."""
        self.waiting(team)
        append(team, STEP.format("three"))
        done = team.cli("ada", "run", "job", "--json")
        assert done.code == 4
        assert answer(done)["steps"] == {
            "one": "completed",
            "two": "completed",
            "three": "awaiting_approval",
        }
        kinds = [each["kind"] for each in team.cli("ada", "log", "job", "--json").json["entries"]]
        assert kinds == ["step", "amendment", "step"]
        adopted = team.show_file("planlock/job/1", "plans/job/plan.yaml")
        assert adopted == team.show_file("plan/job", "plans/job/plan.yaml")
        team.approve("cleo", "job", "--step", "three")
        assert team.cli("ada", "run", "job").code == 0

    def test_a_pending_step_may_change(self, team: Team) -> None:
        """A step without a record is taken as it is now, once it is approved anew."""
        self.waiting(team)
        edit_plan(team, "path: two", "path: zwei")
        assert codes(team.cli("ada", "run", "job", "--json"))[0] == "approvals_missing"
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
        assert "zwei" in team.git("ls-tree", "--name-only", "planlock/job/1").split()

    def test_a_recorded_step_that_changed_stops_the_run(self, team: Team) -> None:
        """What was done under another text is not passed off as this plan's."""
        self.waiting(team)
        tip = team.git("rev-parse", "planlock/job/1")
        edit_plan(team, "path: one", "path: eins")
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done), answer(done)["stopped_at"]) == (4, ["stale"], "one")
        assert "--new" in answer(done)["reasons"][0]["fix"]
        assert team.git("rev-parse", "planlock/job/1") == tip
        assert team.cli("ada", "run", "job", "--new").code == 0

    def test_another_base_stops_the_run(self, team: Team) -> None:
        """A plan moved onto another base is another plan."""
        self.waiting(team)
        team.commit({"new.txt": "n"}, "Go on")
        assert team.cli("ada", "propose", "job", "--refresh").code == 0
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (4, ["stale"])
