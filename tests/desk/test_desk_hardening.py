"""What a hostile review of the desk tried, and what must happen."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from desk import Desk
from drafts import DRAFT, script
from github_page import elements, of_markdown
from team import EDIT, READ, Result, command

from runner.core import approval, reviews
from runner.core.documents import dump
from runner.github.auth import Token
from runner.github.client import GitHub

PLAIN = ["-c", "commit.gpgsign=false", "-c", "user.name=mallory", "-c", "user.email=m@x"]
NEW_ID = "01JDA7Q4Z0M5W8K2N3P6R9T1V4"


def execute(team: Desk, number: int, on: str, *options: str, **more: str) -> Result:
    return team.github("execute", "--pull-request", str(number), *options, on=on, **more)


def put_plan_onto(team: Desk, commit: str) -> None:
    """Mallory, without a key, puts the plan's branch on a child of a run's commit."""
    folder, git = team.laptop(), team.team.git
    git("fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=folder)
    base = git("merge-base", "origin/main", "origin/plan/job", cwd=folder)
    blob = git("rev-parse", f"{commit}:plans/job/plan.yaml", cwd=folder)
    git("read-tree", base, cwd=folder)
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},plans/job/plan.yaml", cwd=folder)
    tree = git("write-tree", cwd=folder)
    made = git(*PLAIN, "commit-tree", "-p", commit, "-m", "Clean up", tree, cwd=folder)
    git("update-ref", "refs/heads/plan/job", made, cwd=folder)
    team.push("plan/job", by="mallory", folder=folder)


@pytest.fixture
def mallory(team: Desk) -> Desk:
    """Somebody who may push, whom the policy does not know, and who has no key."""
    team.forge.person("mallory", id=9, permission="write")
    return team


def test_A31_a_run_signs_nobodys_plan(mallory: Desk) -> None:
    """A runner never adopts a plan that no person signed, so that its own commit hides nothing."""
    number = mallory.propose(steps=READ + EDIT)
    execute(mallory, number, "one")
    folder = mallory.laptop()
    plan = folder / "plans/job/plan.yaml"
    text = plan.read_text().replace("def factorial(n)", "def evil(n)")
    plan.write_text(
        text + "  - {id: more, step_type: read_file, description: x, input: {path: utils.py}}\n"
    )
    mallory.team.git(*PLAIN, "commit", "-q", "--no-gpg-sign", "-a", "-m", "U", cwd=folder)
    mallory.push("plan/job", by="mallory", folder=folder)
    execute(mallory, number, "two")
    assert "is not signed by a person" in mallory.comment_of_plan(number)
    assert "evil" not in mallory.run_file("plans/job/plan.yaml")


def test_A44_a_kept_draft_signs_nobodys_plan(mallory: Desk) -> None:
    """The commit in which a run keeps a model's text is no signature of the plan with that text."""
    env = script(mallory.team.base)
    number = mallory.propose(steps=READ + DRAFT)
    execute(mallory, number, "one", **env)
    put_plan_onto(mallory, mallory.team.git("rev-parse", "planlock/job/1", cwd=mallory.remote))
    execute(mallory, number, "two", "--new", **env)
    assert "is not signed by a person" in mallory.comment_of_plan(number)
    assert mallory.refs() == ["refs/heads/planlock/job/1"]


def test_A41_a_listed_key_of_another_purpose_witnesses_nothing(team: Desk) -> None:
    """A key for git alone signs a reject in bob's name: nothing is skipped."""
    key = team.team.key("ci")
    public = Path(f"{key}.pub").read_text().split()
    signers = team.team.root / "plans/allowed_signers"
    line = f'ci@example.com namespaces="git" {public[0]} {public[1]}\n'
    team.team.commit({"plans/allowed_signers": signers.read_text() + line}, "List ci")
    team.push("main")
    number = team.propose(steps=READ + command("true"))
    shown = team.team.cli("ada", "show", "job", "--json").json
    folder = team.laptop()
    file = folder / f"plans/job/approvals/{NEW_ID}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(dump(approval.ordered(_reject(team, number, shown["steps"][1]["digest"]))))
    argv = ["ssh-keygen", "-Y", "sign", "-n", "planlock-witness", "-f", str(key), str(file)]
    subprocess.run(argv, check=True, capture_output=True)
    team.team.git("add", "plans", cwd=folder)
    team.team.git(*PLAIN, "commit", "-q", "--no-gpg-sign", "-m", "x", cwd=folder)
    team.push("plan/job", folder=folder)
    team.approve(number)
    execute(team, number, "one")
    assert team.ran() == ["read", "check"]


def _reject(team: Desk, number: int, digest: str) -> dict[str, Any]:
    policy = yaml.safe_load((team.team.root / "plans/policy.yaml").read_text())
    account = {"login": "bob", "id": 2}
    when = "2026-11-22T10:00:00Z"
    seen = {"url": "https://x/1", "pull_request": number, "review": 1, "account": account}
    return {
        "version": 1,
        "id": NEW_ID,
        "decision": "reject",
        "plan": "job",
        "repository": policy["repository"],
        "steps": {"check": digest},
        "execution": "sha256:" + "0" * 64,
        "approver": "bob@example.com",
        "made_at": when,
        "review": {**seen, "permission": "write", "commit": "0" * 40, "seen_at": when},
    }


