from __future__ import annotations

import pytest
from desk import NAME, ROBOT, STEPS, Desk
from team import EDIT, READ, command

from runner.core import reviews

OTHER = READ + EDIT + command("python3 -c 'print(1)'")


def executed(team: Desk, number: int) -> str:
    """Wake the executor, and give what the plan's comment says then."""
    done = team.github("execute", "--pull-request", str(number))
    assert done.code in {0, 5}, done.text
    return team.comment_of_plan(number)


def assert_only_read(team: Desk) -> None:
    """Nothing that needs a person was done."""
    assert team.ran() in (["read"], [])


def revise(team: Desk, steps: str, *, by: str = "ada", name: str = "job") -> None:
    """Propose other steps on the same branch, and push."""
    team.team.propose(name, steps, who=by)
    team.push(f"plan/{name}", by=by)


class TestStale:
    def test_A01_a_push_after_approval(self, team: Desk) -> None:
        """The steps that changed are not approved, and the answer names what would be."""
        number = team.propose()
        review = team.approve(number)
        revise(team, OTHER)
        said = executed(team, number)
        assert_only_read(team)
        assert "1 of 1 approval missing" in said
        (answer,) = [each for each in team.answers(number) if f"review:{review}:" in each]
        assert reviews.line(team.digest()) in answer

    def test_A01_steps_that_did_not_change_are_approved_by_an_older_review(
        self, team: Desk
    ) -> None:
        """A review that names the digest of an earlier step covers up to that one."""
        number = team.propose()
        shown = team.team.cli("ada", "show", "job", "--json").json
        team.forge.review(number, by="bob", body=reviews.line(shown["steps"][1]["digest"]))
        revise(team, OTHER)
        executed(team, number)
        assert team.ran() == ["read", "edit"]

    def test_A02_a_rebase_with_an_equal_patch(self, plainly: Desk) -> None:
        """The forge re-points the review to the new head; without the digest it is stale."""
        number = plainly.propose()
        plainly.forge.review(number, by="bob", body="Looks good")
        rebase(plainly)
        pull = plainly.pull(number)
        listed = plainly.forge.get(f"/repos/{NAME}/pulls/{number}/reviews", "ada")
        assert listed[0]["commit_id"] == pull["head"]["sha"]
        executed(plainly, number)
        assert_only_read(plainly)
        assert "moved after it" in "".join(plainly.answers(number))

    def test_A02_one_that_names_the_digest_still_counts(self, plainly: Desk) -> None:
        """The content is the same, and it is the content that was approved."""
        number = plainly.propose()
        plainly.approve(number)
        rebase(plainly)
        executed(plainly, number)
        assert plainly.ran() == ["read", "edit", "check"]

    def test_A03_back_dated_commits(self, plainly: Desk) -> None:
        """Git's dates say that the push was before the review; nobody asks them."""
        number = plainly.propose()
        plainly.forge.review(number, by="bob", body="Looks good")
        rebase(plainly, date="2020-01-01T00:00:00Z")
        executed(plainly, number)
        assert_only_read(plainly)

    def test_A04_an_equal_patch_of_another_plan(self, team: Desk) -> None:
        """A digest of other content is no approval of this one."""
        team.team.propose("other", OTHER)
        team.push("plan/other")
        body = reviews.line(team.digest("other"))
        number = team.propose()
        team.forge.review(number, by="bob", body=body)
        executed(team, number)
        assert_only_read(team)

    def test_A05_a_push_that_git_has_and_the_forge_does_not_tell_of(self, team: Desk) -> None:
        """What the forge calls the head has to be what git has."""
        number = team.propose()
        team.approve(number)
        team.forge.close(number)
        revise(team, STEPS.replace("Look", "Look again"))
        assert "closed" in executed(team, number)
        assert_only_read(team)

    def test_A06_another_base(self, team: Desk) -> None:
        """A pull request that goes elsewhere holds its plan."""
        number = team.propose()
        team.approve(number)
        team.team.git("branch", "dev", "main")
        team.push("dev")
        team.forge.retarget(number, "dev", by="ada")
        assert "goes to dev" in executed(team, number)
        assert_only_read(team)

    def test_A06_there_and_back(self, plainly: Desk) -> None:
        """After the base changed a plain review is stale, though it is as it was."""
        number = plainly.propose()
        plainly.forge.review(number, by="bob")
        plainly.team.git("branch", "dev", "main")
        plainly.push("dev")
        for base in ("dev", "main"):
            plainly.forge.retarget(number, base, by="ada")
        executed(plainly, number)
        assert_only_read(plainly)

    def test_A34_a_file_beside_the_plan(self, team: Desk) -> None:
        """What the approved command would load was pushed to the plan's branch later."""
        number = team.propose()
        team.approve(number)
        folder = team.laptop()
        (folder / "conftest.py").write_text("print('hello')\n")
        team.team.git("add", "conftest.py", cwd=folder)
        team.team.git("commit", "-q", "-m", "Slip in", cwd=folder)
        team.push("plan/job", folder=folder)
        assert "conftest.py" in executed(team, number)
        assert team.ran() == []


