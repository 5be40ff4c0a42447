"""Plans that ask a model, and the money that the policy gives them."""

from __future__ import annotations

import re
from decimal import Decimal

from fake_models import Says, Try
from team import Team

ONE = "- {id: one, step_type: analyze, description: Ask, input: {instruction: First}}\n"
TWO = "- {id: two, step_type: summarize, description: Ask, input: {instruction: Second}}\n"
CHEAP = Says(tries=(Try(cost="0.04", worst="0.05"),))
DEAR = Says(tries=(Try(cost="0.30", worst="0.40"),))


def budgets(team: Team, text: str) -> None:
    """Set the policy's budgets by a commit on the trusted branch."""
    path = team.root / "plans/policy.yaml"
    changed = re.sub(r"^budgets: .*$", f"budgets: {text}", path.read_text(), flags=re.MULTILINE)
    assert changed != path.read_text()
    team.commit({"plans/policy.yaml": changed}, "Change the budgets")


def spent(team: Team) -> Decimal:
    done = team.cli("ada", "cost", "--json")
    assert done.code == 0, done.text
    return Decimal(done.json["total"]["usd"])
