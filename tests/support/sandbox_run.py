"""Run scripts in a sandbox backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import pytest

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
