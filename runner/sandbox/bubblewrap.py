"""Commands confined by bubblewrap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import mounts, seccomp, shell
from runner.sandbox.contract import Command, Outcome, Room
from runner.sandbox.output import Capture
from runner.sandbox.pipes import Pipe, memory_file, tee
from runner.sandbox.supervise import NamespaceTree, Supervisor

# bwrap itself runs outside, and its first process inside shows this to the command.
_OWN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Bubblewrap:
    def __init__(self, program: str = "bwrap") -> None:
        self._program = _find(program)
        self.name = _version(self._program)

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
            stack.enter_context(mounts.mount_points(room))
            output, mark, status = (stack.enter_context(Pipe()) for _ in range(3))
            process = self._start(command, room, output=output, mark=mark, status=status)
            supervisor = Supervisor(
                process,
                NamespaceTree(process, _Status(status.read_end).first_pid),
                limits=command.limits,
                on_output=tee(capture, on_output),
                cancelled=cancelled,
            )
            ending = supervisor.run(output.read_end)
            has_started = shell.started(mark.read_end)
        if not ending.reason and (not has_started or ending.returncode < 0):
            raise _not_confined(capture.content().decode(errors="replace").strip())
        return shell.outcome(ending, capture, backend=self.name)

    def _start(
        self, command: Command, room: Room, *, output: Pipe, mark: Pipe, status: Pipe
    ) -> subprocess.Popen[bytes]:
        env = shell.environment(command, room, home=mounts.HOME, tmp=mounts.TMP)
        options = mounts.bwrap_options(room, working_dir=command.working_dir, env=env)
        with ExitStack() as stack:
            # Options travel in a file: an argv can be read by every user of the machine.
            files = [memory_file(_joined(options)), memory_file(seccomp.program())]
            for descriptor in files:
                stack.callback(os.close, descriptor)
            process = self._spawn(
                [
                    *("--args", str(files[0]), "--seccomp", str(files[1])),
                    *("--json-status-fd", str(status.write_end), "--"),
                    *shell.argv(command, mark=mark.write_end, own_users=True),
                ],
                output=output.write_end,
                keep=(*files, status.write_end, mark.write_end),
            )
        for pipe in (output, mark, status):
            pipe.close_write_end()
        return process

    def _spawn(
        self, arguments: list[str], *, output: int, keep: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [self._program, *arguments],
                cwd="/",
                env=_OWN_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=keep,
                start_new_session=True,
            )
        except OSError as error:
            raise _not_confined(str(error)) from error


def _find(program: str) -> str:
    found = shutil.which(program)
    if not found:
        raise SandboxUnavailable(
            f"confining a command: {program} is not installed",
            hint="sudo apt-get install bubblewrap",
        )
    return found


def _version(program: str) -> str:
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            check=True,
            env=_OWN_ENVIRONMENT,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxUnavailable(f"confining a command: {program} --version: {error}") from error
    return answer.stdout.strip()


class _Status:
    """What bwrap says of itself, in JSON; its first line names the namespace's first process."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._text = b""

    def first_pid(self) -> int | None:
        with suppress(BlockingIOError):
            # The line comes in pieces.
            self._text += os.read(self._descriptor, 4096)
        line, end, _ = self._text.partition(b"\n")
        pid = json.loads(line).get("child-pid") if end else None
        return pid if isinstance(pid, int) else None


def _not_confined(cause: str) -> SandboxUnavailable:
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    hint = ""
    if restricted.exists() and restricted.read_text(encoding="ascii").strip() == "1":
        hint = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return SandboxUnavailable(f"confining a command: {cause or 'bwrap was ended'}", hint=hint)


def _joined(options: list[str]) -> bytes:
    return b"".join(os.fsencode(option) + b"\0" for option in options)
