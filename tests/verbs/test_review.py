from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forging import commit_on, draft, forge
from team import CHECK, EDIT, READ, Team, command, surroundings

from runner.core.errors import Refused
from runner.project import Project, real_world
from runner.verbs import review as verb
from runner.verbs import review_sign
from runner.verbs.decision_record import Decided
from runner.verbs.review import PlanReview
from runner.verbs.review_sign import Verdicts

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
THREE = "".join(STEP.format(name) for name in ("one", "two", "three"))


@contextmanager
def opened(team: Team, who: str) -> Iterator[Project]:
    with surroundings(team.root, team.environment(who)), Project(real_world()) as project:
        yield project


def waiting(team: Team, who: str, *options: str) -> dict[str, Any]:
    done = team.cli(who, "review", *options, "--json")
    assert done.code == 0, done.text
    found: dict[str, Any] = done.json
    return found


def mine(team: Team, who: str, *options: str) -> dict[str, list[str]]:
    """The plans that wait for somebody, with the steps."""
    return {each["plan"]: each["steps"] for each in waiting(team, who, *options)["mine"]}


def review(team: Team, who: str = "bob", plan: str = "job") -> PlanReview:
    with opened(team, who) as project:
        return verb.open_plan(project, plan)


def states(found: PlanReview) -> dict[str, str]:
    return {each.view.id: each.state for each in found.steps}


def sign(team: Team, reviewed: PlanReview, who: str = "bob", **verdicts: Any) -> list[Decided]:
    with opened(team, who) as project:
        return list(review_sign.sign(project, reviewed, Verdicts(**verdicts)))


