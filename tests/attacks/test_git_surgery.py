"""Squash, rebase, cherry-pick, merge: what was signed decides, not where its commit went."""

from __future__ import annotations

from pathlib import Path

import pytest
from forging import approvals_of, checked_out, run_codes
from surgery import (
    BRANCH,
    accept,
    cherry_pick,
    forget,
    merge,
    rebase,
    squash,
    withdrawn_after_merge,
)
from tampering import findings
from team import EDIT, READ, Result, Team


@pytest.fixture
def longer(team: Team) -> Team:
    """A plan that bob approved, which then grew and which he approved again."""
    team.propose("job", EDIT)
    team.approve("bob", "job")
    path = team.root / "plans/job/plan.yaml"
    path.write_text(path.read_text() + f"  {READ}")
    assert team.cli("ada", "propose", "job").code == 0
    team.approve("bob", "job")
    assert team.git("rev-list", "--count", "main..plan/job") == "4"
    return team


class TestSquash:
    """A branch made one commit: approvals carry their own signatures, the plan's commit is new."""

    def test_squashed_by_its_author(self, longer: Team) -> None:
        """Signed by who made the plan, the one commit is as good as the four."""
        squash(longer)
        assert longer.git("rev-list", "--count", "main..plan/job") == "1"
        assert len(approvals_of(longer, "job")) == 4
        forget(longer)
        assert longer.cli("ada", "run", "job").code == 0
        assert findings(longer) == {}

    def test_squashed_without_a_signature(self, longer: Team) -> None:
        """Where plans must be signed, an unsigned squash hides who made the plan."""
        squash(longer, signed=False)
        forget(longer)
        assert run_codes(longer, "job") == ["plan_unsigned"]

    def test_squashed_by_a_stranger(self, longer: Team) -> None:
        """A squash that a forge signed with its own key is unsigned here."""
        squash(longer, who="forge")
        forget(longer)
        assert run_codes(longer, "job") == ["plan_unsigned"]

    def test_squashed_by_its_approver(self, longer: Team) -> None:
        """Who signs the plan's only commit made the plan: their approval counts no more."""
        squash(longer, who="bob")
        forget(longer)
        assert set(run_codes(longer, "job")) == {"approvals_missing", "self_approval"}
        longer.approve("cleo", "job")
        assert longer.cli("ada", "run", "job").code == 0
        assert findings(longer) == {}

    def test_squashed_where_plans_need_no_signature(self, longer: Team) -> None:
        """Then the approvals alone decide, and the audit says whose claim the author is."""
        longer.policy("plans_signed: true", "plans_signed: false")
        squash(longer, signed=False)
        forget(longer)
        assert longer.cli("ada", "run", "job").code == 0
        done = longer.cli("ada", "audit", "--json")
        assert (done.code, "is a claim" in done.out) == (0, True)

    def test_squash_that_leaves_a_withdraw_out(self, longer: Team) -> None:
        """A squash is a chance to drop a decision: where it was seen, the branch is refused."""
        assert longer.cli("bob", "withdraw", "job").code == 0
        assert longer.cli("ada", "status", "job").code == 0
        last = sorted(approvals_of(longer, "job"))
        longer.git("update-ref", BRANCH, "plan/job~1")
        squash(longer)
        assert len(approvals_of(longer, "job")) == len(last) - 2
        assert run_codes(longer, "job") == ["authority_refused"]


class TestRebase:
    """Commits made anew on the base that the plan names."""

    def test_rebased_by_its_author(self, longer: Team) -> None:
        """Signed again by who made the plan, nothing is lost."""
        before = longer.git("rev-parse", "plan/job")
        rebase(longer, "main", "--force-rebase", "--reset-author-date")
        forget(longer)
        assert longer.git("rev-parse", "plan/job") != before
        assert longer.cli("ada", "run", "job").code == 0
        assert findings(longer) == {}

    def test_rebased_without_signing(self, longer: Team) -> None:
        """A rebase drops the signatures of commits, and the plan's are needed."""
        rebase(longer, "main", "--force-rebase", "--reset-author-date", signed=False)
        forget(longer)
        assert run_codes(longer, "job") == ["plan_unsigned"] * 2

    def test_rebased_by_its_approver(self, longer: Team) -> None:
        """Who signs the plan's commits again has made them."""
        rebase(longer, "main", "--force-rebase", "--reset-author-date", who="bob")
        forget(longer)
        assert set(run_codes(longer, "job")) == {"approvals_missing", "self_approval"}


