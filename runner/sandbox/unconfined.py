"""Commands without confinement, for where the policy says `sandbox: {require: none}`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner.sandbox import shell
from runner.sandbox.contract import Command, Outcome, Room
from runner.sandbox.launching import Launch
from runner.sandbox.scratch import scratch


class Unconfined:
    """Cleans the environment, holds limits and ends what is left; only who kills the launcher escapes."""

    name = "none"
    has_proxy = False

    def can_layer(self, folder: Path) -> bool:  # noqa: ARG002  # as of every backend
        return False

    def run(
        self,
        command: Command,
        room: Room,
        *,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        shell.check_command(command, room)
        with scratch() as folder:
            launch = Launch(command, room, scratch=folder, backend=self.name)
            return launch.run(on_output, cancelled)
