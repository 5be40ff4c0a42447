"""A runner that ends between an answer and its record, with the real router and its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from forging import answer, codes
from tampering import copy
from team import Team, surroundings

from runner.core.model_call import Answer, Request
from runner.models.contract import Models, OnText, Purse
from runner.project import Project, real_world
from runner.verbs import execute
from runner.verbs.execute import Options

SCRIPT = """\
version: 1
answers:
  - match: "task: First"
    answer: An answer.
    tokens: {input: 100, output: 10}
    cost_usd: "0.01"
"""
ASK = "- {id: ask, step_type: analyze, description: Ask, input: {instruction: First}}\n"


class Ends:
    """Asks the real models, and never comes back with what they said."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        self.models.complete(request, purse=purse, on_text=on_text)
        raise KeyboardInterrupt


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A scripted model, and a store of answers that clones may share."""
    script = tmp_path / "model.yaml"
    script.write_text(SCRIPT)
    store = tmp_path / "store"
    return {"PLANLOCK_MODEL_SCRIPT": str(script), "PLANLOCK_MODEL_STORE": str(store)}


def ended(team: Team, env: dict[str, str]) -> None:
    """Run up to an answer that is paid and stored, and recorded nowhere."""
    environment = team.environment("ada", env)
    with surroundings(team.root, environment), Project(real_world()) as project:
        vars(project)["models"] = Ends(project.models)
        with pytest.raises(KeyboardInterrupt):
            execute.run(project, "job", Options(), lambda _: None)


def total(team: Team) -> dict[str, Any]:
    found: dict[str, Any] = team.cli("ada", "cost", "--json").json["total"]
    return found


def test_F01_the_stored_answer_is_used_and_its_cost_recorded_once(
    team: Team, env: dict[str, str]
) -> None:
    """The second runner asks nobody, and the step's record has the call of the first."""
    team.propose("job", ASK)
    ended(team, env)
    Path(env["PLANLOCK_MODEL_SCRIPT"]).write_text(SCRIPT.replace("0.01", "0.99"))
    assert team.cli("ada", "run", "job", env=env).code == 0
    found = total(team)
    assert (found["usd"], found["calls"], found["statuses"]) == ("0.01", 1, {"reported": 1})
    assert team.cli("ada", "audit").code == 0


def test_F01_an_answer_that_took_the_last_of_the_budget_is_used(
    team: Team, env: dict[str, str]
) -> None:
    """What is paid and stored needs no money; the next question does, and the run pauses there."""
    team.policy('{run_usd: "1.00"}', '{project_usd: "0.01"}')
    more = ASK.replace("id: ask", "id: more").replace("First", "First of all")
    team.propose("job", ASK + more)
    ended(team, env)
    stopped = team.cli("ada", "run", "job", "--json", env=env)
    done = answer(stopped)
    assert (done["status"], done["stopped_at"]) == ("paused", "more")
    assert codes(stopped) == ["budget_exceeded"]
    assert done["steps"]["ask"] == "completed"
    assert (total(team)["usd"], total(team)["calls"]) == ("0.01", 1)


def test_an_answer_that_another_clone_paid_for_is_not_charged_here(
    team: Team, env: dict[str, str], tmp_path: Path
) -> None:
    """Runs and steps of two clones have the same names; each ledger knows its own money."""
    team.propose("job", ASK)
    other = copy(team, tmp_path / "clone")
    assert team.cli("ada", "run", "job", env=env).code == 0
    assert other.cli("ada", "run", "job", env=env).code == 0
    assert total(team)["usd"] == "0.01"
    found = total(other)
    assert (found["usd"], found["statuses"]) == ("0.00", {"cached": 1})
