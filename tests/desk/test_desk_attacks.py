from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk import NAME, ROBOT, STEPS, Desk
from desk_events import comment
from team import EDIT, READ, Result, command

from runner.core import reviews


def execute(team: Desk, number: int) -> Result:
    return team.github("execute", "--pull-request", str(number))


def said(team: Desk, number: int, *, by: str, body: str) -> Result:
    """Somebody comments, and the workflow is woken by that."""
    payload = comment(team, number, body, by)
    return team.github("execute", **team.event("issue_comment", payload))


class TestAuthority:
    @pytest.mark.parametrize("path", ["plans/policy.yaml", "plans/allowed_signers", "CODEOWNERS"])
    def test_A12_changed_in_the_same_pull_request(self, team: Desk, path: str) -> None:
        """What a pull request says of who may approve it counts for nothing, and it is held."""
        number = team.propose()
        folder = team.laptop()
        file = folder / path
        old = file.read_text() if file.exists() else ""
        file.write_text(old.replace("edit_file: 1", "edit_file: 0") + "# more\n")
        team.team.git("add", path, cwd=folder)
        team.team.git("commit", "-q", "-m", "Loosen", cwd=folder)
        team.push("plan/job", folder=folder)
        team.approve(number)
        assert execute(team, number).code == 0
        assert team.ran() == []
        assert path in team.comment_of_plan(number)

    def test_A13_a_fork(self, team: Desk) -> None:
        """Its files are checked, and nothing of it is executed."""
        team.forge.person("mallory", id=9, permission="none")
        team.team.propose("job", STEPS)
        commit = team.team.git("rev-parse", "plan/job")
        team.team.git("push", "-q", "origin", f"{commit}:refs/keep/fork")
        number = team.forge.open("plan/job", by="mallory", fork="mallory/shop", head=commit)
        team.forge.review(number, by="bob", body=reviews.line("sha256:" + "0" * 64))
        checked = team.github("check", "--pull-request", str(number))
        assert checked.code == 0, checked.text
        assert "from a fork" in team.check(number)["output"]["title"]
        assert execute(team, number).code == 0
        assert team.refs() == []

    def test_A13_a_forks_token_may_write_nothing(self, team: Desk) -> None:
        """The job's own log and summary tell, and the check does not fail for that."""
        team.forge.person("reader", id=8, permission="read", reads_only=True)
        team.team.plan("job", READ.replace("path:", "oops:"))
        folder = team.machine("laptop")
        team.team.git("switch", "-q", "-c", "plan/job", cwd=folder)
        (folder / "plans/job").mkdir()
        text = (team.team.root / "plans/job/plan.yaml").read_text()
        (folder / "plans/job/plan.yaml").write_text(text)
        team.team.git("add", "plans", cwd=folder)
        team.team.git("commit", "-q", "-m", "Plan", cwd=folder)
        commit = team.team.git("rev-parse", "HEAD", cwd=folder)
        team.team.git("push", "-q", "origin", f"{commit}:refs/keep/fork", cwd=folder)
        number = team.forge.open("plan/job", by="ada", fork="eve/shop", head=commit)
        summary = team.team.base / "summary.md"
        done = team.github(
            "check",
            "--pull-request",
            str(number),
            GITHUB_TOKEN="simulated-reader",
            GITHUB_STEP_SUMMARY=str(summary),
        )
        assert done.code == 1
        assert team.comments(number) == []
        assert "plans/job/plan.yaml" in summary.read_text()
        assert "::error file=plans/job/plan.yaml,line=" in done.text

    def test_A13_handed_values_are_only_hints(self, team: Desk) -> None:
        """An event that calls a fork's branch ours, and lies about the rest, changes nothing."""
        number = team.propose()
        payload = {
            "action": "completed",
            "workflow_run": {
                "head_branch": "plan/job",
                "head_sha": "0" * 40,
                "pull_requests": [{"number": 999}],
                "conclusion": "success",
            },
        }
        assert team.github("execute", **team.event("workflow_run", payload)).code == 0
        assert "1 of 1 approval missing" in team.comment_of_plan(number)
        assert team.ran() == []

    @pytest.mark.parametrize(
        "branch", ["main", "plan/none", "planlock/job/1", "plan/../main", "$(id)", ""]
    )
    def test_A13_A14_hints_that_lead_nowhere(self, team: Desk, branch: str) -> None:
        """A branch that carries no plan wakes nothing, whatever it is called."""
        payload = {"action": "completed", "workflow_run": {"head_branch": branch}}
        done = team.github("execute", **team.event("workflow_run", payload))
        assert done.code == 0, done.text
        assert team.refs() == []

    def test_A42_a_rewritten_default_branch(self, team: Desk) -> None:
        """A clone that saw the trusted branch refuses one that does not go on from there."""
        number = team.propose()
        team.approve(number)
        assert team.github("check", "--pull-request", str(number)).code == 0
        folder = team.laptop("main")
        policy = folder / "plans/policy.yaml"
        policy.write_text(policy.read_text().replace("edit_file: 1", "edit_file: 0"))
        team.team.git("commit", "-q", "-a", "--amend", "-m", "Rewritten", cwd=folder)
        team.push("main", folder=folder)
        done = execute(team, number)
        assert done.code == 4, done.text
        assert "authority_refused" in done.text or "moved backwards" in done.text
        assert team.refs() == []


