"""`rollback`: files come back by a commit that is added, effects by approved undo commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from team import EDIT, FACTORIAL, READ, UTILS, Team, command
from terminal import terminal
from undo_steps import undone

from runner.core import documents

NONE = ("require: confined", "require: none")


def approved(team: Team, steps: str) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")


def record(team: Team, name: str) -> dict[str, Any]:
    text = team.show_file("planlock/job/1", f"plans/job/runs/1/{name}.yaml")
    value: dict[str, Any] = documents.parse(f"{text}\n".encode(), file=name).value
    return value


def clean(team: Team) -> None:
    """Ledger, objects and work folder are in order."""
    assert team.cli("ada", "ledger", "check").code == 0
    team.git("fsck", "--strict")
    assert not (team.root / ".git/planlock/work/job/1").exists()


@pytest.fixture
def outside(team: Team) -> Path:
    """A file out of the repository, which commands reach where nothing confines them."""
    team.policy(*NONE)
    return team.base / "outside"


class TestFiles:
    @pytest.mark.usefixtures("confined")
    def test_files_come_back_and_history_stays(self, team: Team) -> None:
        """P4: one commit restores the tree outside the plan's folder; no commit goes away."""
        approved(team, READ + EDIT + command("echo > made", more="writes: [made]\n"))
        assert team.cli("ada", "run", "job").code == 0
        tip = team.git("rev-parse", "planlock/job/1")
        before = team.git("rev-parse", "plan/job")
        done = team.cli("ada", "rollback", "job", "--yes")
        assert done.code == 0, done.text
        assert team.git("rev-parse", "planlock/job/1~1") == tip
        assert not team.git("diff", "--stat", before, "planlock/job/1", "--", ":!plans")
        told = record(team, "005-rollback")
        assert told["rollback"]["step"] == "read"
        assert team.git("rev-parse", f"{told['rollback']['commit']}~1") == before
        assert [each["path"] for each in told["changes"]] == ["made", "utils.py"]
        assert told["asked_by"] == "ada <ada@example.com>"
        clean(team)

    def test_to_a_step_keeps_what_was_done_before(self, team: Team) -> None:
        """What comes before the named step stays as it is."""
        again = EDIT.replace("id: edit", "id: again").replace("    - ", "- ")
        approved(team, READ + EDIT + again.replace("factorial(n", "faculty(n"))
        assert team.cli("ada", "run", "job").code == 0
        assert team.cli("ada", "rollback", "job/1", "--to", "again", "--yes").code == 0
        assert f"{team.show_file('planlock/job/1', 'utils.py')}\n" == FACTORIAL
        assert team.cli("ada", "log", "job/1", "--json").json["status"] == "rolled_back"
        steps = team.cli("ada", "status", "job", "--json").json["steps"]
        assert [each["status"] for each in steps] == ["completed", "completed", "rolled_back"]

    @pytest.mark.usefixtures("confined")
    @pytest.mark.parametrize("how", ["open", "failed", "cancelled"])
    def test_a_run_in_any_state_is_rolled_back_and_over(self, team: Team, how: str) -> None:
        """One that was open is ended by it, and cannot be gone on with."""
        approved(team, EDIT + command("false" if how == "failed" else "true"))
        team.cli("ada", "run", "job", *([] if how == "failed" else ["--step"]))
        if how == "cancelled":
            assert team.cli("ada", "cancel", "job").code == 0
        done = team.cli("ada", "rollback", "job", "--yes", "--json")
        assert done.code == 0, done.text
        assert done.json["status"] == "rolled_back"
        assert f"{team.show_file('planlock/job/1', 'utils.py')}\n" == UTILS
        assert "already rolled back" in team.cli("ada", "rollback", "job", "--yes").err
        assert team.cli("ada", "resume", "job").code == 4
        over = team.cli("ada", "run", "job")
        assert (over.code, "has ended" in over.out) == (5, True)
        clean(team)

    def test_the_rollback_is_signed_as_the_end_is(self, team: Team) -> None:
        """Its record has a signature of its own, and the tag of the end stays where it was."""
        approved(team, EDIT)
        team.cli("ada", "run", "job")
        tag = team.git("rev-parse", "planlock-run/job/1")
        team.cli("ada", "rollback", "job", "--yes")
        assert "SSH SIGNATURE" in team.show_file(
            "planlock/job/1", "plans/job/runs/1/003-rollback.yaml.sig"
        )
        assert team.git("rev-parse", "planlock-run/job/1") == tag

    @pytest.mark.usefixtures("confined")
    def test_a_fork_takes_back_only_what_it_did_itself(self, team: Team) -> None:
        """The steps of the run that it left are not its own."""
        approved(team, EDIT + command("echo > made", more="writes: [made]\n"))
        assert team.cli("ada", "run", "job").code == 0
        assert team.cli("ada", "run", "job", "--from", "1:check").code == 0
        refused = team.cli("ada", "rollback", "job/2", "--to", "edit", "--yes")
        assert (refused.code, "did nothing in that step" in refused.err) == (2, True)
        done = team.cli("ada", "rollback", "job/2", "--yes", "--json")
        assert done.json["steps"] == {"check": "none"}
        assert done.json["restored"] == ["made"]
        assert f"{team.show_file('planlock/job/2', 'utils.py')}\n" == FACTORIAL
        audited = team.cli("ada", "audit")
        assert audited.code == 0, audited.text


