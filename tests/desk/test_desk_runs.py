from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import STEPS, Desk, desk
from desk_events import plans_factorial
from drafts import DRAFT, script
from team import EDIT, READ, Result, command

ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: Tell}}\n"
PLANNER = (
    f"planner: {{model: m, request: 'sha256:{'0' * 64}',"
    " tokens: {input: 1, output: 1}, cost_usd: '0.0031'}\n"
)


def execute(team: Desk, number: int, **more: str) -> Result:
    done = team.github("execute", "--pull-request", str(number), **more)
    assert done.code in {0, 5}, done.text
    return done


class TestCheck:
    def test_a_valid_plan_waits_and_blocks_nobody(self, team: Desk) -> None:
        """One comment with the plan, its diff and what is missing; a neutral check run."""
        number = team.propose()
        for _ in range(2):
            assert team.github("check", "--pull-request", str(number)).code == 0
        body = team.comment_of_plan(number)
        assert "+def factorial(n):" in body
        assert f"approve {team.digest()}" in body
        check = team.check(number)
        assert (check["name"], check["conclusion"]) == ("planlock", "neutral")
        assert check["output"]["title"] == "2 of 3 steps wait for approval"

    def test_the_comment_is_edited_in_place(self, team: Desk) -> None:
        """A newer plan takes the place of the older one."""
        number = team.propose()
        team.github("check", "--pull-request", str(number))
        old = team.digest()
        team.team.propose("job", STEPS + command("true", name="more"))
        team.push("plan/job")
        team.github("check", "--pull-request", str(number))
        body = team.comment_of_plan(number)
        assert team.digest() in body
        assert f"approve {old}" not in body

    def test_marks_that_somebody_else_writes_are_not_ours(self, team: Desk) -> None:
        """Whoever writes our mark first does not get our comment."""
        number = team.propose()
        mark = "<!-- planlock:plan:job -->\nApproved by everybody."
        team.forge.comment(number, by="carol", body=mark)
        team.github("check", "--pull-request", str(number))
        assert team.comments(number)[0] == mark
        assert len(team.comments(number)) == 2

    @pytest.mark.parametrize(
        "steps,extra,words",
        [
            (READ, "", "no step asks a model: nothing is spent"),
            (READ, PLANNER, "nothing is spent; writing the plan cost 0.0031 USD"),
            (READ + ASK, "", "1 of 2 steps ask a model: at most 1.00 USD"),
            (READ + ASK, 'budget: {usd: "0.25"}\n', "at most 0.25 USD"),
        ],
        ids=["nothing", "planning", "policy", "plan"],
    )
    def test_what_it_may_cost(self, team: Desk, *, steps: str, extra: str, words: str) -> None:
        """The least bound of policy and plan, and what was spent on the plan already."""
        team.team.propose("job", steps, extra=extra)
        team.push("plan/job")
        number = team.forge.open("plan/job", by="ada")
        assert team.github("check", "--pull-request", str(number)).code == 0
        assert words in team.comment_of_plan(number)

    def test_an_invalid_plan_fails_with_its_lines(self, team: Desk) -> None:
        """Each problem stands beside its line, and in the comment."""
        number = team.propose()
        folder = team.laptop()
        file = folder / "plans/job/plan.yaml"
        text = file.read_text().replace("step_type: read_file", "step_type: read_file, oops: 1")
        file.write_text(text)
        team.team.git("commit", "-q", "-a", "-m", "Break it", cwd=folder)
        team.push("plan/job", folder=folder)
        assert team.github("check", "--pull-request", str(number)).code == 1
        check = team.check(number)
        assert check["conclusion"] == "failure"
        (note,) = check["output"]["annotations"]
        line = 1 + next(n for n, each in enumerate(text.splitlines()) if "oops" in each)
        assert (note["path"], note["start_line"]) == ("plans/job/plan.yaml", line)
        assert "oops" in "".join(team.comments(number))

    def test_a_pull_request_without_plans_is_left_alone(self, team: Desk) -> None:
        """The check says so at once, so that it may be required; nothing is commented."""
        folder = team.laptop("main")
        team.team.git("switch", "-q", "-c", "topic", cwd=folder)
        (folder / "README").write_text("hello\n")
        team.team.git("add", "README", cwd=folder)
        team.team.git("commit", "-q", "-m", "Topic", cwd=folder)
        team.push("topic", folder=folder)
        number = team.forge.open("topic", by="ada")
        assert team.github("check", "--pull-request", str(number)).code == 0
        assert team.check(number)["conclusion"] == "success"
        assert team.comments(number) == []

    def test_two_approvals_are_explained(self, tmp_path: Path) -> None:
        """Who approved, and how many are missing, stands beside the step."""
        with desk(tmp_path) as team:
            path = team.team.root / "plans/policy.yaml"
            text = path.read_text().replace("edit_file: 1", "edit_file: 2")
            team.team.commit({"plans/policy.yaml": text}, "Two")
            team.push("main")
            number = team.propose()
            team.approve(number)
            team.github("check", "--pull-request", str(number))
            body = team.comment_of_plan(number)
            assert "1 of 2 approvals missing" in body
            assert "2 approvals by a person" in body


