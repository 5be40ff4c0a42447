"""The goals are fair: not reached from the start, and reachable."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.real_model.goals import PROJECTS, SOLUTIONS, Goal, load

GOALS = load()
PROJECT_NAMES = sorted(path.name for path in PROJECTS.iterdir() if path.is_dir())


def laid_out(goal: Goal, folder: Path) -> Path:
    for name, text in goal.files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_there_are_twenty_goals_four_a_project() -> None:
    """Ids are unique, and the goals are a mix of easy and medium ones."""
    assert len({goal.id for goal in GOALS}) == 20
    assert Counter(goal.project for goal in GOALS) == dict.fromkeys(PROJECT_NAMES, 4)
    assert Counter(goal.level for goal in GOALS) == {"easy": 11, "medium": 9}


@pytest.mark.parametrize("name", PROJECT_NAMES)
def test_a_project_passes_its_own_tests(name: str, tmp_path: Path) -> None:
    """An untouched project is whole."""
    goal = next(goal for goal in GOALS if goal.project == name)
    assert goal.tests_fail(laid_out(goal, tmp_path)) == ""


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.id)
def test_a_goal_is_reached_by_its_solution_and_not_before(goal: Goal, tmp_path: Path) -> None:
    """`accept` refuses the untouched project and takes one that a person has changed."""
    tree = laid_out(goal, tmp_path)
    assert goal.accepts(tree) != ""
    solution = SOLUTIONS / f"{goal.id}.diff"
    subprocess.run(["git", "apply", "-p1", str(solution)], cwd=tree, check=True)
    assert goal.accepts(tree) == ""
    assert goal.tests_fail(tree) == ""