class TestText:
    HOSTILE = "$(touch /tmp/x) ${{ github.token }} `id`\n::set-env name=A::b\n</details> @ada"

    def test_A14_titles_and_goals(self, team: Desk) -> None:
        """What people write into titles and plans is shown, and does nothing."""
        name = "job"
        text = f"version: 1\nid: {name}\ngoal: {json.dumps(self.HOSTILE)}\nsteps:\n  " + READ
        team.team.write({f"plans/{name}/plan.yaml": text})
        assert team.team.cli("ada", "propose", name).code == 0
        team.push("plan/job")
        number = team.forge.open("plan/job", by="ada", title=self.HOSTILE, body=self.HOSTILE)
        done = team.github("check", "--pull-request", str(number))
        assert done.code == 0, done.text
        body = team.comment_of_plan(number)
        assert "\n::set-env" not in done.text
        fenced = body.partition("```text\n")[2].partition("\n```")[0]
        assert "touch" in fenced
        assert "touch" not in body.replace(fenced, "")


class TestComments:
    def test_run_by_somebody_who_may(self, team: Desk) -> None:
        """The gate decides; the comment only wakes it."""
        number = team.propose()
        team.approve(number)
        assert said(team, number, by="carol", body="/planlock run\nplease").code == 0
        assert team.ran() == ["read", "edit", "check"]

    def test_who_is_obeyed_sees_it_at_once(self, team: Desk) -> None:
        """A run takes a while; a token that may not say so runs all the same."""
        number = team.propose()
        team.approve(number)
        heard = comment(team, number, "/planlock status", by="carol")
        assert team.github("execute", **team.event("issue_comment", heard)).code == 0
        path = f"/repos/{NAME}/issues/comments/{heard['comment']['id']}/reactions"
        (reaction,) = team.forge.get(path, "ada")
        assert (reaction["content"], reaction["user"]["login"]) == ("eyes", ROBOT)
        team.forge.fail("POST .*/reactions", times=9, status=403)
        assert said(team, number, by="carol", body="/planlock run").code == 0
        assert team.ran() == ["read", "edit", "check"]

    def test_A15_by_an_outsider(self, team: Desk) -> None:
        """Ignored, without an answer: whoever has no access is told nothing."""
        team.forge.person("mallory", id=9, permission="none")
        number = team.propose()
        team.approve(number)
        said(team, number, by="mallory", body="/planlock run")
        assert team.ran() == []
        assert team.comments(number) == ["/planlock run"]

    def test_A15_by_a_reader(self, team: Desk) -> None:
        """Ignored, with one answer that says why."""
        team.forge.person("rita", id=9, permission="read")
        number = team.propose()
        team.approve(number)
        comment = team.forge.comment(number, by="rita", body="/planlock run")
        payload = {"issue": {"number": number}, "comment": {"id": comment}}
        for _ in range(2):
            team.github("execute", **team.event("issue_comment", payload))
        assert team.ran() == []
        answers = [each for each in team.comments(number) if "not obeyed" in each]
        assert len(answers) == 1
        assert "yours is to read" in answers[0]

    def test_A15_edited(self, team: Desk) -> None:
        """What was written first counts, and that nobody can read any more."""
        number = team.propose()
        team.approve(number)
        comment = team.forge.comment(number, by="carol", body="hello")
        team.forge.edit_comment(comment, "/planlock run")
        payload = {"issue": {"number": number}, "comment": {"id": comment}}
        team.github("execute", **team.event("issue_comment", payload))
        assert team.ran() == []
        assert any("it was edited" in each for each in team.comments(number))

    @pytest.mark.parametrize(
        "body", ["> /planlock run", "<!--\n/planlock run\n-->", "hi /planlock run"]
    )
    def test_A15_quoted_or_hidden(self, team: Desk, body: str) -> None:
        """Not on the first line: no command, and no answer."""
        number = team.propose()
        team.approve(number)
        said(team, number, by="carol", body=body)
        assert team.ran() == []
        assert len(team.comments(number)) == 1

    def test_A15_in_the_event_alone(self, team: Desk) -> None:
        """A comment that is not there is not obeyed, whatever the event says."""
        number = team.propose()
        team.approve(number)
        payload = {
            "issue": {"number": number},
            "comment": {"id": 4242, "body": "/planlock run", "user": {"login": "ada"}},
        }
        assert team.github("execute", **team.event("issue_comment", payload)).code == 5
        assert team.ran() == []

    def test_an_unknown_command_is_answered_with_the_help(self, team: Desk) -> None:
        """Once, with all that there is."""
        number = team.propose()
        said(team, number, by="carol", body="/planlock rnu")
        assert any("there is no such command" in each for each in team.comments(number))
        assert any("/planlock cancel" in each for each in team.comments(number))

    def test_status_cost_and_help(self, team: Desk) -> None:
        """Each is answered, and runs nothing."""
        number = team.propose()
        for verb in ("status", "cost", "help"):
            assert said(team, number, by="carol", body=f"/planlock {verb}").code == 0
        assert team.ran() == []
        texts = team.comments(number)
        assert any("nothing was spent" in each for each in texts)
        assert any("starts another run" in each for each in texts)
        assert "1 of 1 approval missing" in team.comment_of_plan(number)

    def test_cancel(self, team: Desk) -> None:
        """A run that waits is ended in the name of who asked."""
        number = team.propose()
        execute(team, number)
        assert said(team, number, by="carol", body="/planlock cancel").code == 0
        assert "cancelled" in team.comment_of_plan(number)
        end = [
            each
            for each in team.team.git(
                "ls-tree", "--name-only", "planlock/job/1:plans/job/runs/1", cwd=team.remote
            ).split()
            if each.endswith("end.yaml")
        ]
        assert "carol" in team.run_file(f"plans/job/runs/1/{end[0]}")

    def test_skip_names_who_asked(self, team: Desk) -> None:
        """The step is left out in the name of an account, and later ones need to know."""
        number = team.propose(steps=READ + command("false", name="lint") + EDIT)
        team.approve(number)
        execute(team, number)
        said(team, number, by="carol", body="/planlock run --skip")
        assert team.ran() == ["read"]
        assert f"approve {team.digest()} skipping lint" in team.comment_of_plan(number)
        team.forge.review(number, by="bob", body=f"approve {team.digest()} skipping lint")
        execute(team, number)
        assert team.ran() == ["read", "edit"]
        assert team.audit().code == 0, team.audit().text


