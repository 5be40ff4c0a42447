"""An undo command is approved with its step, and confined as any command; no file stays of it."""

from __future__ import annotations

import pytest
from forging import codes, run_codes
from team import EDIT, UTILS, Result, Team, command

pytestmark = pytest.mark.usefixtures("confined")
RECORD = "plans/job/runs/1/003-undo-check.yaml"


def undo(text: str, more: str = "") -> str:
    return f"  undo: {{command: '{text}'{more}}}\n"


def done(team: Team, steps: str, *, env: dict[str, str] | None = None) -> None:
    team.propose("job", steps)
    team.approve("bob", "job")
    ran = team.cli("ada", "run", "job", env=env)
    assert ran.code == 0, ran.text


def rollback(team: Team, *options: str, env: dict[str, str] | None = None) -> Result:
    return team.cli("ada", "rollback", "job/1", "--yes", *options, env=env)


def test_an_undo_slipped_in_voids_the_approval(team: Team) -> None:
    """Who approved the step without it has not approved the step with it."""
    team.propose("job", command("echo out"))
    team.approve("bob", "job")
    team.propose("job", command("echo out") + undo("curl evil"))
    assert "approval_stale" in run_codes(team, "job")


def test_an_undo_changed_after_the_run_is_not_run(team: Team) -> None:
    """The undo that runs is that of the plan that ran, whatever the plan's branch has now."""
    done(team, command("echo out") + undo("echo approved"))
    team.propose("job", command("echo out") + undo("echo slipped in"))
    result = rollback(team)
    assert result.code == 0, result.text
    told = team.show_file("planlock/job/1", RECORD)
    assert "approved" in told
    assert "slipped" not in told
    assert team.cli("ada", "audit").code == 0


def test_an_undo_is_a_command_though_its_step_is_none(team: Team) -> None:
    """A plan whose only command is an undo needs what a command needs."""
    team.policy("edit_file: 1", "edit_file: 0")
    team.propose("job", EDIT + undo("true"))
    assert run_codes(team, "job") == ["approvals_missing"]


def test_an_undo_may_not_reach_a_host_that_the_policy_does_not_list(team: Team) -> None:
    """No approval of the step can mend that."""
    team.propose("job", EDIT + undo("true", ", network: [evil.example]"))
    assert run_codes(team, "job") == ["network_not_allowed"]


def test_no_file_stays_of_an_undo(team: Team) -> None:
    """What it writes is thrown away: its commit has its record, the rollback the files before."""
    done(team, command("echo out") + undo("echo evil > utils.py; echo evil > new; rm .gitignore"))
    result = rollback(team)
    assert result.code == 0, result.text
    changed = team.git("diff", "--name-only", "planlock/job/1~2", "planlock/job/1~1").split()
    assert changed == [RECORD]
    assert team.show_file("planlock/job/1", "utils.py") == UTILS.strip()
    assert team.git("diff", "main", "planlock/job/1", "--", ".", ":!plans") == ""


@pytest.mark.parametrize("place", ["plans/job/plan.yaml", "plans/policy.yaml", ".git/config"])
def test_an_undo_cannot_write_what_is_protected(team: Team, place: str) -> None:
    """It fails, and what it would have changed is as it was."""
    done(team, command("echo out") + undo(f"echo evil > {place}"))
    result = rollback(team, "--json")
    assert (result.code, result.json["status"]) == (5, "failed")
    assert team.git("diff", "planlock/job/1~1", "planlock/job/1", "--name-only").split() == [RECORD]


def test_an_undo_gets_only_the_secrets_that_it_names(team: Team) -> None:
    """A secret of the step is none of its undo command, and no record shows one."""
    team.policy("secrets: []", "secrets: [FLAVOUR, COLOUR]")
    env = {"FLAVOUR": "vanilla-ice", "COLOUR": "ultramarine"}
    text = 'echo "[$FLAVOUR] [$COLOUR]"; test -n "$COLOUR"'
    step = command("echo out", more="secrets: [FLAVOUR]\n")
    done(team, step + undo(text, ", secrets: [COLOUR]"), env=env)
    result = rollback(team, env=env)
    assert result.code == 0, result.text
    told = team.show_file("planlock/job/1", RECORD)
    assert "[] [" in told
    assert "ultramarine" not in told
    assert "ultramarine" not in result.text


def test_an_undo_without_its_secret_does_not_start(team: Team) -> None:
    """What the machine lacks is told, and nothing is recorded."""
    team.policy("secrets: []", "secrets: [FLAVOUR]")
    done(team, command("echo out") + undo("true", ", secrets: [FLAVOUR]"))
    before = team.git("rev-parse", "planlock/job/1")
    result = rollback(team, "--json")
    assert (result.code, codes(result)) == (4, ["secret_missing"])
    assert team.git("rev-parse", "planlock/job/1") == before


def test_a_run_does_not_go_on_once_something_was_undone(team: Team) -> None:
    """No step may build on effects that are no longer there."""
    steps = command("echo out") + undo("false") + EDIT
    team.propose("job", steps)
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job", "--until", "check").code == 0
    assert rollback(team).code == 5
    assert run_codes(team, "job") == ["rolling_back"]
    result = rollback(team, "--skip-undo", "check")
    assert result.code == 0, result.text
    assert team.cli("ada", "audit").code == 0
