"""A merge queue waits for checks that are required, on commits of its own."""

from __future__ import annotations

import pytest
from desk import Desk
from team import READ


def queue(team: Desk, steps: str) -> str:
    """The commit that a merge queue makes of a plan's branch, pushed as the forge does."""
    team.team.plan("job", steps)
    text = (team.team.root / "plans/job/plan.yaml").read_text()
    folder = team.machine("queue")
    (folder / "plans/job").mkdir()
    (folder / "plans/job/plan.yaml").write_text(text)
    team.team.git("add", "plans", cwd=folder)
    team.team.git("commit", "-q", "-m", "Merge", cwd=folder)
    commit = team.team.git("rev-parse", "HEAD", cwd=folder)
    there = "refs/heads/gh-readonly-queue/main/pr-1"
    team.team.git("push", "-q", "origin", f"{commit}:{there}", cwd=folder)
    return commit


def group(commit: str) -> dict[str, object]:
    return {"action": "checks_requested", "merge_group": {"head_sha": commit}}


@pytest.mark.parametrize(
    "steps,conclusion,title",
    [
        (READ, "success", "the files of plans/ are valid"),
        (READ.replace("path:", "oops:"), "failure", "2 problems in plans/"),
    ],
    ids=["valid", "invalid"],
)
def test_a_queue_is_answered(team: Desk, *, steps: str, conclusion: str, title: str) -> None:
    """Else a required check would keep everybody from merging."""
    commit = queue(team, steps)
    done = team.github("check", **team.event("merge_group", group(commit)))
    assert done.code == int(conclusion == "failure"), done.text
    found = team.check_of(commit)
    assert (found["name"], found["conclusion"]) == ("planlock", conclusion)
    assert found["output"]["title"] == title


@pytest.mark.parametrize("commit", ["main", "--upload-pack=touch x", "a" * 39, "a" * 40])
def test_what_is_no_commit_is_refused(team: Desk, commit: str) -> None:
    """An event tells where to look, and may say anything."""
    done = team.github("check", **team.event("merge_group", group(commit)))
    assert done.code in {2, 5}, done.text
    assert "Traceback" not in done.text