class TestPages:
    def test_A24_thirty_one_reviews(self, team: Desk) -> None:
        """The latest decision is on the second page."""
        number = team.propose()
        for _ in range(30):
            team.forge.review(number, by="carol", event="COMMENT", body="hm")
        for _ in range(100):
            team.forge.review(number, by="carol", event="COMMENT", body="hm")
        team.approve(number)
        execute(team, number)
        assert team.ran() == ["read", "edit", "check"]

    @pytest.mark.parametrize(
        "fault",
        [
            {"pattern": "GET .*/reviews", "skip": 1, "times": 99},
            {"pattern": "GET .*/reviews", "times": 99, "status": 200, "body": "[{"},
            {"pattern": "GET .*/reviews", "times": 99, "status": 200, "body": "{}"},
            {"pattern": "GET .*/timeline", "times": 99, "status": 404},
            {"pattern": "GET .*/activity", "times": 99, "status": 403},
            {"pattern": "GET .*/permission", "times": 99, "status": 200, "body": "{}"},
            {"pattern": "POST /graphql", "times": 99, "status": 200, "body": '{"errors": [{}]}'},
            {
                "pattern": "GET .*/reviews",
                "times": 99,
                "status": 403,
                "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"},
            },
        ],
        ids=["page 2", "cut", "no list", "timeline", "activity", "permission", "graphql", "limit"],
    )
    def test_A24_what_cannot_be_read_whole_approves_nothing(
        self, team: Desk, fault: dict[str, object]
    ) -> None:
        """An error on any page of any list ends it before a step."""
        number = team.propose()
        for _ in range(101 if fault.get("skip") else 0):
            team.forge.review(number, by="carol", event="COMMENT", body="hm")
        team.approve(number)
        team.forge.fail(**fault)  # type: ignore[arg-type]  # a table of faults
        done = execute(team, number)
        assert done.code == 5, done.text
        assert team.refs() == []

    def test_a_fault_that_passes_is_waited_for(self, team: Desk) -> None:
        """A server that stumbles is asked again."""
        number = team.propose()
        team.approve(number)
        team.forge.fail("GET .*/reviews", times=1, status=502)
        assert execute(team, number).code == 0
        assert team.ran() == ["read", "edit", "check"]


class TestTwoMachines:
    def test_A39_two_executors_at_once(self, team: Desk) -> None:
        """One run, one number, each step once; the other is told who holds it, or finds it done."""
        number = team.propose(steps=READ + EDIT + command("sleep 2"))
        team.approve(number)
        machines = [team.machine(name) for name in ("one", "two")]
        assert set(_at_once(team, number, machines)) <= {0, 4}
        assert team.refs() == ["refs/heads/planlock/job/1"]
        assert team.ran() == ["read", "edit", "check"]
        assert team.audit().code == 0, team.audit().text


def _at_once(team: Desk, number: int, machines: list[Path]) -> list[int]:
    words = ("execute", "--pull-request", str(number))
    started = [team.start(folder, *words) for folder in machines]
    for each in started:
        each.communicate()
    return [each.returncode for each in started]
