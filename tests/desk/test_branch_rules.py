"""Pushing a signed approval may void the reviews of the pull request: whoever signs is told."""

from __future__ import annotations

from typing import Any

import pytest
from desk import Desk
from team import Result

RULES: dict[str, Any] = {
    "rules/branches/main": [
        {"type": "pull_request", "parameters": {"dismiss_stale_reviews_on_push": True}}
    ]
}
CLASSIC: dict[str, Any] = {
    "branches/main/protection": {"required_pull_request_reviews": {"dismiss_stale_reviews": True}}
}
TOLD = "main dismisses reviews when its branch is pushed"


def approve(team: Desk) -> Result:
    env = {**team.environment(), "GITHUB_TOKEN": "simulated-bob"}
    return team.team.cli("bob", "approve", "job", "--json", env=env)


@pytest.mark.parametrize("settings", [RULES, CLASSIC], ids=["ruleset", "classic"])
def test_reviews_that_would_be_dismissed_are_told_of(
    team: Desk, *, settings: dict[str, Any]
) -> None:
    """The approval is signed all the same."""
    number = team.propose()
    team.forge.settings(**settings)
    done = approve(team)
    assert done.code == 0, done.text
    (note,) = done.json["notes"]
    assert note.startswith(f"pull request {number} is open")
    assert TOLD in note


@pytest.mark.parametrize("is_open", [True, False])
def test_where_none_would_be_nothing_is_said(team: Desk, *, is_open: bool) -> None:
    """No such rule, or no pull request."""
    number = team.propose()
    if not is_open:
        team.forge.close(number)
        team.forge.settings(**RULES)
    assert approve(team).json["notes"] == []


def test_what_may_not_be_read_is_no_warning(team: Desk) -> None:
    """The classic protection is for administrators' eyes."""
    team.propose()
    team.forge.settings(**CLASSIC)
    team.forge.fail("GET .*/protection$", times=9, status=403)
    assert approve(team).json["notes"] == []


def test_without_github_one_approves_as_ever(team: Desk) -> None:
    """A server that is down keeps nobody from deciding."""
    team.propose()
    env = {"PLANLOCK_FORGE": "acme/shop", "GITHUB_API_URL": "http://127.0.0.1:9"}
    done = team.team.cli("bob", "approve", "job", "--json", env={**env, "GITHUB_TOKEN": "x"})
    assert done.code == 0, done.text
    assert done.json["notes"] == []