class TestCherryPick:
    """An approval's commit taken from another branch."""

    @pytest.mark.parametrize("signed", [False, True])
    def test_approval_from_another_clone(self, team: Team, *, signed: bool) -> None:
        """Bob approved in his clone; who picks his commit, signed or not, changes nothing."""
        team.propose("job", EDIT)
        there = team.base / "bob"
        team.git("clone", "-q", f"file://{team.root}", str(there))
        assert team.cli("bob", "approve", "job", cwd=there).code == 0
        team.git("fetch", "-q", str(there), "plan/job")
        cherry_pick(team, team.git("rev-parse", "FETCH_HEAD"), who="cleo", signed=signed)
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}

    def test_approval_picked_to_another_plan(self, team: Team) -> None:
        """Beside another plan the record makes the branch stale, and approves nothing."""
        team.propose("job", EDIT)
        team.approve("bob", "job")
        team.propose("other", EDIT)
        with checked_out(team, "plan/other") as folder:
            team.git("cherry-pick", "plan/job", cwd=folder)
        assert run_codes(team, "other") == ["stale"]


class TestMerged:
    """The plan's branch merged into main and deleted: the trusted branch has it all."""

    @pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
    def test_run_from_the_trusted_branch(self, longer: Team, how: str) -> None:
        """Merged in whatever way by its author, the plan runs with its approvals."""
        merge(longer, how)
        assert longer.cli("ada", "run", "job").code == 0
        assert findings(longer) == {}

    @pytest.mark.parametrize("how", ["squash", "rebase"])
    def test_merged_by_a_forge(self, longer: Team, how: str) -> None:
        """Commits that a forge made anew, with its own key, are nobody's of the policy."""
        merge(longer, how, who="forge")
        assert set(run_codes(longer, "job")) == {"plan_unsigned"}

    @pytest.mark.parametrize("who", ["forge", "bob"])
    def test_merge_commit_that_only_brings_the_plan(self, longer: Team, who: str) -> None:
        """Who merges makes nothing: a forge needs no key for it, an approver loses no vote."""
        merge(longer, "merge", who=who)
        done = longer.cli("ada", "run", "job")
        assert done.code == 0, done.text

    def test_merge_that_changes_the_plan(self, longer: Team) -> None:
        """A merge commit whose plan is neither side's is a commit of the plan, and is judged."""
        text = longer.show_file("plan/job", "plans/job/plan.yaml").replace("n < 2", "n < 3")
        merge(longer, "merge", who="forge", plan=f"{text}\n")
        assert set(run_codes(longer, "job")) >= {"plan_unsigned"}
        longer.policy("plans_signed: true", "plans_signed: false")
        assert "approval_stale" in run_codes(longer, "job")

    def test_merge_that_takes_the_plan_back(self, longer: Team) -> None:
        """A merge of the branch with its own past, which shows the older plan, needs a maker too."""
        tree = longer.git("rev-parse", "plan/job~2^{tree}")
        parents = ["-p", "plan/job", "-p", "plan/job~2"]
        merged = longer.git("commit-tree", *parents, "-m", "Merge", tree)
        longer.git("update-ref", BRANCH, merged)
        assert run_codes(longer, "job") == ["plan_unsigned"]

    def test_A38_withdraw_on_a_branch_that_was_deleted(self, longer: Team) -> None:
        """A decision that this repository saw stands, though main has only the approval."""
        withdrawn_after_merge(longer)
        assert set(run_codes(longer, "job")) == {"approvals_missing", "withdrawn"}
        longer.git("branch", "-q", "-D", "plan/job")
        assert set(run_codes(longer, "job")) == {"approvals_missing", "withdrawn"}

    def test_merged_into_a_main_that_went_on(self, longer: Team) -> None:
        """Other files than those of the base are not what was approved, merged or not."""
        longer.commit({"new.txt": "n\n"}, "Go on")
        merge(longer, "merge")
        assert run_codes(longer, "job") == ["stale"]


