"""`approve`, `reject` and `withdraw` on the command line."""

from __future__ import annotations

import pytest
from team import EDIT, Team


@pytest.mark.parametrize("verb", ["approve", "review"])
@pytest.mark.parametrize("runs", ["0", "-1"])
def test_an_approval_for_no_run_is_wrong_usage(team: Team, verb: str, runs: str) -> None:
    """It must not become one without a bound."""
    tip = team.propose("job", EDIT)
    done = team.cli("bob", verb, "job", "--max-runs", runs)
    assert (done.code, "--max-runs" in done.err) == (2, True)
    assert team.git("rev-parse", "plan/job") == tip


@pytest.mark.parametrize(
    "options,said",
    [
        (["--max-usd", "0.50", "--max-runs", "1"], "  within 0.50 USD, 1 run(s)\n"),
        (["--max-usd", "0.50"], "  within 0.50 USD\n"),
        (["--max-runs", "3"], "  within 3 run(s)\n"),
    ],
)
def test_the_bounds_that_were_signed_are_told(team: Team, options: list[str], said: str) -> None:
    """As `review` tells them before."""
    team.propose("job", EDIT)
    done = team.cli("bob", "approve", "job", *options)
    assert done.code == 0, done.text
    assert said in done.out


def test_an_approval_without_bounds_tells_of_none(team: Team) -> None:
    """Neither money nor runs are named."""
    team.propose("job", EDIT)
    assert "within" not in team.cli("bob", "approve", "job").out