class TestExecute:
    def test_results_are_a_pull_request(self, team: Desk) -> None:
        """With the steps, what they gave and an audit; merging it merges the plan."""
        number = team.propose()
        team.approve(number)
        execute(team, number)
        (results,) = team.pulls("planlock/job/1")
        assert results["title"] == "Run job/1: completed, 3 of 3 steps"
        assert "audit: `nothing found`" in results["body"]
        assert "120" in results["body"]
        assert results["html_url"] in team.comment_of_plan(number)
        checked = team.github("check", "--pull-request", str(results["number"]))
        assert checked.code == 0
        assert team.check(results["number"])["conclusion"] == "success"
        assert team.comments(results["number"]) == []
        team.forge.merge(results["number"])
        merged = team.team.git("merge-base", "plan/job", "main", cwd=team.remote)
        assert merged == team.team.git("rev-parse", "plan/job", cwd=team.remote)

    def test_woken_by_a_ping(self, team: Desk) -> None:
        """The event of a finished ping names a branch, and that is enough."""
        number = team.propose()
        team.approve(number)
        payload = {"action": "completed", "workflow_run": {"head_branch": "plan/job"}}
        assert team.github("execute", **team.event("workflow_run", payload)).code == 0
        assert team.ran() == ["read", "edit", "check"]

    def test_a_ping_begins_nothing_that_would_only_wait(self, team: Desk) -> None:
        """A review that does not count brings the comment up to date, and no run."""
        number = team.propose()
        team.forge.review(number, by="carol", event="COMMENT", body="hm")
        payload = {"action": "completed", "workflow_run": {"head_branch": "plan/job"}}
        assert team.github("execute", **team.event("workflow_run", payload)).code == 0
        assert team.refs() == []
        assert "1 of 1 approval missing" in team.comment_of_plan(number)

    def test_what_breaks_outside_is_told(self, team: Desk) -> None:
        """A home that takes no runs: the job fails, and the comment says why."""
        number = team.propose()
        team.approve(number)
        hook = team.remote / "hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho no runs here >&2\nexit 1\n")
        hook.chmod(0o755)
        done = team.github("execute", "--pull-request", str(number))
        assert done.code == 5, done.text
        assert "no runs here" in team.comment_of_plan(number)

    def test_by_hand(self, team: Desk) -> None:
        """A dispatched workflow names the plan."""
        number = team.propose()
        team.approve(number)
        payload = {"inputs": {"plan": "job"}}
        assert team.github("execute", **team.event("workflow_dispatch", payload)).code == 0
        assert team.ran() == ["read", "edit", "check"]
        assert "completed" in team.comment_of_plan(number)

    @pytest.mark.parametrize(
        "plan,code,words",
        [
            ("jobb", 3, "looking for the pull request of plan jobb"),
            ("Bad Name", 2, "is no plan's id"),
            ("", 2, "none is named"),
        ],
    )
    def test_by_hand_misspelt(self, team: Desk, *, plan: str, code: int, words: str) -> None:
        """Whoever names a plan hears that there is none."""
        done = team.github("execute", **team.event("workflow_dispatch", {"inputs": {"plan": plan}}))
        assert done.code == code, done.text
        assert words in done.err

    def test_an_ended_run_is_not_repeated(self, team: Desk) -> None:
        """Another run has to be asked for, and needs the reviews to count anew."""
        number = team.propose()
        review = team.approve(number)
        execute(team, number)
        execute(team, number)
        assert team.refs() == ["refs/heads/planlock/job/1"]
        team.forge.dismiss(number, review, by="carol")
        assert team.github("execute", "--pull-request", str(number), "--new").code == 0
        assert team.ran("planlock/job/2") in (["read"], [])
        team.approve(number, by="carol")
        execute(team, number)
        assert team.ran("planlock/job/2") == ["read", "edit", "check"]
        assert team.audit().code == 0, team.audit().text

    def test_what_was_witnessed_counts_for_one_run(self, team: Desk) -> None:
        """Whoever starts a run without the forge cannot use what was seen there for another."""
        number = team.propose()
        team.approve(number)
        execute(team, number)
        folder = team.machine("executor")
        env = {"PLANLOCK_RUNNER_KEY": str(team.team.root / ".git/planlock/runner_key")}
        done = team.team.cli("ada", "run", "job", "--new", cwd=folder, env=env)
        assert done.code == 4, done.text
        assert "good for 1 run" in done.text

    def test_a_plan_that_grew_asks_for_the_rest(self, team: Desk) -> None:
        """What was appended waits for its own approval; what was done stays done."""
        number = team.propose(steps=READ + EDIT)
        team.approve(number)
        team.team.propose("job", READ + EDIT + command("true", name="more"))
        team.push("plan/job")
        execute(team, number)
        assert team.ran() == ["read", "edit"]
        team.approve(number)
        execute(team, number)
        assert team.ran() == ["read", "edit", "more"]
        assert team.audit().code == 0, team.audit().text

    def test_A44_a_draft_needs_its_own_digest(self, plainly: Desk) -> None:
        """A model's text stands on no commit: the comment offers the line that approves it."""
        env = script(plainly.team.base)
        number = plainly.propose(steps=READ + DRAFT)
        before = plainly.digest()
        plainly.forge.review(number, by="bob", body="Looks good")
        execute(plainly, number, **env)
        assert plainly.ran() == ["read"]
        body = plainly.comment_of_plan(number)
        assert "+def factorial(n):" in body
        line = next(each for each in body.splitlines() if each.startswith("approve sha256:"))
        assert before not in line
        plainly.forge.review(number, by="bob", body=line)
        execute(plainly, number, **env)
        assert plainly.ran() == ["read", "write"]
        assert plainly.audit().code == 0, plainly.audit().text

    def test_secrets_reach_only_the_steps_that_name_them(self, tmp_path: Path) -> None:
        """The job has the secret; one step asks for it, the other does not see it."""
        show = 'python3 -c \'import os; print(len(os.environ.get("DEPLOY", "")))\''
        with desk(tmp_path) as team:
            path = team.team.root / "plans/policy.yaml"
            text = path.read_text().replace("secrets: []", "secrets: [DEPLOY]")
            team.team.commit({"plans/policy.yaml": text}, "Secret")
            team.push("main")
            steps = command(show, name="without") + command(
                show, name="with", more="secrets: [DEPLOY]\n"
            )
            number = team.propose(steps=steps)
            team.approve(number)
            execute(team, number, DEPLOY="tops3cretvalue")
            (results,) = team.pulls("planlock/job/1")
            parts = results["body"].split("<details>")
            assert "\n0\n" in parts[1]
            assert "\n14\n" in parts[2]
            assert "tops3cret" not in results["body"]


