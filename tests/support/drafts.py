"""A plan whose edit a scripted model drafts, for the tests of drafts and of attacks on them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forging import answer
from model_script import code, write_script
from team import FACTORIAL, READ, Result, Team

WISH: Final = "Add factorial(n)"
DRAFT: Final = f"""\
- id: write
  step_type: edit_file
  description: Add factorial()
  input:
    path: utils.py
    instruction: {WISH}
"""
LAST: Final = (
    "- {id: last, step_type: edit_file, description: Note, input: {path: NOTE, new_content: x}}\n"
)
MODEL: Final = "scripted/scripted-1"
PLAN: Final = "plans/job/plan.yaml"


def script(base: Path, text: str = FACTORIAL, *, match: str = WISH) -> dict[str, str]:
    """An environment in which the model answers with a text for the file."""
    return write_script(base / "model.yaml", (match, code(text)), cost="0.02")


def run(team: Team, env: dict[str, str], *options: str) -> Result:
    return team.cli("ada", "run", "job", *options, "--json", env=env)


def proposed(team: Team, steps: str = READ + DRAFT + LAST) -> None:
    team.propose("job", steps)


def records(team: Team, number: int = 1) -> list[str]:
    """Names of the records of a run, without their numbers."""
    names = team.git(
        "ls-tree", "--name-only", f"planlock/job/{number}", f"plans/job/runs/{number}/"
    )
    found = [name.rpartition("/")[2] for name in names.split()]
    return [name[4:-5] for name in found if name[:3].isdigit() and name.endswith(".yaml")]


def statuses(done: Result) -> dict[str, str]:
    found: dict[str, str] = answer(done)["steps"]
    return found
