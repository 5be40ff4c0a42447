"""Whoever approves a step sees the command that undoes it, wherever they look."""

from __future__ import annotations

import pytest
from team import EDIT, Team, command
from undo_steps import undone

UNDO = "tools/unpublish 1.2.0 --if-there"
STEPS = EDIT + undone("true", UNDO, name="publish", given=", timeout_s: 30")


@pytest.fixture
def planned(team: Team) -> Team:
    team.propose("job", STEPS)
    return team


@pytest.mark.parametrize("style", ["text", "json", "markdown", "html", "actions"])
def test_every_format_shows_it(planned: Team, style: str) -> None:
    """The whole command, and under which name."""
    shown = planned.cli("bob", "show", "job", "--format", style)
    assert shown.code == 0, shown.text
    assert UNDO in shown.out
    assert "undo command" in shown.out
    assert "30 s" in shown.out


def test_what_keeps_it_from_running_is_told(team: Team) -> None:
    """A host that the policy does not list, and a letter that looks like another."""
    more = ', network: ["a.org:443"]'
    team.propose("job", undone("true", "rм x", name="one", given=more))
    shown = team.cli("bob", "show", "job").out
    assert "cannot run: the policy's sandbox.network does not list a.org:443" in shown
    assert "look twice: undo: command contains" in shown


def test_the_approver_signs_with_it_before_their_eyes(planned: Team) -> None:
    """What `approve` says of the steps names the undo command."""
    signed = planned.cli("bob", "approve", "job")
    assert f"undo: {UNDO}" in signed.text


def test_an_undo_that_is_new_since_an_approval_is_told(planned: Team) -> None:
    """It voids the approval, and `diff` shows nothing else."""
    planned.approve("bob", "job")
    planned.propose("job", STEPS.replace(UNDO, "rm -rf x"))
    shown = planned.cli("bob", "diff", "job").out
    assert "undo.command" in shown
    assert "rm -rf x" in shown
    assert planned.cli("ada", "run", "job").code == 4


def test_the_policy_is_explained_for_it(team: Team) -> None:
    """A rule in doubt about an undo command says why, as of any command."""
    rule = 'rules: [{name: tools, match: {command: "tools/** **"}, approvals: 0}]'
    team.policy("rules: []", rule)
    team.propose("job", command("true") + undone("true", "tools/x $y", name="two"))
    shown = team.cli("bob", "policy", "explain", "job").out
    assert "the undo command" in shown
    assert "in doubt" in shown
