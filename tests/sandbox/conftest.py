from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

import runner
from runner.core.errors import SandboxUnavailable
from runner.sandbox.commands import Backend, Command, Limits, Outcome, Room, find_backend


class Run(Protocol):
    """Runs a script in the room; output and cancellation may be watched."""

    def __call__(
        self,
        command: str | Command,
        *,
        on_output: Callable[[bytes], None] = ...,
        cancelled: Callable[[], bool] = ...,
    ) -> Outcome: ...


def require_bwrap() -> Backend:
    """Skips where no confinement can be had, unless everything must be tested."""
    try:
        return find_backend("confined")
    except SandboxUnavailable as error:
        if os.environ.get("PLANLOCK_TEST_REQUIRE_ALL") == "1":
            pytest.fail(f"{error}; {error.hint}")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def confined() -> Backend:
    return require_bwrap()


@pytest.fixture(params=["confined", "none"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return require_bwrap() if request.param == "confined" else find_backend("none")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder as a run would have it."""
    folder = tmp_path / "work"
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n")
    (folder / "plans").mkdir()
    (folder / "plans" / "policy.yaml").write_text("version: 1\n")
    (folder / "utils.py").write_text("ONE = 1\n")
    return folder


@pytest.fixture
def room(workspace: Path) -> Room:
    """The room's tools make `python` and this package available inside."""
    packages = Path(runner.__file__).parent.parent
    return Room(workspace=workspace, mount_at=workspace, tools=(packages, Path(sys.prefix)))


@pytest.fixture
def run(confined: Backend, room: Room) -> Run:
    return bound(confined, room)


@pytest.fixture
def run_any(backend: Backend, room: Room) -> Run:
    return bound(backend, room)


def bound(backend: Backend, room: Room) -> Run:
    def run(
        command: str | Command,
        *,
        on_output: Callable[[bytes], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        if isinstance(command, str):
            command = Command(script=command, limits=Limits(timeout_s=20))
        return backend.run(command, room, on_output=on_output, cancelled=cancelled)

    return run
