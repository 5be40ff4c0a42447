"""Step types that a plugin adds."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin import installed
from team import Team

from runner.steps import registry

GREET = "- {id: hi, step_type: greet, description: Greet, input: {name: Ada}}\n"


@pytest.fixture(autouse=True)
def fresh_registry() -> None:
    registry._load.cache_clear()  # noqa: SLF001  # what a new process starts with


def test_A28_plugin_that_policy_does_not_list_is_refused_and_not_imported(
    team: Team, tmp_path: Path
) -> None:
    """An approved step of an unlisted plugin does not run, and its code is not even imported."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    with installed(folder) as marker:
        team.propose("greet", GREET)
        team.approve("bob", "greet")
        done = team.cli("ada", "run", "greet")
        assert done.code == 4
        assert "plugin_not_allowed" in done.out
        assert not marker.exists()


def test_listed_plugin_runs_with_its_own_input_model(team: Team, tmp_path: Path) -> None:
    """A step of a listed plugin needs one approval and runs; a wrong input fails the step."""
    team.policy("plugins: []", "plugins: [greet-plugin]")
    folder = tmp_path / "plugin"
    folder.mkdir()
    with installed(folder):
        team.propose("greet", GREET + GREET.replace("id: hi", "id: bad").replace("name:", "nam:"))
        assert team.cli("ada", "run", "greet").code == 4
        team.approve("bob", "greet")
        done = team.cli("ada", "run", "greet")
        assert done.code == 5
        assert "hello Ada" in team.cli("ada", "log", "greet").out
        assert "reading the input of step bad: name: Field required" in done.out


def test_composed_schema_has_the_plugins_input(team: Team, tmp_path: Path) -> None:
    """The composed schema adds an if/then with the plugin's own input schema."""
    team.policy("plugins: []", "plugins: [greet-plugin]")
    folder = tmp_path / "plugin"
    folder.mkdir()
    with installed(folder):
        schema = team.cli("ada", "schema", "plan", "--composed").json
    assert schema["$defs"]["greet_input"]["required"] == ["name"]
    conditions = [
        each["if"]["properties"]["step_type"] for each in schema["$defs"]["step"]["allOf"]
    ]
    assert {"const": "greet"} in conditions