def rebase(team: Desk, *, date: str = "2030-01-01T00:00:00Z", signed: bool = True) -> None:
    """Move the plan's branch to a new commit with an equal patch, and force it onto the forge."""
    folder = team.laptop()
    env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    key = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={team.team.key('ada')}.pub"]
    sign = "-S" if signed else "--no-gpg-sign"
    words = ["commit", "-q", "--amend", sign, "--author=bob <bob@example.com>", "-m", "Again"]
    team.team.git(*key, *words, cwd=folder, env=env)
    team.push("plan/job", folder=folder)


class TestDecisions:
    def test_A07_a_later_request_for_changes(self, team: Desk) -> None:
        """The approval is still listed; the latest decision holds the plan."""
        number = team.propose()
        team.approve(number)
        team.forge.review(number, by="bob", event="REQUEST_CHANGES", body="Wait")
        assert "bob requested changes" in executed(team, number)
        assert team.ran() == []

    def test_A07_another_persons_request_holds_too(self, team: Desk) -> None:
        """Enough people approved, and somebody else who may asked for changes."""
        number = team.propose()
        team.approve(number)
        team.forge.review(number, by="carol", event="REQUEST_CHANGES", body="Wait")
        assert "carol requested changes" in executed(team, number)
        assert team.ran() == []

    def test_A16_an_edited_review(self, team: Desk) -> None:
        """Whatever it says now, nobody knows what it said when it was submitted."""
        number = team.propose()
        review = team.forge.review(number, by="bob", body="no")
        team.forge.edit_review(number, review, reviews.line(team.digest()))
        executed(team, number)
        assert_only_read(team)
        assert "its text was edited" in "".join(team.answers(number))

    def test_A16_a_dismissed_review(self, team: Desk) -> None:
        """Nothing is left of it."""
        number = team.propose()
        team.forge.dismiss(number, team.approve(number), by="carol")
        executed(team, number)
        assert_only_read(team)

    def test_A16_dismissed_while_the_run_waits(self, team: Desk) -> None:
        """What was witnessed is withdrawn before the next step, and the audit is content."""
        number = team.propose(steps=READ + EDIT + command("false"))
        review = team.approve(number)
        executed(team, number)
        assert team.ran() == ["read", "edit"]
        team.forge.dismiss(number, review, by="carol")
        team.forge.comment(number, by="carol", body="/planlock run --retry")
        team.github("execute", **comment_event(team, number))
        names = team.team.git(
            "ls-tree", "-r", "--name-only", "planlock/job/1", "plans/job/approvals", cwd=team.remote
        ).split()
        texts = [team.run_file(name) for name in names if name.endswith(".yaml")]
        assert sorted(
            line.split()[1]
            for each in texts
            for line in each.splitlines()
            if line.startswith("decision:")
        ) == ["approve", "withdraw"]
        assert "approval missing" in team.comment_of_plan(number)
        assert team.audit().code == 0, team.audit().text

    def test_A17_a_commit_verified_by_the_forges_own_key(self, team: Desk) -> None:
        """Only keys of the trusted list make a commit somebody's: the plan is unsigned."""
        number = team.propose()
        rebase(team, signed=False)
        team.approve(number)
        assert "is not signed by a person" in executed(team, number)
        assert team.ran() == []


