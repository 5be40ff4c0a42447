"""Commands without confinement, for where the policy says `sandbox: {require: none}`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import shell
from runner.sandbox.contract import Command, Outcome, Room
from runner.sandbox.output import Capture
from runner.sandbox.pipes import Pipe, tee
from runner.sandbox.supervise import SessionTree, Supervisor


class Unconfined:
    """Cleans the environment and holds limits; a daemon that leaves the tree survives."""

    name = "none"

    def run(
        self,
        command: Command,
        room: Room,
        *,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        shell.check_command(command, room)
        capture = Capture(command.limits.output_bytes)
        with ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="planlock-home-"))
            output, mark = stack.enter_context(Pipe()), stack.enter_context(Pipe())
            process = _start(command, room, output=output, mark=mark, home=Path(home))
            supervisor = Supervisor(
                process,
                SessionTree(process),
                limits=command.limits,
                on_output=tee(capture, on_output),
                cancelled=cancelled,
            )
            ending = supervisor.run(output.read_end)
            if not ending.reason and not shell.started(mark.read_end):
                cause = capture.content().decode(errors="replace").strip()
                raise SandboxUnavailable(f"starting a command: {cause}")
        return shell.outcome(ending, capture, backend=self.name)


def _start(
    command: Command, room: Room, *, output: Pipe, mark: Pipe, home: Path
) -> subprocess.Popen[bytes]:
    environment = shell.environment(command, room, home=str(home), tmp=str(home))
    try:
        process = subprocess.Popen(
            shell.argv(command, mark=mark.write_end, own_users=False),
            cwd=room.workspace / command.working_dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output.write_end,
            stderr=output.write_end,
            pass_fds=(mark.write_end,),
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxUnavailable(f"starting a command: {os.strerror(error.errno or 0)}") from error
    output.close_write_end()
    mark.close_write_end()
    return process
