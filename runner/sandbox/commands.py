"""Which backend runs commands here; the entrance to running one."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.contract import Backend, Command, Limits, Outcome, Room
from runner.sandbox.landlock import Landlock
from runner.sandbox.unconfined import Unconfined

__all__ = ["Backend", "Command", "Limits", "Outcome", "Room", "find_backend"]


def find_backend(require: str, *, program: str = "bwrap") -> Backend:
    """A backend that has just confined a command as `require` asks, the strongest there is.

    For `none` there is no confinement. Raises SandboxUnavailable rather than give less than was
    asked for.
    """
    match require:
        case "none":
            return Unconfined()
        case "confined":
            return _bubblewrap(program)
        case "landlock":
            return _bubblewrap_or_landlock(program)
    raise SandboxUnavailable(f"confining commands: {require!r} is not known")


def _bubblewrap(program: str) -> Backend:
    backend = Bubblewrap(program)
    _check(backend)
    return backend


def _bubblewrap_or_landlock(program: str) -> Backend:
    try:
        return _bubblewrap(program)
    except SandboxUnavailable as error:
        better = error
    try:
        backend = landlock()
        _check(backend)
    except SandboxUnavailable as error:
        message = f"{better.message}; {error.message}"
        raise SandboxUnavailable(message, hint=better.hint or error.hint) from error
    return backend


def landlock() -> Backend:
    """Not for root: Landlock does not ask who changes modes, so a command could open any file."""
    if os.geteuid() == 0:
        raise SandboxUnavailable(
            "confining a command: Landlock does not hold root",
            hint="sudo apt-get install bubblewrap  # or run planlock as an ordinary user",
        )
    return Landlock()


def _check(backend: Backend) -> None:
    """It must run a command, and keep a file beside the workspace from it."""
    if not Path("/proc/thread-self/children").exists():
        raise SandboxUnavailable("confining commands: /proc does not tell processes' children")
    with tempfile.TemporaryDirectory(prefix="planlock-check-") as folder:
        workspace, closed = Path(folder) / "workspace", Path(folder) / "closed"
        workspace.mkdir()
        closed.write_text("not confined\n")
        script = f"! cat {shlex.quote(str(closed))} 2>/dev/null"
        command = Command(script=script, limits=Limits(timeout_s=30))
        room = Room(workspace=workspace, mount_at=workspace)
        outcome = backend.run(command, room, on_output=lambda _: None, cancelled=lambda: False)
    if outcome.exit_code != 0:
        cause = outcome.output.decode(errors="replace").strip()
        raise SandboxUnavailable(f"confining a trial command: {cause or outcome}")
