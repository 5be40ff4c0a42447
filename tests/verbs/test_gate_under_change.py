"""What changes under a run: plan, decisions, policy and trusted branch, between steps or in one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from forging import answer, approvals_of, codes, commit_on, parsed, run_codes
from surroundings import MAIN
from tampering import findings, forging
from team import EDIT, READ, UTILS, Team, command

from runner.core.run import digest_bytes

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
TWO = STEP.format("one") + STEP.format("two")
PLAN = "plans/job/plan.yaml"


def changed_plan(team: Team, old: str, new: str, **how: Any) -> str:
    """Commit a changed plan to its branch by hand."""
    text = team.show_file("plan/job", PLAN) + "\n"
    assert old in text, text
    files: dict[str, bytes | None] = {PLAN: text.replace(old, new).encode()}
    return commit_on(team, "plan/job", files, **how)


class TestDuringAStep:
    """A05: what is pushed while a step runs counts for the next one, which is asked for anew."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        """The first step runs `push`, unconfined; the second is an edit that bob approved too."""
        team.policy("require: confined", "require: none")
        team.propose("job", command(f"sh {team.base}/push", name="push") + EDIT)
        team.approve("bob", "job")
        return team

    def run(self, team: Team, **moves: str) -> dict[str, Any]:
        """Run the plan, in whose first step the branches are put where they are told."""
        lines = [
            f"git --git-dir={team.root}/.git update-ref refs/heads/{ref.replace('_', '/')} {oid}"
            for ref, oid in moves.items()
        ]
        (team.base / "push").write_text("set -e\n" + "\n".join(lines))
        done = team.cli("ada", "run", "job", "--json")
        found = answer(done)
        first = team.show_file("planlock/job/1", "plans/job/runs/1/001-push.yaml")
        assert "status: completed" in first, done.text
        assert team.show_file("planlock/job/1", "utils.py") == UTILS.strip()
        return {"code": done.code, "reasons": codes(done), "steps": found.get("steps")}

    def test_A05_another_plan(self, team: Team) -> None:
        """The next step of a plan that was pushed in between was approved by nobody."""
        tip = team.git("rev-parse", "plan/job")
        pushed = changed_plan(team, "n < 2", "n < 3", signed=True)
        team.git("update-ref", "refs/heads/plan/job", tip)
        found = self.run(team, plan_job=pushed)
        assert found["reasons"] == ["approvals_missing", "approval_stale"]
        assert found["steps"] == {"push": "completed", "edit": "awaiting_approval"}

    def test_A05_a_withdraw(self, team: Team) -> None:
        """A decision that came in between holds for the next step."""
        tip = team.git("rev-parse", "plan/job")
        assert team.cli("bob", "withdraw", "job").code == 0
        pushed = team.git("rev-parse", "plan/job")
        team.git("update-ref", "refs/heads/plan/job", tip)
        assert self.run(team, plan_job=pushed)["reasons"] == ["approvals_missing", "withdrawn"]

    def test_A05_a_stricter_policy(self, team: Team) -> None:
        """A policy that came in between is the one that the next step is judged by."""
        old = team.git("rev-parse", "main")
        team.policy("edit_file: 1", "edit_file: 2")
        new = team.git("rev-parse", "main")
        team.git("update-ref", "refs/heads/main", old)
        assert self.run(team, main=new)["reasons"] == ["approvals_missing"]

    def test_A05_a_trusted_branch_that_moved_back(self, team: Team) -> None:
        """A run does not go on by an older policy than that of its last step."""
        back = team.git("rev-parse", "main~1")
        assert self.run(team, main=back)["reasons"] == ["authority_refused"]

    def test_A05_files_of_the_work_tree_do_not_matter(self, team: Team) -> None:
        """What lies in somebody's checkout, under whatever branch, is not what is executed."""
        team.git("checkout", "-q", "--", ".")
        team.git("clean", "-qfd")
        team.git("switch", "-q", "plan/job")
        text = (team.root / PLAN).read_text()
        (team.root / PLAN).write_text(text.replace("n < 2", "n < 3"))
        (team.base / "push").write_text(f"echo evil > {team.root}/utils.py\n")
        assert team.cli("ada", "run", "job").code == 0
        assert "n < 2" in team.show_file("planlock/job/1", "utils.py")


def test_trusted_branch_that_moved_back_between_steps(team: Team) -> None:
    """A run remembers the policy that it went by, where this repository has forgotten it."""
    team.policy("edit_file: 1", "edit_file: 0")
    team.propose("job", TWO)
    team.policy("edit_file: 0", "edit_file: 1")
    team.approve("bob", "job", "--step", "one")
    assert team.cli("ada", "run", "job", "--until", "one").code == 0
    tip = team.git("rev-parse", "planlock/job/1")
    team.git("update-ref", "refs/heads/main", "main~1")
    team.git("update-ref", "-d", "refs/planlock/seen/trusted")
    done = team.cli("ada", "run", "job", "--json")
    assert (done.code, codes(done)) == (4, ["authority_refused"]), done.text
    assert "the trusted ref moved backwards" in done.out
    assert team.git("rev-parse", "planlock/job/1") == tip


