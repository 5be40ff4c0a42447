"""Starts a command below the launcher, for the backends that have no process namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import launcher, processes, shell
from runner.sandbox.cgroups import Group
from runner.sandbox.contract import Command, Limits, Outcome, Room
from runner.sandbox.output import Stream
from runner.sandbox.pipes import Pipe
from runner.sandbox.supervise import Ending, Supervisor

_PATIENCE_S = 10.0
_OWN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What the launcher puts upon the command; the numbers are the kernel's."""

    rules: tuple[tuple[str, int], ...]
    handled: tuple[int, int, int]
    filter: str


class Launch:
    """One command, checked by shell.check_command, with its own scratch folder."""

    def __init__(
        self,
        command: Command,
        room: Room,
        *,
        scratch: Path,
        backend: str,
        confinement: Confinement | None = None,
    ) -> None:
        self._command = command
        self._room = room
        self._scratch = scratch
        self._backend = backend
        self._confinement = confinement

    def run(
        self,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        *,
        make_group: Callable[[Limits], Group | None] = Group.make,
    ) -> Outcome:
        stream = Stream(self._command, on_output)
        with ExitStack() as stack:
            group = make_group(self._command.limits)
            if group:
                stack.enter_context(group)
            output, mark, task, ended = (stack.enter_context(Pipe()) for _ in range(4))
            process = self._start(output=output, task=task, keep=(mark, ended))
            tree = LauncherTree(process, group)
            stack.callback(tree.kill)
            supervisor = Supervisor(
                process,
                tree,
                limits=self._command.limits,
                on_output=stream.feed,
                cancelled=cancelled,
            )
            is_held = bool(group and group.add(process.pid))
            # The launcher starts nothing before it is told, so the command is held from the first.
            _write_all(task, self._task(mark=mark, ended=ended, is_held=is_held))
            mark.close_write_end()
            ended.close_write_end()
            ending = supervisor.run(output.read_end)
            stream.finish()
            has_started = shell.started(mark.read_end)
            all_ended = is_held or shell.started(ended.read_end)
        if has_started and not all_ended:
            raise _outlived()
        self._check(ending, has_started=has_started, said=stream.capture.content())
        return shell.outcome(ending, stream.capture, backend=self._backend)

    def _start(self, *, output: Pipe, task: Pipe, keep: Iterable[Pipe]) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher.__file__],
                cwd="/",
                env=_OWN_ENVIRONMENT,
                stdin=task.read_end,
                stdout=output.write_end,
                stderr=output.write_end,
                pass_fds=[each.write_end for each in keep],
                start_new_session=True,
            )
        except OSError as error:
            raise _not_started(str(error)) from error
        output.close_write_end()
        return process

    def _task(self, *, mark: Pipe, ended: Pipe, is_held: bool) -> bytes:
        """Unconfined, a command gives up sudo and signals to others only where nothing else ends it."""
        home, tmp = (str(self._scratch / name) for name in ("home", "tmp"))
        task = {
            "parent": os.getpid(),
            "argv": shell.argv(self._command, mark=mark.write_end),
            "limits": shell.resource_limits(self._command.limits, own_users=False),
            "env": shell.environment(self._command, self._room, home=home, tmp=tmp),
            "folder": str(self._room.workspace / self._command.working_dir),
            "mark": mark.write_end,
            "ended": ended.write_end,
            "apart": bool(self._confinement) or not is_held,
            "confinement": self._confinement and asdict(self._confinement),
        }
        return json.dumps(task).encode()

    def _check(self, ending: Ending, *, has_started: bool, said: bytes) -> None:
        if (
            not ending.reason
            and not ending.limit_hit
            and (not has_started or ending.returncode < 0)
        ):
            cause = said.decode(errors="replace").strip() if not has_started else ""
            raise _not_started(cause or "its launcher was ended")


class LauncherTree:
    """All that descends from the launcher, which adopts whoever loses its parent."""

    def __init__(self, process: subprocess.Popen[bytes], group: Group | None) -> None:
        self._process = process
        self._group = group

    def members(self, *, at_most: int) -> list[int]:
        return processes.descendants(self._process.pid, at_most=at_most)

    def refused(self) -> str:
        return self._group.limit_hit() if self._group else ""

    def kill(self) -> None:
        if self._process.returncode is not None:
            return
        if self._group:
            self._group.seal()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        if self._group:
            self._group.kill()
        self._process.wait()


def _write_all(pipe: Pipe, content: bytes) -> None:
    # A launcher that has ended already shows by the mark that is missing.
    with suppress(BrokenPipeError), os.fdopen(os.dup(pipe.write_end), "wb") as file:
        file.write(content)
    pipe.close_write_end()


def _outlived() -> SandboxUnavailable:
    return SandboxUnavailable(
        "ending a command: processes of it may go on, and no control group holds them",
        hint="ps -ef --sort=start_time  # and end what it left; then install bubblewrap",
    )


def _not_started(cause: str) -> SandboxUnavailable:
    return SandboxUnavailable(f"starting a command: {cause}")