def test_A20_an_old_witness_record_does_not_come_back(team: Desk) -> None:
    """Its run was deleted, so that nothing tells of its use: a newer look ends it all the same."""
    git = team.team.git
    number = team.propose(steps=READ + command("true", name="test") + EDIT)
    whole = team.approve(number)
    execute(team, number, "one")
    old = git("rev-parse", "planlock/job/1", cwd=team.remote)
    files = git("ls-tree", "-r", "--name-only", old, "plans/job/approvals", cwd=team.remote).split()
    for ref in ("refs/heads/planlock/job/1", "refs/tags/planlock-run/job/1"):
        git("update-ref", "-d", ref, cwd=team.remote)
    team.forge.dismiss(number, whole, by="bob")
    shown = team.team.cli("ada", "show", "job", "--json").json
    team.forge.review(number, by="bob", body=reviews.line(shown["steps"][1]["digest"]))
    execute(team, number, "two")
    run = team.refs()[-1].removeprefix("refs/heads/")
    assert team.ran(run) == ["read", "test"]
    folder = team.laptop()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = subprocess.check_output(
            ["git", "cat-file", "blob", f"{old}:{name}"], cwd=team.remote
        )
        (folder / name).write_bytes(data)
    git("add", "plans", cwd=folder)
    git(*PLAIN, "commit", "-q", "--no-gpg-sign", "-m", "x", cwd=folder)
    team.push("plan/job", by="carol", folder=folder)
    execute(team, number, "three")
    assert team.ran(run) == ["read", "test"]


def test_A16_a_run_of_a_desk_waits_without_it(team: Desk) -> None:
    """Who has the runner's key, and does not ask the pull request, does not go on with its run."""
    number = team.propose(steps=READ + command("false") + EDIT)
    review = team.approve(number)
    execute(team, number, "one")
    team.forge.dismiss(number, review, by="carol")
    env = {"PLANLOCK_RUNNER_KEY": str(team.team.root / ".git/planlock/runner_key")}
    done = team.team.cli("ada", "resume", "job", "--retry", cwd=team.machine("one"), env=env)
    assert done.code == 4, done.text
    assert "desk_needed" in done.text


def test_A24_a_page_that_did_not_change_may_go_on(team: Desk) -> None:
    """The 101st review comes after the first look: a second one by the same client sees it."""
    number = team.propose()
    for _ in range(100):
        team.forge.review(number, by="carol", event="COMMENT", body="hm")
    forge = GitHub("acme/shop", auth=Token("simulated-robot"), url=team.url)
    assert len(forge.reviews(number)) == 100
    team.forge.review(number, by="bob", event="REQUEST_CHANGES", body="no")
    assert forge.reviews(number)[-1].state == "changes_requested"
    forge.close()


def test_A14_a_branch_that_no_plan_can_have(team: Desk) -> None:
    """Its name is written nowhere but as text."""
    name = "plan/x--><h1>APPROVED</h1>"
    folder = team.laptop("main")
    team.team.git("switch", "-q", "-c", name, cwd=folder)
    (folder / "plans/notes.yaml").write_text("version: 1\n")
    team.team.git("add", "plans", cwd=folder)
    team.team.git("commit", "-q", "-m", "x", cwd=folder)
    team.push(name, folder=folder)
    number = team.forge.open(name, by="ada")
    for _ in range(2):
        team.github("check", "--pull-request", str(number))
    (comment,) = team.comments(number)
    assert comment.startswith("<!-- planlock:files -->")
    assert "h1" not in {tag for tag, _ in elements(of_markdown(comment))}


@pytest.mark.parametrize("what", ["text", "title"])
@pytest.mark.parametrize("by", ["bob", "carol"])
def test_A11_a_goal_that_somebody_else_wrote(team: Desk, *, by: str, what: str) -> None:
    """Ada labels carol's issue, which bob edits before or carol after: no plan."""
    edit = team.forge.edit_issue if what == "text" else team.forge.rename
    issue = team.forge.issue(by="carol", title="Do it", body="harmless")
    if by == "bob":
        edit(issue, "evil", by="bob")
    team.forge.label(issue, "planlock", by="ada")
    if by == "carol":
        edit(issue, "evil", by="carol")
    done = team.github("propose", "--issue", str(issue))
    assert done.code == 4, done.text
    assert "edited" in done.text


def test_a_further_run_is_for_people_of_the_policy(mallory: Desk) -> None:
    """Somebody who may write, and whom the policy does not know, repeats no run."""
    number = mallory.propose(steps=READ)
    execute(mallory, number, "one")
    comment = mallory.forge.comment(number, by="mallory", body="/planlock run --new")
    event = mallory.event("issue_comment", {"comment": {"id": comment}})
    mallory.github("execute", **event)
    assert mallory.refs() == ["refs/heads/planlock/job/1"]
    assert any("by people of the policy" in each for each in mallory.comments(number))
