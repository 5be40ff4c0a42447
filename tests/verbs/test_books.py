"""Costs, budgets and the ledger, through the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from team import READ, Team

SCRIPT = """\
version: 1
answers:
  - match: "task: cheap"
    answer: A cheap answer.
    tokens: {input: 100, output: 10}
    cost_usd: "0.01"
  - match: "task: dear"
    answer: A dear answer.
    tokens: {input: 1000, output: 100}
    cost_usd: "0.40"
"""
CHEAP = "- {id: cheap, step_type: analyze, description: Ask, input: {instruction: cheap one}}\n"
DEAR = "- {id: dear, step_type: summarize, description: Ask, input: {instruction: dear one}}\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A scripted model with prices."""
    path = tmp_path / "model.yaml"
    path.write_text(SCRIPT)
    return {"PLANLOCK_MODEL_SCRIPT": str(path)}


def database(team: Team) -> Path:
    return team.root / ".git" / "planlock" / "ledger.sqlite"


def test_P6_cost_is_told_by_step_model_day_and_project(team: Team, env: dict[str, str]) -> None:
    """Each grouping sums the same calls exactly."""
    team.propose("ask", READ + CHEAP + DEAR)
    assert team.cli("ada", "run", "ask", env=env).code == 0
    steps = team.cli("ada", "cost", "ask/1", "--by", "step", "--json").json
    assert [(row["key"], row["usd"]) for row in steps["rows"]] == [
        ("ask/1/cheap", "0.01"),
        ("ask/1/dear", "0.40"),
    ]
    for by in ("model", "day", "project"):
        total = team.cli("ada", "cost", "--by", by, "--json").json["total"]
        assert (total["usd"], total["calls"], total["input_tokens"]) == ("0.41", 2, 1100)
    assert "0.41" in team.cli("ada", "cost").out


def test_planning_is_told_apart(team: Team, env: dict[str, str]) -> None:
    """What writing the plan cost stands on a line of its own, before and after a run."""
    digest = "sha256:" + "0" * 64
    tokens = "tokens: {input: 812, output: 204}"
    planner = f"{{model: gemini/small, request: '{digest}', {tokens}, cost_usd: '0.000754'}}"
    team.propose("ask", CHEAP, extra=f"planner: {planner}\n")
    told = team.cli("ada", "cost", "ask")
    assert told.code == 0, told.text
    line = "planning: gemini/small, 812 tokens in, 204 out, 0.000754 USD (not part of the sum)"
    assert line in told.out
    assert team.cli("ada", "run", "ask", env=env).code == 0
    found = team.cli("ada", "cost", "ask", "--json").json
    assert (found["total"]["usd"], found["planning"]["usd"]) == ("0.01", "0.000754")
    assert "planning" not in team.cli("ada", "cost", "ask/1").out


def test_P5_ledger_deleted_and_rebuilt_is_equal(team: Team, env: dict[str, str]) -> None:
    """The database dropped and rebuilt holds the same rows, and so does one that caught up."""
    team.propose("ask", READ + CHEAP)
    team.approve("bob", "ask")
    assert team.cli("ada", "run", "ask", env=env).code == 0
    before = dump(database(team))
    database(team).unlink()
    assert team.cli("ada", "ledger", "rebuild").code == 0
    assert dump(database(team)) == before
    database(team).unlink()
    assert team.cli("ada", "ledger", "check").code == 0
    assert dump(database(team)) == before


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    try:
        return {
            table: sorted(connection.execute(f"select * from {table}").fetchall())  # noqa: S608  # names from the list below
            for table in ("agent_runs", "steps", "approvals", "model_calls")
        }
    finally:
        connection.close()


def test_changed_row_is_found_and_mended(team: Team, env: dict[str, str]) -> None:
    """A row that somebody edited is named with both values, and a rebuild puts it right."""
    team.propose("ask", READ + CHEAP)
    assert team.cli("ada", "run", "ask", env=env).code == 0
    connection = sqlite3.connect(database(team))
    connection.execute("update agent_runs set total_cost = '0.00'")
    connection.commit()
    connection.close()
    found = team.cli("ada", "ledger", "check")
    assert found.code == 1
    assert "total_cost: ledger has '0.00', git says '0.01'" in found.out
    assert team.cli("ada", "ledger", "rebuild").code == 0
    assert team.cli("ada", "ledger", "check").code == 0


def test_F03_damaged_ledger_does_not_stop_a_run(team: Team, env: dict[str, str]) -> None:
    """A run goes on with a note; `ledger rebuild` sets the damaged file aside."""
    database(team).parent.mkdir(exist_ok=True)
    database(team).write_bytes(b"SQLite format 3\0" + b"garbage" * 100)
    team.propose("ask", READ + CHEAP)
    done = team.cli("ada", "run", "ask", env=env)
    assert done.code == 0
    assert "the ledger will catch up" in done.err
    rebuilt = team.cli("ada", "ledger", "rebuild")
    assert rebuilt.code == 0, rebuilt.text
    assert team.cli("ada", "cost", "--json").json["total"]["usd"] == "0.01"


@pytest.mark.parametrize(
    "budgets, extra",
    [
        ('{run_usd: "0.405"}', ""),
        ('{day_usd: "0.405"}', ""),
        ('{project_usd: "0.405"}', ""),
        ('{run_usd: "5.00"}', 'budget: {usd: "0.405"}\n'),
    ],
)
def test_P6_budget_is_checked_before_money_is_spent(
    team: Team, env: dict[str, str], budgets: str, extra: str
) -> None:
    """A step that may cost more than is left pauses the run before the model is asked."""
    team.policy('budgets: {run_usd: "1.00"}', f"budgets: {budgets}")
    team.propose("ask", CHEAP + DEAR, extra=extra)
    done = team.cli("ada", "run", "ask", env=env)
    assert done.code == 4
    assert "budget_exceeded" in done.out
    assert "0.395 are left" in done.out
    assert team.cli("ada", "cost", "--json").json["total"]["usd"] == "0.01"


def test_without_a_model_the_run_waits_for_one(team: Team) -> None:
    """Where no model is configured the step does not fail, and the reason says what to do."""
    team.propose("ask", CHEAP)
    done = team.cli("ada", "run", "ask")
    assert done.code == 4, done.text
    assert "no_route" in done.out
    assert "fix: planlock doctor" in done.out
    assert team.cli("ada", "cost", "--json").json["total"]["calls"] == 0