def refusal(team: Team, reviewed: PlanReview, **verdicts: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        sign(team, reviewed, **verdicts)
    return [each.code for each in caught.value.reasons]


def outlook(team: Team) -> list[str]:
    done = team.cli("ada", "status", "job", "--json")
    return [each["status"] for each in done.json["steps"]]


class TestWaiting:
    def test_what_waits_for_whom(self, team: Team) -> None:
        """The author's plan waits for the others until one of them has approved it."""
        team.propose("job", READ + EDIT)
        team.propose("else", STEP.format("one"), who="bob")
        assert mine(team, "bob") == {"job": ["edit"]}
        assert mine(team, "cleo") == {"else": ["one"], "job": ["edit"]}
        found = waiting(team, "ada")
        assert [each["plan"] for each in found["others"]] == ["job"]
        (missing,) = found["others"][0]["missing"]
        assert missing.startswith("edit: 1 of 1 approval missing: a person other than ada@")
        team.approve("cleo", "job")
        assert mine(team, "bob") == {}

    def test_only_what_an_approval_would_help(self, team: Team) -> None:
        """A role that the policy asks for and the caller lacks is nothing that waits for them."""
        team.policy("bob@example.com, roles: [maintainer]", "bob@example.com, roles: [tester]")
        rule = '{name: infra, match: {path: "two"}, approvals: 2, roles: [maintainer]}'
        team.policy("rules: []", f"rules: [{rule}]")
        team.propose("job", THREE)
        assert mine(team, "bob") == {"job": ["one", "three"]}
        assert mine(team, "cleo") == {"job": ["one", "two", "three"]}
        team.approve("cleo", "job")
        assert mine(team, "cleo") == {}

    def test_ones_own_approval_is_not_asked_twice(self, team: Team) -> None:
        """Where somebody else's is missing too, the plan waits for them alone."""
        team.policy("rules: []", 'rules: [{name: two, match: {path: "**"}, approvals: 2}]')
        team.propose("job", EDIT)
        team.approve("bob", "job")
        assert mine(team, "bob") == {}
        assert mine(team, "cleo") == {"job": ["edit"]}
        team.cli("bob", "withdraw", "job")
        assert mine(team, "bob") == {"job": ["edit"]}

    def test_a_changed_plan_waits_again(self, team: Team) -> None:
        """From the first step that changed."""
        team.propose("job", THREE)
        team.approve("bob", "job")
        changed = STEP.format("one") + STEP.format("two").replace("x}", "z}") + STEP.format("three")
        team.propose("job", changed)
        assert mine(team, "bob") == {"job": ["two", "three"]}

    def test_what_has_run_waits_for_nobody(self, team: Team) -> None:
        """Neither do steps that are rejected, while what is behind them does."""
        team.propose("job", THREE)
        team.approve("bob", "job", "--step", "one")
        assert team.cli("ada", "run", "job").code == 4
        assert team.cli("cleo", "reject", "job", "--step", "two").code == 0
        assert mine(team, "bob") == {"job": ["three"]}
        assert states(review(team)) == {"one": "done", "two": "rejected", "three": "ask"}
        team.approve("bob", "job", "--step", "three")
        assert team.cli("ada", "run", "job").code == 0
        assert waiting(team, "bob") | {"trusted": ""} == {
            "person": "bob@example.com",
            "trusted": "",
            "mine": [],
            "others": [],
        }

    def test_what_ran_otherwise_waits_again(self, team: Team) -> None:
        """A step that has run is done only with the content that it has now."""
        team.propose("job", STEP.format("one"))
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0
        assert states(review(team)) == {"one": "done"}
        team.propose("job", STEP.format("one").replace("x}", "z}"))
        assert mine(team, "bob") == {"job": ["one"]}

    def test_what_cannot_run_is_told_and_not_asked(self, team: Team) -> None:
        """A plan whose branch is stale waits for a mend, and keeps no other plan from review."""
        team.propose("job", EDIT)
        commit_on(team, "plan/job", {"conftest.py": b"evil"})
        team.propose("other", EDIT)
        found = waiting(team, "bob")
        assert [each["plan"] for each in found["mine"]] == ["other"]
        (other,) = found["others"]
        assert other["plan"] == "job"
        assert "stale" in other["missing"][0]

    def test_a_rewritten_branch_keeps_no_other_plan_from_review(self, team: Team) -> None:
        """It is listed with what is wrong about it."""
        for name in ("bad", "job"):
            team.propose(name, EDIT)
        assert set(mine(team, "bob")) == {"bad", "job"}
        team.git("update-ref", "refs/heads/plan/bad", "main")
        found = waiting(team, "bob")
        assert [each["plan"] for each in found["mine"]] == ["job"]
        assert "moved other than forward" in found["others"][0]["missing"][0]

    def test_what_is_no_plan_is_passed_over(self, team: Team) -> None:
        """A branch without a plan, or with one that nobody can read."""
        team.propose("job", EDIT)
        team.git("branch", "plan/none", "main")
        team.git("branch", "plan/bad", "main")
        commit_on(team, "plan/bad", {"plans/bad/plan.yaml": b"&x"})
        found = waiting(team, "bob")
        assert [each["plan"] for each in found["mine"] + found["others"]] == ["job"]

    def test_a_single_plan_can_be_asked_about(self, team: Team) -> None:
        """An unknown one is not found."""
        for name in ("job", "other"):
            team.propose(name, EDIT)
        assert set(mine(team, "bob", "other")) == {"other"}
        assert team.cli("bob", "review", "none").code == 3

    @pytest.mark.parametrize("who,code", [("eve", 4), ("dan", 4)])
    def test_only_people_of_the_policy_review(self, team: Team, who: str, code: int) -> None:
        """A stranger's key is refused as `approve` refuses it."""
        public = (team.key("dan").with_suffix(".pub")).read_text()
        old = (team.root / "plans/allowed_signers").read_text()
        line = f'dan@example.com namespaces="planlock-approval" {public}'
        team.commit({"plans/allowed_signers": old + line}, "A key without a person")
        team.propose("job", EDIT)
        assert team.cli(who, "review").code == code

    def test_without_a_terminal_it_only_lists(self, team: Team) -> None:
        """And says what to do instead."""
        team.propose("job", EDIT)
        team.propose("mine", EDIT, who="bob")
        done = team.cli("bob", "review")
        assert done.code == 0
        assert "1 plan waits for you" in done.out
        assert "○ job  Do job\n    by ada@example.com; steps for you: edit\n" in done.out
        assert "Waiting for others:\nmine  edit: 1 of 1 approval missing" in done.out
        assert done.out.endswith("planlock approve job\n")
        team.approve("bob", "job")
        assert "no plans wait for you" in team.cli("bob", "review").out

    def test_who_is_alone_reviews_their_own_plans(self, tmp_path: Path) -> None:
        """Where the policy lets people approve what they wrote."""
        team = Team.governed(tmp_path, solo=True)
        team.propose("job", EDIT)
        assert mine(team, "ada") == {"job": ["edit"]}


class TestOpen:
    def test_each_step_says_how_it_stands(self, team: Team) -> None:
        """Free, approved by oneself, approved by others, to be asked, out of reach."""
        rule = '{name: ci, match: {path: "ci"}, deny: by hand}'
        team.policy("rules: []", f"rules: [{rule}]")
        steps = [STEP.format(name) for name in ("one", "two", "three", "ci")]
        team.propose("job", READ + "".join(steps))
        team.approve("bob", "job", "--step", "one")
        team.approve("cleo", "job", "--step", "two")
        found = review(team)
        assert states(found) == {
            "read": "free",
            "one": "approved",
            "two": "enough",
            "three": "ask",
            "ci": "barred",
        }
        notes = {each.view.id: each.note for each in found.steps}
        assert notes["two"] == "approved by cleo@example.com"
        assert notes["ci"] == "rule 'ci': by hand"
        assert states(review(team, "ada"))["three"] == "barred"
        barred = {each.view.id: each.note for each in review(team, "ada").steps}
        assert barred["three"] == "ada@example.com is the plan's author"

    def test_a_free_step_behind_a_skip_is_asked(self, team: Team) -> None:
        """Somebody must have said that it may run without what was left out."""
        team.propose("job", STEP.format("one") + READ)
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
        assert states(review(team)) == {"one": "rejected", "read": "ask"}
        assert review(team).skipped == ("one",)

    def test_what_changed_since_ones_approval_stands_beside(self, team: Team) -> None:
        """By the number of the step now; nothing for who has not approved before."""
        team.propose("job", READ + EDIT + command(CHECK))
        team.approve("bob", "job")
        team.propose("job", READ + EDIT.replace("n < 2", "n <= 1") + command(CHECK))
        found = review(team)
        changes = [each.change.state if each.change else "" for each in found.steps]
        assert changes == ["unchanged", "changed", "context"]
        assert {each.change for each in review(team, "cleo").steps} == {None}


class TestSign:
    def test_a_reject_and_an_approval_go_together(self, team: Team) -> None:
        """The approval knows of the rejection, so that what is behind it runs."""
        team.propose("job", STEP.format("one") + STEP.format("two") + READ)
        first, second = sign(
            team, review(team), reject=("two",), approve=("one", "read"), objection="no need"
        )
        assert (first.decision, second.decision) == ("reject", "approve")
        assert (second.steps, second.skipped) == (("one", "read"), ("two",))
        assert outlook(team) == ["ready", "rejected", "ready"]
        done = team.cli("ada", "run", "job")
        assert done.code == 0, done.text

    def test_a_reject_alone_is_one_record(self, team: Team) -> None:
        """Nothing is approved along with it."""
        team.propose("job", THREE)
        (done,) = sign(team, review(team), reject=("two",))
        assert (done.decision, done.steps) == ("reject", ("two",))
        assert outlook(team) == ["waiting", "rejected", "waiting"]

    def test_earlier_approvals_of_what_is_unchanged_stand(self, team: Team) -> None:
        """Signing only what changed takes nothing away."""
        team.propose("job", THREE)
        team.approve("bob", "job")
        team.propose("job", STEP.format("one") + STEP.format("two").replace("x}", "z}"))
        sign(team, review(team), approve=("two",))
        assert outlook(team) == ["ready", "ready"]

    def test_limits_and_reasons_stand_in_the_records(self, team: Team) -> None:
        """As with `approve` and `reject`."""
        team.propose("job", THREE)
        reviewed = review(team)
        sign(
            team,
            reviewed,
            approve=("one",),
            reject=("two",),
            reason="fine",
            objection="not fine",
            expires="1h",
            max_usd="0.10",
            max_runs=3,
        )
        text = team.git("log", "-2", "-p", "--format=", "plan/job")
        for line in ("reason: fine", "reason: not fine", 'usd: "0.10"', "runs: 3"):
            assert f"+{line}" in text.replace("+  ", "+")

    def test_A05_a_plan_that_changed_meanwhile_is_not_signed(self, team: Team) -> None:
        """What was shown is what is signed: the digest goes along."""
        team.propose("job", EDIT)
        reviewed = review(team)
        tip = team.propose("job", EDIT.replace("n < 2", "n <= 1"))
        for verdict in ({"approve": ("edit",)}, {"reject": ("edit",)}):
            assert refusal(team, reviewed, **verdict) == ["digest_differs"]
        assert team.git("rev-parse", "plan/job") == tip

    def test_A36_settings_that_changed_meanwhile_are_not_signed(self, team: Team) -> None:
        """An approval names the sandbox and plugin settings that its giver saw."""
        team.propose("job", command("make"))
        reviewed = review(team)
        team.policy("tools: []", "tools: [.venv]")
        assert refusal(team, reviewed, approve=("check",)) == ["review_outdated"]

    def test_A37_a_reject_made_meanwhile_is_not_signed_along(self, team: Team) -> None:
        """An approval names the skips that its giver knew of."""
        team.propose("job", THREE)
        reviewed = review(team)
        assert team.cli("cleo", "reject", "job", "--step", "one").code == 0
        assert refusal(team, reviewed, approve=("three",)) == ["review_outdated"]
        done = sign(team, review(team), approve=("three",))
        assert done[0].skipped == ("one",)

    def test_a_forged_record_changes_nothing_of_what_is_asked(self, team: Team) -> None:
        """What somebody else signed in the caller's name is no approval of theirs."""
        team.propose("job", EDIT)
        forge(team, "job", draft(team, "job", "bob"), key="cleo")
        assert (states(review(team)), review(team).diff) == ({"edit": "ask"}, None)


def cloned(team: Team, remote: Path, who: str) -> Team:
    folder = team.base / f"{who}-clone"
    team.git("clone", "-q", str(remote), str(folder))
    return Team(base=team.base, root=folder, keys=team.keys)


class TestRemoteHome:
    @pytest.fixture
    def remote(self, team: Team) -> Path:
        """Where ada pushes to; whoever clones it has it as home."""
        folder = team.base / "remote.git"
        team.git("clone", "-q", "--bare", str(team.root), str(folder))
        team.git("remote", "add", "origin", str(folder))
        return folder

    @pytest.fixture
    def clone(self, team: Team, remote: Path) -> Team:
        return cloned(team, remote, "bob")

    def test_plans_that_others_pushed_are_found(self, team: Team, clone: Team) -> None:
        """A clone that has never seen a plan fetches it, and what changes later."""
        team.propose("job", EDIT)
        assert mine(clone, "bob") == {}
        team.git("push", "-q", "origin", "plan/job")
        assert mine(clone, "bob") == {"job": ["edit"]}
        team.propose("job", EDIT + READ)
        team.git("push", "-q", "origin", "plan/job")
        with opened(clone, "bob") as project:
            found = verb.waiting(project)
        assert found.mine[0].digest == review(team, "bob").digest

    def test_what_was_signed_and_not_pushed_is_not_asked_again(
        self, team: Team, remote: Path, clone: Team
    ) -> None:
        """The reviewer has decided; the home learns of it by the push that is named."""
        team.propose("job", THREE)
        team.git("push", "-q", "origin", "plan/job")
        other = cloned(team, remote, "cleo")
        (done,) = sign(clone, review(clone), approve=("one",))
        assert done.push_command.startswith("git push ")
        assert mine(clone, "bob") == {"job": ["two", "three"]}
        assert mine(other, "cleo") == {"job": ["one", "two", "three"]}
        clone.git("push", "-q", "origin", "plan/job", who="bob")
        assert mine(other, "cleo") == {"job": ["two", "three"]}

    def test_a_plan_that_is_gone_from_the_home_waits_no_more(self, team: Team, clone: Team) -> None:
        """What was fetched before does not bring it back."""
        team.propose("job", EDIT)
        team.git("push", "-q", "origin", "plan/job")
        assert set(mine(clone, "bob")) == {"job"}
        team.git("push", "-q", "origin", ":plan/job")
        assert mine(clone, "bob") == {}
