"""One goal with a real model, from the words to the audit; runs where a server is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from team import Team

from tests.real_model import goals
from tests.real_model.process import planlock
from tests.real_model.trial import Patience

VARIABLE = "PLANLOCK_TEST_MODEL_URL"
GOAL = goals.load()[0]
PLAN = ("plan", GOAL.goal, "--id", "job", "--json")

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(
        not os.environ.get(VARIABLE),
        reason=f"asks a real model: name a server's address in {VARIABLE}",
    ),
]


@pytest.mark.usefixtures("confined")
def test_a_goal_becomes_a_change_and_the_same_goal_the_same_plan_for_nothing(
    tmp_path: Path,
) -> None:
    """Plan, approve, run and audit; planned anew elsewhere from the kept answers it is equal."""
    models = {"PLANLOCK_MODEL_URL": os.environ[VARIABLE]}
    team = Team.governed(tmp_path, "bob", files=GOAL.files())
    first = planlock(team, "ada", *PLAN, timeout_s=Patience.plan_s, env=models)
    assert first.code == 0, first.text
    assert first.json["spent"]["output_tokens"] > 0
    assert not first.json["spent"]["cached"]
    tip = team.git("rev-parse", "plan/job")
    again = planlock(team, "ada", *PLAN, timeout_s=Patience.run_s, env=models)
    assert again.code == 0, again.text
    assert again.json["text"] == first.json["text"]
    assert again.json["spent"]["cached"]
    assert team.git("rev-parse", "plan/job") == tip
    refused = team.cli("ada", "run", "job", "--json")
    assert refused.code == 4, refused.text
    team.approve("bob", "job")
    assert team.cli("ada", "run", "job", env=models).code in {0, 5}  # its check may say no
    assert "planlock/job/1" in team.git("branch", "--list", "planlock/job/*")
    audit = team.cli("ada", "audit", "--json")
    assert audit.code == 0, audit.text