class TestKilled:
    def test_another_machine_goes_on(self, team: Desk) -> None:
        """What was recorded stays; the command whose end nobody knows waits for a person."""
        number = team.propose(steps=READ + EDIT + command("sleep 600"))
        team.approve(number)
        process = team.start(team.machine("one"), "execute", "--pull-request", str(number))
        _until(lambda: team.ran() == ["read", "edit"] and _is_asleep(process.pid))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        said = team.github("execute", "--pull-request", str(number), on="two")
        assert said.code == 5, said.text
        assert "interrupted" in team.comment_of_plan(number)
        team.forge.comment(number, by="carol", body="/planlock cancel")
        assert team.ran() == ["read", "edit"]
        assert team.audit().code == 0, team.audit().text


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def _is_asleep(pid: int) -> bool:
    """Whether a descendant of a process runs the command."""
    text = f"/proc/{pid}/task/{pid}/children"
    pids = [int(each) for each in Path(text).read_text().split()] if Path(text).exists() else []
    return any(_says_sleep(each) or _is_asleep(each) for each in pids)


def _says_sleep(pid: int) -> bool:
    try:
        return b"sleep\x00600" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class TestPlans:
    GOAL = "Add factorial(n) to utils.py"

    def test_an_issue_asks_for_a_plan(self, team: Desk) -> None:
        """Ada labels carol's issue: neither of them approves the plan, bob does."""
        body = f"### Goal\n\n{self.GOAL}\n\n### Anything else\n\n_No response_"
        issue = team.forge.issue(by="carol", title="Factorial", body=body)
        team.forge.label(issue, "planlock", by="ada")
        event = team.event("issues", {"action": "labeled", "issue": {"number": issue}})
        done = team.github("propose", **event, **plans_factorial(team))
        assert done.code == 0, done.text
        (pull,) = team.pulls(f"plan/issue-{issue}")
        assert f"For #{issue}." in pull["body"]
        assert any(f"#{pull['number']}" in each for each in team.comments(issue))
        digest = team.digest(f"issue-{issue}")
        for who in ("ada", "carol"):
            team.forge.review(pull["number"], by=who, body=f"approve {digest}")
        execute(team, pull["number"])
        assert team.ran(f"planlock/issue-{issue}/1") == []
        team.forge.review(pull["number"], by="bob", body=f"approve {digest}")
        execute(team, pull["number"])
        assert "edit-utils" in "".join(team.ran(f"planlock/issue-{issue}/1"))
        assert team.audit().code == 0, team.audit().text

    @pytest.mark.parametrize("permission", ["read", "none"])
    def test_a_label_by_somebody_who_may_not_write(self, team: Desk, permission: str) -> None:
        """No plan, one answer."""
        team.forge.person("mallory", id=9, permission=permission)
        issue = team.forge.issue(by="mallory", title=self.GOAL)
        team.forge.label(issue, "planlock", by="mallory")
        for _ in range(2):
            done = team.github("propose", "--issue", str(issue), **plans_factorial(team))
            assert done.code == 4, done.text
        assert team.refs("refs/heads/plan/") == []
        assert len(team.comments(issue)) == 1

    def test_an_issue_without_the_label_asks_nothing(self, team: Desk) -> None:
        """Whatever woke the workflow."""
        issue = team.forge.issue(by="ada", title=self.GOAL)
        done = team.github("propose", "--issue", str(issue), **plans_factorial(team))
        assert done.code == 0
        assert team.refs("refs/heads/plan/") == []

    def test_plan_with_a_pull_request(self, team: Desk) -> None:
        """`plan --pr` pushes the branch and opens what people review."""
        env = {**plans_factorial(team), **team.environment()}
        done = team.team.cli("ada", "plan", self.GOAL, "--id", "fact", "--pr", env=env)
        assert done.code == 0, done.text
        (pull,) = team.pulls("plan/fact")
        assert pull["base"]["ref"] == "main"
        assert self.GOAL in pull["title"]
        again = team.github("open", "fact")
        assert str(pull["number"]) in again.out
