"""Which backend runs commands here; the entrance to running one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.contract import Backend, Command, Limits, Outcome, Room
from runner.sandbox.unconfined import Unconfined

__all__ = ["Backend", "Command", "Limits", "Outcome", "Room", "find_backend"]


def find_backend(require: str, *, program: str = "bwrap") -> Backend:
    """For `confined`, a backend that has just confined a command; for `none`, no confinement.

    Raises SandboxUnavailable rather than give less than was asked for.
    """
    if require == "none":
        return Unconfined()
    if require != "confined":
        raise SandboxUnavailable(f"confining commands: {require!r} is not known")
    backend = Bubblewrap(program)
    _check(backend)
    return backend


def _check(backend: Backend) -> None:
    if not Path("/proc/thread-self/children").exists():
        raise SandboxUnavailable("confining commands: /proc does not tell processes' children")
    with tempfile.TemporaryDirectory(prefix="planlock-check-") as folder:
        room = Room(workspace=Path(folder), mount_at=Path(folder))
        command = Command(script="true", limits=Limits(timeout_s=30))
        outcome = backend.run(command, room, on_output=lambda _: None, cancelled=lambda: False)
    if outcome.exit_code != 0:
        cause = outcome.output.decode(errors="replace").strip()
        raise SandboxUnavailable(f"confining a trial command: {cause or outcome}")
