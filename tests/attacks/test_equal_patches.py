"""Equal patches, other dates: digests decide, not what git says of commits."""

from __future__ import annotations

import pytest
from forging import approvals_of, checked_out, codes, commit_on, plan_of, run_codes
from surgery import BRANCH, cherry_pick, forget, patch_id, rebase
from tampering import findings
from team import EDIT, READ, Team

LONG_AGO = "2001-01-01T00:00:00Z"
FAR_OFF = "2037-01-01T00:00:00Z"
GREET = """\
- id: greet
  step_type: edit_file
  description: Say hello
  input:
    path: greet.py
    edits: [{search: hello, replace: good morning}]
"""


def dated(moment: str) -> dict[str, str]:
    return {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}


def approved(team: Team, steps: str = EDIT) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")


class TestA02:
    """A rebase whose patches are equal keeps approvals only where the digests are equal too."""

    @pytest.fixture(params=["", "--committer-date-is-author-date", "--reset-author-date"])
    def rebased(self, team: Team, request: pytest.FixtureRequest) -> Team:
        approved(team)
        before = [patch_id(team, f"plan/job{back}") for back in ("~1", "")]
        team.commit({"new.txt": "n\n"}, "Go on")
        rebase(team, "main", *([request.param] if request.param else []))
        assert [patch_id(team, f"plan/job{back}") for back in ("~1", "")] == before
        return team

    def test_A02_A03_a_rebase_onto_another_base_is_refused(self, rebased: Team) -> None:
        """Equal patches on a newer main, dated as one likes, are not what was approved."""
        forget(rebased)
        done = rebased.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (4, ["stale"])
        assert "new.txt" in done.out

    def test_A02_a_rebase_with_the_base_set_anew_needs_new_approvals(self, rebased: Team) -> None:
        """With the base moved along the branch is in order, but another digest than bob named."""
        forget(rebased)
        assert rebased.cli("ada", "propose", "job", "--refresh").code == 0
        assert run_codes(rebased, "job") == ["approvals_missing", "approval_stale"]
        rebased.approve("cleo", "job")
        assert rebased.cli("ada", "run", "job").code == 0
        assert findings(rebased) == {}


class TestA03:
    """Dates of authors and committers prove nothing."""

    @pytest.mark.parametrize("moment", [LONG_AGO, FAR_OFF])
    def test_A03_a_plan_changed_in_a_back_dated_commit(self, team: Team, moment: str) -> None:
        """A change that is dated before its approval is still not what was approved."""
        approved(team)
        text = team.show_file("plan/job", "plans/job/plan.yaml").replace("n < 2", "n < 3")
        files: dict[str, bytes | None] = {"plans/job/plan.yaml": f"{text}\n".encode()}
        commit_on(team, "plan/job", files, signed=True, env=dated(moment))
        assert run_codes(team, "job") == ["approvals_missing", "approval_stale"]

    @pytest.mark.parametrize("moment", [LONG_AGO, FAR_OFF])
    def test_A03_a_withdraw_in_a_back_dated_commit(self, team: Team, moment: str) -> None:
        """A withdraw whose commit claims to be older than the approval still stands."""
        approved(team)
        before = team.git("rev-parse", "plan/job")
        assert team.cli("bob", "withdraw", "job").code == 0
        self.redo(team, before, moment)
        assert team.git("log", "-1", "--format=%as %cs", "plan/job").split() == [moment[:10]] * 2
        assert run_codes(team, "job") == ["approvals_missing", "withdrawn"]

    @pytest.mark.parametrize("moment", [LONG_AGO, FAR_OFF])
    def test_A03_an_approval_in_a_commit_of_any_date(self, team: Team, moment: str) -> None:
        """An approval counts from when it was signed, not from when its commit says it was made."""
        before = team.propose("job", EDIT)
        team.approve("bob", "job")
        self.redo(team, before, moment)
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}

    def redo(self, team: Team, before: str, moment: str) -> None:
        """Make the last commit again with other dates, in a repository that did not see the first."""
        with checked_out(team, "plan/job") as folder:
            options = ["--amend", "--no-edit", "-q", "--reset-author"]
            team.git("commit", *options, cwd=folder, env=dated(moment))
        if team.refs("refs/planlock/seen/plan/job"):
            team.git("update-ref", "refs/planlock/seen/plan/job", before)


class TestA04:
    """Where the patch is equal and what comes of it is not, the digests differ."""

    @pytest.fixture
    def team(self, team: Team) -> Team:
        team.commit({"greet.py": "NAME = 'you'\nprint('hello')\n"}, "Greet")
        return team

    def test_A04_the_same_edit_of_another_file(self, team: Team) -> None:
        """The edit reads the same after main changed its file, but was not reviewed for that."""
        approved(team, GREET)
        edit = plan_of(team, "job").plan.steps[0].input["edits"]
        team.commit({"greet.py": "NAME = 'root'\nprint('hello')\n"}, "Another name")
        assert team.cli("ada", "propose", "job", "--refresh").code == 0
        assert plan_of(team, "job").plan.steps[0].input["edits"] == edit
        assert run_codes(team, "job") == ["approvals_missing", "approval_stale"]

    def test_A04_a_rebase_that_brings_another_input(self, team: Team) -> None:
        """Equal patches of the plan's branch over another input file are refused as stale."""
        approved(team, GREET)
        before = patch_id(team, "plan/job~1")
        team.commit({"greet.py": "NAME = 'root'\nprint('hello')\n"}, "Another name")
        rebase(team, "main")
        assert patch_id(team, "plan/job~1") == before
        forget(team)
        done = team.cli("ada", "run", "job", "--json")
        assert (codes(done), "greet.py" in done.out) == (["stale"], True)

    def test_A04_main_goes_on(self, team: Team) -> None:
        """What main has meanwhile does not get into the run: it builds on the pinned tree."""
        approved(team, GREET)
        team.commit({"greet.py": "NAME = 'root'\nprint('hello')\n"}, "Another name")
        assert team.cli("ada", "run", "job").code == 0
        made = team.show_file("planlock/job/1", "greet.py")
        assert made == "NAME = 'you'\nprint('good morning')"

    def test_A04_equal_patches_on_another_plan(self, team: Team) -> None:
        """The same commits picked onto a plan that begins otherwise approve nothing of it."""
        team.propose("job", EDIT + READ)
        base = str(plan_of(team, "job").plan.base)
        text = team.show_file("plan/job", "plans/job/plan.yaml") + "\n"
        self.commit_plan(team, text.replace("Look", "See"))
        team.approve("bob", "job")
        picked = [team.git("rev-parse", each) for each in ("plan/job~1", "plan/job")]
        before = [patch_id(team, each) for each in picked]
        team.git("update-ref", BRANCH, base)
        self.commit_plan(team, text.replace("path: utils.py", "path: sitecustomize.py", 1))
        cherry_pick(team, *picked, signed=True)
        assert [patch_id(team, each) for each in ("plan/job~1", "plan/job")] == before
        assert len(approvals_of(team, "job")) == 2
        forget(team)
        assert run_codes(team, "job") == ["approvals_missing", "approval_stale"]

    def commit_plan(self, team: Team, text: str) -> None:
        files: dict[str, bytes | None] = {"plans/job/plan.yaml": text.encode()}
        commit_on(team, "plan/job", files, signed=True)