def test_base_that_moved_before_the_first_step(team: Team) -> None:
    """A run that recorded nothing yet does not adopt a plan that starts from other files."""
    script = team.base / "script.yaml"
    text = "{match: Why, answer: So, tokens: {input: 1, output: 1}, cost_usd: '0.40'}"
    script.write_text(f"version: 1\nanswers:\n  - {text}\n")
    env = {"PLANLOCK_MODEL_SCRIPT": str(script)}
    ask = "- {id: ask, step_type: analyze, description: A, input: {instruction: Why}}\n"
    team.propose("job", ask, extra='budget: {usd: "0.10"}\n')
    assert run_codes(team, "job", env=env) == ["budget_exceeded"]
    tip = team.git("rev-parse", "planlock/job/1")
    team.commit({"utils.py": "other\n"}, "Go on")
    assert team.cli("ada", "propose", "job", "--refresh").code == 0
    done = team.cli("ada", "run", "job", "--json", env=env)
    assert (done.code, codes(done)) == (4, ["stale"])
    assert "the base is not what was recorded" in done.out
    assert team.git("rev-parse", "planlock/job/1") == tip


@pytest.mark.parametrize("who", ["dan", "runner"])
def test_plan_signed_by_no_person_of_the_policy(team: Team, who: str) -> None:
    """A key that may sign commits, but whose owner the policy does not name, makes no plans."""
    key = team.key("dan")
    line = f'dan@example.com namespaces="git" {key.with_suffix(".pub").read_text()}'
    signers = (team.root / "plans/allowed_signers").read_text()
    team.commit({"plans/allowed_signers": signers + line}, "List dan")
    team.propose("job", EDIT)
    by = key if who == "dan" else team.root / ".git/planlock/runner_key"
    changed_plan(team, "n < 2", "n < 3", signed=True, key=by)
    team.approve("bob", "job")
    assert run_codes(team, "job") == ["plan_unsigned"]


def test_step_is_not_run_against_the_table_of_states(team: Team) -> None:
    """A step whose last record says that it was rolled back starts no more, retried or not."""
    team.propose("job", TWO)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job", "--until", "one").code == 0

    def roll_back(name: str, value: dict[str, Any]) -> None:
        if name == "001-one.yaml":
            value["status"] = "rolled_back"

    with forging(team) as forger:
        forger.rechain("job/1", roll_back, key=forger.runner_key)
    tip = team.git("rev-parse", "planlock/job/1")
    done = team.cli("ada", "run", "job", "--retry")
    assert "cannot go from rolled_back to running" in done.err, done.text
    assert team.git("rev-parse", "planlock/job/1") == tip


@pytest.mark.usefixtures("confined")
def test_interrupted_command_keeps_the_approval_that_it_relied_on(team: Team) -> None:
    """What the lease relied on goes into the record, though the plan's branch lost it meanwhile."""
    team.propose("job", READ + command("echo started; sleep 30"))
    assert team.cli("ada", "run", "job", "--until", "read").code == 0
    team.approve("bob", "job")
    approval = approvals_of(team, "job")
    path, signature = sorted(approval)
    argv = [sys.executable, "-c", MAIN, "run", "job"]
    with subprocess.Popen(
        argv, cwd=team.root, env=team.environment("ada"), stderr=subprocess.PIPE
    ) as runner:
        assert runner.stderr is not None
        assert any(b"started" in line for line in runner.stderr)
        runner.kill()
    team.git("update-ref", "refs/heads/plan/job", "plan/job~1")
    team.git("update-ref", "-d", "refs/planlock/seen/plan/job")
    assert team.cli("ada", "run", "job").code == 5
    name = "plans/job/runs/1/002-check.yaml"
    record = parsed(team.show_file("planlock/job/1", name).encode() + b"\n")
    assert record["status"] == "interrupted"
    assert record["gate"]["approvals"] == [digest_bytes(approval[path])]
    assert record["gate"]["approvers"] == ["bob@example.com"]
    there = team.git("ls-tree", "-r", "--name-only", "planlock/job/1", "plans/job/approvals")
    assert there.split() == [path, signature]
    team.git("branch", "-q", "-D", "plan/job")
    assert findings(team) == {}


def test_only_earlier_runs_use_an_approval_up(team: Team) -> None:
    """A second run on an approval for one is found; the first, which was lawful, is not accused."""
    team.propose("job", EDIT)
    team.approve("bob", "job", "--max-runs", "1")
    assert team.cli("ada", "run", "job").code == 0
    team.policy("edit_file: 1", "edit_file: 0")
    assert team.cli("ada", "run", "job", "--new").code == 0
    team.policy("edit_file: 0", "edit_file: 1")
    strict = team.git("rev-parse", "main")
    records = [data for path, data in approvals_of(team, "job").items() if path.endswith("yaml")]

    def claim(name: str, value: dict[str, Any]) -> None:
        if name == "run.yaml":
            value["approvals"] = [digest_bytes(records[0])]
        if "gate" in value:
            value["gate"]["authority"] = strict

    with forging(team) as forger:
        forger.rechain("job/2", claim, key=forger.runner_key)
    found = findings(team)
    assert "approval was good for 1 run(s) and is used up" in found["not_allowed"]
    assert all(line.startswith("job/2 ") for line in found["not_allowed"].splitlines())
