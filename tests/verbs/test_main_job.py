"""The whole job on real input: propose, refuse, approve, run, look, audit."""

from __future__ import annotations

import pytest
from team import CHECK, EDIT, FACTORIAL, READ, UTILS, Team, command


@pytest.mark.usefixtures("confined")
def test_plan_is_refused_approved_run_and_recorded(team: Team) -> None:
    """A plan waits for a second person, then runs to its end, and the caller's tree is untouched."""
    head = team.git("rev-parse", "HEAD")
    team.propose("add-factorial", READ + EDIT + command(CHECK))

    waiting = team.cli("ada", "run", "add-factorial")
    assert waiting.code == 4
    assert "1 of 1 approval missing: a person other than ada@example.com" in waiting.out
    assert team.cli("ada", "approve", "add-factorial").code == 4

    team.approve("bob", "add-factorial")
    done = team.cli("ada", "run", "add-factorial")
    assert done.code == 0, done.text
    assert "120" in done.err

    branch = "planlock/add-factorial/1"
    assert team.show_file(branch, "utils.py") + "\n" == FACTORIAL
    assert (team.root / "utils.py").read_text() == UTILS
    assert team.git("rev-parse", "HEAD") == head
    assert team.git("status", "--porcelain", "--untracked-files=no") == ""
    assert team.refs("refs/tags/planlock-run") == ["refs/tags/planlock-run/add-factorial/1"]
    team.git("fsck", "--strict")
