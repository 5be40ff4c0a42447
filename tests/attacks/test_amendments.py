"""Attacks through plans that change while they run."""

from __future__ import annotations

import pytest
from forging import answer, codes, commit_on, draft, forge, plan_of
from tampering import findings
from team import READ, Result, Team

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
EDIT = STEP.replace("path: {0}", "path: utils.py").format("edit")
THREE = "".join(STEP.format(name) for name in ("one", "two", "three"))
FIRST = "plans/job/runs/1/001-one.yaml"


def amend(team: Team, old: str, new: str, *, who: str = "ada", signed: bool = True) -> None:
    """Change the plan on its branch by hand."""
    text = team.show_file("plan/job", "plans/job/plan.yaml") + "\n"
    assert old in text, text
    files: dict[str, bytes | None] = {"plans/job/plan.yaml": text.replace(old, new).encode()}
    commit_on(team, "plan/job", files, who=who, signed=signed)


def line_of(team: Team, step: str) -> str:
    """The line of a one-line step, as the plan's branch has it."""
    text = team.show_file("plan/job", "plans/job/plan.yaml") + "\n"
    return next(each for each in text.splitlines(keepends=True) if f"id: {step}," in each)


class TestAmended:
    """A44: what is amended between two steps waits for approval, what was done stays as it is."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        """Of three approved steps the first is done."""
        team.propose("job", THREE)
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job", "--until", "one").code == 0
        return team

    def go_on(self, team: Team, *options: str) -> Result:
        """Go on with the run, whose first record must stay as it is."""
        before = team.show_file("planlock/job/1", FIRST)
        done = team.cli("ada", "run", "job", *options, "--json")
        assert team.show_file("planlock/job/1", FIRST) == before
        changed = team.git("log", "--format=%h", "planlock/job/1", "--", FIRST).split()
        assert len(changed) == 1
        return done

    def test_A44_an_amended_step_waits_for_approval(self, team: Team) -> None:
        """The amended step and those behind it need approvals anew, and then the run goes on."""
        amend(team, line_of(team, "two"), line_of(team, "two").replace("content: x", "content: z"))
        done = self.go_on(team)
        assert (done.code, codes(done)) == (4, ["approvals_missing", "approval_stale"])
        assert answer(done)["steps"] == {
            "one": "completed",
            "two": "awaiting_approval",
            "three": "pending",
        }
        assert "two" not in team.git("ls-tree", "--name-only", "planlock/job/1").split()
        team.approve("bob", "job")
        assert self.go_on(team).code == 0
        assert team.show_file("planlock/job/1", "two") == "z"
        assert findings(team) == {}

    def test_A44_a_step_that_was_put_in_between_waits(self, team: Team) -> None:
        """A new step before an approved one is not carried by the approval of that one."""
        two = line_of(team, "two")
        amend(team, two, two.replace("two", "evil") + two)
        done = self.go_on(team)
        assert answer(done)["stopped_at"] == "evil"
        assert codes(done) == ["approvals_missing"]
        assert "evil" not in team.git("ls-tree", "--name-only", "planlock/job/1").split()

    def test_A44_a_new_free_step_does_not_bring_the_approved_ones_along(self, team: Team) -> None:
        """A read needs nobody, but what stands behind it needs its approvals anew."""
        amend(team, line_of(team, "two"), f"  {READ}{line_of(team, 'two')}")
        done = self.go_on(team)
        assert (done.code, codes(done)) == (4, ["approvals_missing", "approval_stale"])
        assert answer(done)["steps"]["read"] == "completed"
        assert answer(done)["stopped_at"] == "two"

    def test_A44_one_step_is_one_step_of_the_plan_as_it_is_now(self, team: Team) -> None:
        """`--step` does the step that was put in between, and then stops."""
        amend(team, line_of(team, "two"), f"  {READ}{line_of(team, 'two')}")
        done = self.go_on(team, "--step")
        assert (done.code, answer(done)["steps"]["read"]) == (0, "completed")
        assert answer(done)["status"] == "paused"

    def test_A44_steps_that_were_dropped_do_not_run(self, team: Team) -> None:
        """A plan that lost its last steps ends with those that are left."""
        amend(team, line_of(team, "two") + line_of(team, "three"), "")
        done = self.go_on(team)
        assert done.code == 0, done.text
        assert answer(done)["steps"] == {"one": "completed"}
        assert findings(team) == {}

    def test_A44_a_step_that_was_done_cannot_be_amended(self, team: Team) -> None:
        """A run does not go on under a plan that tells another story of what it did."""
        tip = team.git("rev-parse", "planlock/job/1")
        amend(team, line_of(team, "one"), line_of(team, "one").replace("content: x", "content: z"))
        team.approve("bob", "job")
        done = self.go_on(team)
        assert (done.code, codes(done)) == (4, ["stale"])
        assert "one is not what was recorded" in done.out
        assert team.git("rev-parse", "planlock/job/1") == tip

    def test_A44_who_amended_may_not_approve(self, team: Team) -> None:
        """A signer of the amendment made the plan, though its author field names ada."""
        amend(team, "content: x", "content: z", who="cleo")
        assert self.go_on(team).code == 4
        amend(team, "content: z", "content: x", who="cleo")
        forge(team, "job", draft(team, "job", "cleo"), key="cleo")
        assert self.go_on(team).code == 0

    def test_A44_an_unsigned_amendment_stops_the_run(self, team: Team) -> None:
        """Where plans must be signed, nothing runs under an amendment that nobody signed."""
        amend(team, line_of(team, "three"), "", signed=False)
        done = self.go_on(team)
        assert (done.code, codes(done)) == (4, ["plan_unsigned"])
        assert answer(done)["steps"]["two"] == "awaiting_approval"

    def test_A44_the_amended_plan_is_the_one_that_was_approved(self, team: Team) -> None:
        """An approval of the amendment names its digests, not those of the plan before it."""
        amend(
            team, line_of(team, "three"), line_of(team, "three").replace("content: x", "content: z")
        )
        value = draft(team, "job", "cleo")
        assert value["steps"]["two"] == plan_of(team, "job").digests[1]
        done = self.go_on(team)
        assert answer(done)["stopped_at"] == "three"
        forge(team, "job", value, key="cleo")
        assert self.go_on(team).code == 0
        assert team.show_file("planlock/job/1", "three") == "z"
