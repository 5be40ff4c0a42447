"""A clock that steps back while a run goes on leaves times in order (design, section 5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from team import EDIT, READ, Team, surroundings

from runner.project import Project, real_world
from runner.verbs import execute
from runner.verbs.events import Event, Kind
from runner.verbs.execute import Options


@pytest.mark.parametrize("at", ["step_started", "step_finished"])
def test_F06_within_and_between_steps(team: Team, at: Kind) -> None:
    """By an hour, after a step had begun at an earlier moment than it then ends."""
    team.propose("job", READ + EDIT)
    team.approve("bob", "job")
    later = timedelta()

    def moved(event: Event) -> None:
        nonlocal later
        if event.step == "read" and event.kind == "step_finished":
            later = timedelta(minutes=5)
        if event.step == "edit" and event.kind == at:
            later = timedelta(hours=-1)

    with surroundings(team.root, team.environment("ada")):
        world = replace(real_world(), now=lambda: datetime.now(UTC) + later)
        with Project(world) as project:
            report = execute.run(project, "job", Options(), moved)
    assert report.status == "completed"
    assert team.cli("ada", "audit", "--json").json["findings"] == []
