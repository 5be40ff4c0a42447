"""A merge queue waits for checks that are required, on commits of its own."""

from __future__ import annotations

import pytest
from desk import Desk
from desk_events import merge_group, queued
from team import READ


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
    commit = queued(team, steps)
    done = team.github("check", **team.event("merge_group", merge_group(commit)))
    assert done.code == int(conclusion == "failure"), done.text
    found = team.check_of(commit)
    assert (found["name"], found["conclusion"]) == ("planlock", conclusion)
    assert found["output"]["title"] == title


@pytest.mark.parametrize("commit", ["main", "--upload-pack=touch x", "a" * 39, "a" * 40])
def test_what_is_no_commit_is_refused(team: Desk, commit: str) -> None:
    """An event tells where to look, and may say anything."""
    done = team.github("check", **team.event("merge_group", merge_group(commit)))
    assert done.code in {2, 5}, done.text
    assert "Traceback" not in done.text
