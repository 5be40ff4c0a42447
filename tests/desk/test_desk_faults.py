"""What an executor could not tell is told by the next one, once."""

from __future__ import annotations

import pytest
from desk import Desk

WRITES = {
    "the results": r"POST .*/pulls$",
    "the comment": r"POST .*/issues/[0-9]+/comments$",
    "the comment again": r"PATCH .*/issues/comments/[0-9]+$",
    "the check": r"POST .*/check-runs$",
    "the results again": r"PATCH .*/pulls/[0-9]+$",
}


def execute(team: Desk, number: int) -> int:
    return team.github("execute", "--pull-request", str(number)).code


@pytest.mark.parametrize("is_done", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("what", WRITES)
def test_what_was_not_told_is_told_once(team: Desk, *, what: str, is_done: bool) -> None:
    """Whether GitHub did it or not before the connection broke: nothing is run or opened twice."""
    number = team.propose()
    team.github("check", "--pull-request", str(number))
    team.approve(number)
    team.forge.fail(WRITES[what], hangs_up=True, is_done=is_done)
    execute(team, number)
    assert execute(team, number) == 0
    assert team.ran() == ["read", "edit", "check"]
    assert team.refs() == ["refs/heads/planlock/job/1"]
    (results,) = team.pulls("planlock/job/1")
    assert results["title"] == "Run job/1: completed, 3 of 3 steps"
    assert results["html_url"] in team.comment_of_plan(number)
    assert len(team.comments(number)) == 1
    assert team.check(number)["conclusion"] == "success"
    assert team.check(results["number"])["conclusion"] == "success"
    assert team.audit().code == 0, team.audit().text


def test_results_that_may_not_be_opened_are_named(team: Desk) -> None:
    """A repository whose workflows may open no pull requests: the branch is there all the same."""
    number = team.propose()
    team.approve(number)
    said = '{"message": "GitHub Actions is not permitted to create or approve pull requests."}'
    team.forge.fail("POST .*/pulls$", status=403, body=said)
    assert execute(team, number) == 0
    assert team.ran() == ["read", "edit", "check"]
    comment = team.comment_of_plan(number)
    assert "on branch planlock/job/1, without a pull request" in comment
    assert "not permitted to create" in comment