class TestClones:
    """A remote arbitrates: who never saw the old branch knows no better, who saw it is told."""

    @pytest.fixture
    def home(self, longer: Team) -> Path:
        """A remote with the plan's branch as it is, of which ada's clone has seen it."""
        remote = longer.base / "remote.git"
        longer.git("clone", "-q", "--bare", str(longer.root), str(remote))
        longer.git("remote", "add", "origin", str(remote))
        longer.git("config", "planlock.home", str(remote))
        assert longer.cli("ada", "status", "job").code == 0
        return remote

    def test_clone_that_never_saw_the_old_branch(self, longer: Team, home: Path) -> None:
        """A fresh clone runs the squashed plan with the approvals that it carries."""
        squash(longer)
        longer.git("push", "-q", "--force", "origin", "plan/job")
        done = self.run(longer, self.clone(longer, home))
        assert done.code == 0, done.text

    @pytest.mark.usefixtures("home")
    def test_clone_that_saw_the_old_branch(self, longer: Team) -> None:
        """The clone that knows better refuses, says which branch it was, and keeps its refs."""
        old = longer.git("rev-parse", "plan/job")
        squash(longer)
        longer.git("push", "-q", "--force", "origin", "plan/job")
        before = longer.git("for-each-ref")
        for verb in ("run", "status", "approve", "withdraw"):
            done = longer.cli("bob", verb, "job")
            assert (done.code, "[authority_refused]" in done.err) == (4, True), done.text
            told = f"plan branch plan/job of the home was rewritten: it no longer has commit {old[:12]}"
            assert told in done.err
            assert "every decision that was on it is still known" in done.err
        assert longer.git("for-each-ref") == before

    def test_clone_that_takes_the_new_branch_on_purpose(self, longer: Team, home: Path) -> None:
        """Who means it follows the hint once, and goes on from the new branch."""
        squash(longer)
        longer.git("push", "-q", "--force", str(home), "plan/job")
        accept(longer)
        assert longer.cli("ada", "run", "job").code == 0
        assert findings(longer) == {}

    @pytest.mark.usefixtures("home")
    @pytest.mark.parametrize("gone", ["record", "signature"])
    def test_A38_rewriting_that_drops_a_withdraw_is_counted(self, longer: Team, gone: str) -> None:
        """Whoever accepts a branch without a seen decision is told beforehand how many go."""
        assert longer.cli("bob", "withdraw", "job").code == 0
        longer.git("push", "-q", "origin", "plan/job")
        assert longer.cli("ada", "status", "job").code == 0
        (new,) = (
            name for name, data in approvals_of(longer, "job").items() if b"decision: with" in data
        )
        squash(longer, without=[f"{new}.sig"] if gone == "signature" else [new, f"{new}.sig"])
        longer.git("push", "-q", "--force", "origin", "plan/job")
        done = longer.cli("ada", "run", "job")
        assert "1 decision(s) that were on it would be forgotten" in done.err
        accept(longer)
        assert longer.cli("ada", "run", "job").code == 0

    def test_plan_merged_and_deleted_in_the_home(self, longer: Team, home: Path) -> None:
        """A fresh clone of a home where only main has the plan runs it from there."""
        merge(longer, "squash")
        longer.git("push", "-q", "origin", "main", ":plan/job")
        there = self.clone(longer, home)
        done = self.run(longer, there)
        assert done.code == 0, done.text
        assert longer.cli("ada", "audit", cwd=there).code == 0

    def test_A38_withdraw_on_a_branch_that_the_home_deleted(self, longer: Team, home: Path) -> None:
        """The clone that saw a withdraw keeps to it when the home has only the merged approval."""
        withdrawn_after_merge(longer)
        longer.git("push", "-q", str(home), "main", "plan/job")
        assert longer.cli("ada", "status", "job").code == 0
        longer.git("push", "-q", "origin", ":plan/job")
        assert set(run_codes(longer, "job")) == {"approvals_missing", "withdrawn"}
        shown = longer.cli("ada", "show", "job", "--json")
        assert shown.json["source"] == "refs/heads/main"

    def test_withdraw_that_was_fetched_and_never_judged(self, longer: Team, home: Path) -> None:
        """What a copy of the branch has beyond what was seen is noted before the copy goes."""
        withdrawn_after_merge(longer)
        longer.git("push", "-q", str(home), "main", "plan/job")
        copy = "refs/planlock/home/heads/plan/job"
        longer.git("fetch", "-q", str(home), f"plan/job:{copy}")
        longer.git("push", "-q", "origin", ":plan/job")
        assert set(run_codes(longer, "job")) == {"approvals_missing", "withdrawn"}

    def clone(self, team: Team, home: Path) -> Path:
        there = team.base / "fresh"
        team.git("clone", "-q", str(home), str(there))
        return there

    def run(self, team: Team, there: Path) -> Result:
        key = team.root / ".git/planlock/runner_key"
        return team.cli("ada", "run", "job", cwd=there, env={"PLANLOCK_RUNNER_KEY": str(key)})
