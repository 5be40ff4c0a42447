"""Run scripts in a sandbox backend."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from runner.core.errors import SandboxUnavailable
from runner.sandbox.commands import Backend, Command, Limits, Outcome, Room, find_backend
from runner.sandbox.landlock import Landlock


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


def require_landlock() -> Backend:
    """Skips where the kernel has no Landlock of ours, unless everything must be tested."""
    try:
        return Landlock()
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
            command = Command(script=command, limits=Limits(timeout_s=120))
        return backend.run(command, room, on_output=on_output, cancelled=cancelled)

    return run


def python(run: Run, code: str, **env: str) -> str:
    """What the code prints inside."""
    limits = Limits(timeout_s=120)
    command = Command(script='python -c "$CODE"', env={"CODE": code, **env}, limits=limits)
    return run(command).output.decode()


def alive(marker: str) -> list[str]:
    """The processes of this machine with the marker in their command line."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [text] if marker in text else []
    return found


def gone(marker: str) -> bool:
    """Whether the marked processes end; the kernel may need a moment after the kill."""
    until = time.monotonic() + 5
    while alive(marker):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