class TestUndo:
    def test_undo_commands_run_newest_first(self, team: Team, outside: Path) -> None:
        """Each runs once, on the files as they are, and its own changes are thrown away."""
        take = "cat made >> {0}; echo {1} >> {0}; rm made"
        approved(
            team,
            undone(
                "echo x > made", take.format(outside, "one"), name="one", more="writes: [made]\n"
            )
            + undone("true", take.format(outside, "two"), name="two"),
        )
        assert team.cli("ada", "run", "job").code == 0
        done = team.cli("ada", "rollback", "job", "--yes", "--json")
        assert done.code == 0, done.text
        assert outside.read_text().split() == ["x", "two", "x", "one"]
        assert done.json["steps"] == {"two": "done", "one": "done"}
        assert [each["undo"] for each in record(team, "006-rollback")["rollback"]["steps"]] == [
            "done",
            "done",
        ]
        told = record(team, "004-undo-two")
        assert (told["kind"], told["step"]["id"], told["status"]) == ("undo", "two", "completed")
        assert told["gate"]["approvers"] == ["bob@example.com"]
        assert told["changes"] == []
        clean(team)

    def test_steps_before_the_named_one_are_not_undone(self, team: Team, outside: Path) -> None:
        """Only what is taken back is undone."""
        take = f"echo $0 >> {outside}"
        approved(team, undone("true", take, name="one") + undone("true", take, name="two"))
        team.cli("ada", "run", "job")
        assert team.cli("ada", "rollback", "job", "--to", "two", "--yes").code == 0
        assert len(outside.read_text().split()) == 1


class TestAsking:
    @pytest.mark.usefixtures("confined")
    def test_without_a_terminal_it_must_be_told_to_go_on(self, team: Team) -> None:
        """Nobody can be asked, so nothing is done."""
        approved(team, EDIT)
        team.cli("ada", "run", "job")
        refused = team.cli("ada", "rollback", "job")
        assert refused.code == 2
        assert "give --yes, or --dry-run" in refused.err
        assert team.cli("ada", "rollback", "job", "--json").code == 2
        assert team.cli("ada", "log", "job", "--json").json["status"] == "completed"

    @pytest.mark.usefixtures("confined")
    def test_it_says_first_what_cannot_be_undone(self, team: Team) -> None:
        """A dry run tells each step, what runs, what stays and which files come back."""
        approved(team, EDIT + undone("true", "echo back", name="with") + command("true"))
        team.cli("ada", "run", "job")
        told = team.cli("ada", "rollback", "job", "--dry-run")
        assert told.code == 0
        assert "no undo command: whatever it did outside the repository stays" in told.out
        assert "runs: echo back" in told.out
        assert "files restored to what they were before (1):\n    utils.py" in told.out
        value = team.cli("ada", "rollback", "job", "--dry-run", "--json").json
        assert [(each["id"], each["undo"]) for each in value["steps"]] == [
            ("check", "none"),
            ("with", "due"),
            ("edit", "not_needed"),
        ]
        assert team.cli("ada", "log", "job", "--json").json["status"] == "completed"

    @pytest.mark.parametrize("answer,status", [("n", "completed"), ("y", "rolled_back")])
    def test_a_person_at_a_terminal_is_asked(self, team: Team, answer: str, status: str) -> None:
        """What is lost stands above the question; only a yes goes on."""
        approved(team, EDIT)
        team.cli("ada", "run", "job")
        with terminal(team, "ada", "rollback", "job") as there:
            shown = there.until("Roll job/1 back? [y/N]: ")
            assert "utils.py" in shown
            there.type(f"{answer}\n")
            assert there.end() == 0
        assert team.cli("ada", "log", "job", "--json").json["status"] == status


class TestWrong:
    @pytest.mark.parametrize(
        "options,code,message",
        [
            (["--to", "nothing"], 2, "has no step 'nothing'"),
            (["--to", "last"], 2, "did nothing in that step"),
            (["--skip-undo", "edit"], 2, "no undo command of edit would run"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, team: Team, options: list[str], code: int, message: str
    ) -> None:
        """The message names the step, and nothing is done."""
        approved(team, EDIT + READ.replace("id: read", "id: last"))
        team.cli("ada", "run", "job", "--step")
        done = team.cli("ada", "rollback", "job", "--yes", *options)
        assert (done.code, message in done.err) == (code, True), done.text

    def test_a_run_that_did_nothing_is_cancelled_instead(self, team: Team) -> None:
        """Its first step was never begun, so that there is nothing to take back."""
        listed = "require: confined, network: [], tools: [], secrets: [TOKEN]"
        team.policy("require: confined, network: [], tools: [], secrets: []", listed)
        approved(team, command("true", more="secrets: [TOKEN]\n"))
        assert team.cli("ada", "run", "job").code == 4  # TOKEN is not set
        done = team.cli("ada", "rollback", "job", "--yes")
        assert done.code == 4
        assert "has done nothing that could be taken back" in done.err
        assert "hint: planlock cancel job/1" in done.err
