"""Fixtures that every test may use, and the guard around the real home directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sandbox_run import require_bwrap
from team import Team

from runner.sandbox.commands import Backend

# A mutant must live or die by the code alone: the same examples each time, however slow they are.
settings.register_profile(
    "mutation",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="session")
def no_real_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that touches the real home directory or git's user settings finds nothing there."""
    kept = {name: os.environ.get(name) for name in ("HOME", "GIT_CONFIG_NOSYSTEM", "SSH_AUTH_SOCK")}
    os.environ["HOME"] = str(tmp_path_factory.mktemp("empty-home"))
    os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
    os.environ.pop("SSH_AUTH_SOCK", None)
    yield
    for name, value in kept.items():
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session")
def confined() -> Backend:
    """Needs a sandbox backend: skipped without one, a failure where everything is required."""
    return require_bwrap()


@pytest.fixture
def team(tmp_path: Path) -> Team:
    """Ada wrote the policy; bob and cleo are maintainers too."""
    return Team.governed(tmp_path, "bob", "cleo")
