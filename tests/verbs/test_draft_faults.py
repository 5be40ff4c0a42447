"""Drafts that cannot be made, what they cost, and runners that end in the middle of one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from drafts import DRAFT, LAST, WISH, proposed, records, run, script, statuses
from forging import answer, codes, parsed
from tampering import findings
from team import FACTORIAL, UTILS, Team

RECORD = "plans/job/runs/1/002-draft-write.yaml"
SOURCE = str(Path(__file__).parents[2])
# The runner dies right where the draft is to be published.
DIES = """
import os, signal, sys
from runner.verbs import publishing
from runner.cli.main import main
publishing.publish_record, publish = (
    lambda held, name, *rest, **more: os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("draft-") else publish(held, name, *rest, **more)
), publishing.publish_record
main(sys.argv[1:])
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A model that writes factorial()."""
    return script(tmp_path)


class TestFailed:
    """No text applies: that is recorded, and costs what it cost."""

    BROKEN = "def add(a, b:\n    return\n"

    def test_a_draft_that_does_not_parse_is_a_failure(self, team: Team) -> None:
        """It is told, it is paid, nothing is changed, and it is not repeated by itself."""
        proposed(team)
        bad = script(team.base, self.BROKEN)
        done = run(team, bad)
        assert (done.code, codes(done)) == (5, ["draft_failed"])
        value = parsed(f"{team.show_file('planlock/job/1', RECORD)}\n".encode())
        assert (value["status"], value["error"]["code"]) == ("failed", "draft_failed")
        assert value["calls"]
        assert answer(done)["cost_usd"] != "0.00"
        assert team.git("diff", "--stat", "plan/job", "planlock/job/1", "--", "utils.py") == ""
        assert codes(run(team, bad)) == ["step_failed"]
        assert records(team) == ["read", "draft-write"]
        assert findings(team) == {}

    def test_status_says_why_there_is_no_text(self, team: Team) -> None:
        """The step failed, and the fix tries again."""
        proposed(team)
        run(team, script(team.base, self.BROKEN))
        found = team.cli("bob", "status", "job", "--json").json
        assert (found["run_status"], found["steps"][1]["status"]) == ("failed", "failed")
        (reason,) = found["steps"][1]["reasons"]
        assert (reason["code"], reason["fix"]) == ("draft_failed", "planlock resume job --retry")

    def test_another_try_may_succeed(self, team: Team) -> None:
        """With `--retry` it is drafted anew, and waits as any other."""
        proposed(team)
        run(team, script(team.base, self.BROKEN))
        env = script(team.base)
        assert codes(run(team, env, "--retry")) == ["approvals_missing"]
        team.approve("bob", "job")
        done = run(team, env)
        assert (done.code, statuses(done)["write"]) == (0, "completed")
        assert findings(team) == {}

    @pytest.mark.parametrize(
        "content,said",
        [
            ("password = 'hunter2-hunter2'\n", "it may hold a secret"),
            ("\udcff", "not UTF-8 text"),
        ],
    )
    def test_some_files_are_sent_to_no_model(
        self, team: Team, env: dict[str, str], content: str, said: str
    ) -> None:
        """Secrets stay here, and what is no text cannot be edited as one."""
        (team.root / "utils.py").write_bytes(content.encode(errors="surrogateescape"))
        team.git("commit", "-q", "-am", "Other content")
        proposed(team, DRAFT)
        done = run(team, env)
        assert done.code == 5
        assert said in done.out
        assert answer(done)["cost_usd"] == "0.00"

    def test_a_pin_on_an_instruction_holds(self, team: Team) -> None:
        """What was to be drafted for one file is not drafted for another."""
        pinned = DRAFT.replace("instruction:", "replaces: absent\n    instruction:")
        team.plan("job", pinned)
        refused = team.cli("ada", "propose", "job", "--json")
        assert answer(refused)["error"]["problems"][0]["code"] == "edit_misfit"

    @pytest.mark.parametrize("most", ["0.00", "0.01"])
    def test_without_money_the_run_pauses(self, team: Team, env: dict[str, str], most: str) -> None:
        """Nothing has failed, nothing is recorded, and with money it goes on."""
        team.policy('run_usd: "1.00"', f'run_usd: "{most}"')
        proposed(team)
        done = run(team, env)
        assert (answer(done)["status"], codes(done)) == ("paused", ["budget_exceeded"])
        assert records(team) == ["read"]
        team.policy(f'run_usd: "{most}"', 'run_usd: "1.00"')
        assert codes(run(team, env)) == ["approvals_missing"]
        assert records(team) == ["read", "draft-write"]


class TestBooks:
    def test_P6_what_a_draft_cost_belongs_to_its_step(
        self, team: Team, env: dict[str, str]
    ) -> None:
        """In the record, the trailers, the ledger and `cost`, before and after a rebuild."""
        proposed(team)
        run(team, env)
        team.approve("bob", "job")
        assert run(team, env).code == 0
        rows = team.cli("ada", "cost", "job/1", "--by", "step", "--json").json["rows"]
        assert [(row["key"], row["usd"]) for row in rows] == [("job/1/write", "0.02")]
        trailers = "%(trailers:key=Cost-USD,valueonly)"
        assert team.git("log", f"--format={trailers}", "planlock/job/1").split() == ["0.02"]
        assert team.cli("ada", "ledger", "check").code == 0
        assert team.cli("ada", "ledger", "rebuild").code == 0
        assert team.cli("ada", "cost", "job/1", "--by", "step", "--json").json["rows"] == rows

    def test_log_tells_of_the_draft(self, team: Team, env: dict[str, str]) -> None:
        """Which step it was, and what it cost."""
        proposed(team)
        run(team, env)
        entry = team.cli("ada", "log", "job", "--json").json["entries"][1]
        assert (entry["kind"], entry["step"], entry["step_type"]) == ("amendment", "write", "draft")
        assert entry["cost_usd"] == "0.02"


class TestCrash:
    def test_F01_killed_between_draft_and_record(self, team: Team, env: dict[str, str]) -> None:
        """The stored answer gives the same draft, which is paid for once."""
        proposed(team)
        done = subprocess.run(
            [sys.executable, "-c", DIES, "run", "job"],
            cwd=team.root,
            env={**team.environment("ada", env), "PYTHONPATH": SOURCE},
            capture_output=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert records(team) == ["read"]
        Path(env["PLANLOCK_MODEL_SCRIPT"]).unlink()
        again = script(team.base, "print('another answer')\n")
        assert codes(run(team, again)) == ["approvals_missing"]
        shown = team.cli("bob", "show", "job").out
        assert "+def factorial(n):" in shown
        team.approve("bob", "job")
        assert run(team, again).code == 0
        assert team.show_file("planlock/job/1", "utils.py") == FACTORIAL.strip()
        rows = team.cli("ada", "cost", "job/1", "--by", "step", "--json").json["rows"]
        assert [(row["key"], row["usd"]) for row in rows] == [("job/1/write", "0.02")]
        assert findings(team) == {}


class TestProposing:
    def test_an_instruction_gets_no_pin(self, team: Team) -> None:
        """The run pins the text to the file that it finds; later edits of it are uncertain."""
        later = LAST.replace("NOTE", "utils.py").replace(
            "new_content: x", "edits: [{search: zzz, replace: yy}]"
        )
        proposed(team, DRAFT + later)
        text = team.show_file("plan/job", "plans/job/plan.yaml")
        assert "replaces" not in text
        assert f"instruction: {WISH}" in text

    def test_show_says_that_the_text_will_be_seen(self, team: Team) -> None:
        """What is asked for, and that nobody has to take it unread."""
        proposed(team, DRAFT + LAST.replace("NOTE", "utils.py"))
        shown = team.cli("bob", "show", "job", "--json").json["steps"]
        assert shown[0]["line"] == "draft utils.py"
        assert ["instruction", WISH] in shown[0]["details"]
        assert "you will see it before it is applied" in dict(shown[0]["details"])["text"]
        assert shown[1]["warnings"] == [
            "an earlier command or draft may change this file first; the diff is a guess"
        ]
        assert UTILS not in shown[0]["diff"]