def comment_event(team: Desk, number: int, kind: str = "issue_comment") -> dict[str, str]:
    """The event of the newest comment that a person wrote."""
    path = f"/repos/{NAME}/issues/{number}/comments?per_page=100"
    people = [each for each in team.forge.get(path, "ada") if each["user"]["login"] != ROBOT]
    payload = {
        "action": "created",
        "issue": {"number": number},
        "comment": {"id": people[-1]["id"]},
    }
    return team.event(kind, payload)


class TestPeople:
    @pytest.mark.parametrize("permission", ["read", "none"])
    def test_A08_A09_who_may_not_write(self, team: Desk, permission: str) -> None:
        """A person of the policy without the right to write, whatever their association says."""
        number = team.propose()
        team.approve(number)
        team.forge.person("bob", permission=permission)
        executed(team, number)
        assert_only_read(team)

    def test_A08_an_outsider(self, team: Desk) -> None:
        """Somebody whom the policy does not know, even with all rights."""
        team.forge.person("mallory", id=9, permission="admin")
        number = team.propose()
        team.approve(number, by="mallory")
        executed(team, number)
        assert_only_read(team)
        assert "mallory (9)" in "".join(team.answers(number))

    def test_A08_a_login_that_changed_hands(self, team: Desk) -> None:
        """The number is who it is."""
        team.forge.person("bob", id=77)
        number = team.propose()
        team.approve(number)
        executed(team, number)
        assert_only_read(team)

    def test_A10_a_bot(self, team: Desk) -> None:
        """Neither the workflow's own account nor another robot."""
        number = team.propose()
        team.approve(number, by=ROBOT)
        executed(team, number)
        assert_only_read(team)

    def test_A11_the_prompter(self, team: Desk) -> None:
        """Bob asked the machine, which opened the pull request: bob does not approve it."""
        planner = (
            "planner: {model: m, request: sha256:" + "1" * 64 + ","
            " tokens: {input: 1, output: 1}, prompter: bob@example.com}\n"
        )
        team.team.propose("job", STEPS, extra=planner)
        team.push("plan/job", by=ROBOT)
        number = team.forge.open("plan/job", by=ROBOT)
        team.approve(number)
        executed(team, number)
        assert_only_read(team)
        team.approve(number, by="carol")
        executed(team, number)
        assert team.ran() == ["read", "edit", "check"]

    def test_A11_who_pushed_the_content(self, team: Desk) -> None:
        """Bob's account pushed what ada signed: he is taken for a maker."""
        team.team.propose("job", STEPS)
        team.push("plan/job", by="bob")
        number = team.forge.open("plan/job", by="ada")
        team.approve(number)
        executed(team, number)
        assert_only_read(team)
        assert "pushed content of the plan" in "".join(team.answers(number))

    def test_A31_the_pull_requests_author_by_key(self, team: Desk) -> None:
        """Carol opened it; her approval by key does not count either."""
        team.team.propose("job", STEPS)
        team.push("plan/job")
        team.team.approve("carol", "job")
        team.push("plan/job")
        number = team.forge.open("plan/job", by="carol")
        executed(team, number)
        assert_only_read(team)
        assert team.audit().code == 0

    def test_two_people_where_two_are_asked(self, team: Desk) -> None:
        """One person counts once, by review and by key."""
        path = team.team.root / "plans/policy.yaml"
        text = path.read_text().replace("edit_file: 1", "edit_file: 2")
        team.team.commit({"plans/policy.yaml": text}, "Two")
        team.push("main")
        team.team.propose("job", STEPS)
        team.push("plan/job")
        team.team.approve("bob", "job")
        team.push("plan/job")
        number = team.forge.open("plan/job", by="ada")
        team.approve(number)
        executed(team, number)
        assert_only_read(team)
        team.approve(number, by="carol")
        executed(team, number)
        assert team.ran() == ["read", "edit", "check"]
        assert team.audit().code == 0, team.audit().text
