"""Commands confined by bubblewrap."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import bubblewrap_profile, layers, mounts, seccomp, shell
from runner.sandbox.bubblewrap_gate import Gate
from runner.sandbox.cgroups import Group
from runner.sandbox.contract import Command, Limits, Outcome, Room
from runner.sandbox.listener import listen_inside
from runner.sandbox.mounts_private import Survey
from runner.sandbox.output import Stream
from runner.sandbox.pipes import Pipe, memory_file
from runner.sandbox.proxy import PORT, VARIABLES, Proxy
from runner.sandbox.proxy_connect import Resolve, system_addresses
from runner.sandbox.supervise import NamespaceTree, Supervisor

# bwrap itself runs outside, and its first process inside shows this to the command.
_OWN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_STARTS = 5


class Bubblewrap:
    """`resolve` is whom the proxy asks where a host lies."""

    has_proxy = True

    def __init__(self, program: str = "bwrap", *, resolve: Resolve = system_addresses) -> None:
        self._program = _find(program)
        self._resolve = resolve
        self._survey = Survey()
        self._layers: dict[int, bool] = {}
        self.name = _version(self._program)

    def can_layer(self, folder: Path) -> bool:
        device = folder.stat().st_dev
        if device not in self._layers:
            self._layers[device] = layers.try_out(self, folder)
        return self._layers[device]

    def run(
        self,
        command: Command,
        room: Room,
        *,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        shell.check_command(command, room)
        starts = 0
        while True:
            starts += 1
            try:
                return self._run(command, room, on_output=on_output, cancelled=cancelled)
            except _NothingStarted as nothing:
                # What is to be hidden may be gone by the time it is, and then a new look helps.
                if starts == _STARTS:
                    raise nothing.error from nothing

    def _run(
        self,
        command: Command,
        room: Room,
        *,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        stream = Stream(command, on_output)
        proxy = self._proxy(command) if command.network else None
        group = Group.make(command.limits)
        with ExitStack() as stack:
            laid = stack.enter_context(layers.laid(room))
            for each in (mounts.mount_points(room), group, proxy):
                stack.enter_context(each or nullcontext())
            output, gate = stack.enter_context(Pipe()), stack.enter_context(Gate())
            process = self._start(command, room, laid=laid, output=output, gate=gate)
            tree = NamespaceTree(process, lambda: gate.first_pid, group)
            stack.callback(tree.kill)
            _let_start(process, gate, limits=command.limits, group=group, proxy=proxy)
            supervisor = Supervisor(
                process,
                tree,
                limits=command.limits,
                on_output=stream.feed,
                cancelled=cancelled,
            )
            ending = supervisor.run(output.read_end)
            has_started = shell.started(gate.marked)
        stream.finish()
        if not ending.reason and (not has_started or ending.returncode < 0):
            error = _not_confined(stream.capture.content().decode(errors="replace").strip())
            raise error if has_started else _NothingStarted(error)
        contacts = proxy.contacts() if proxy else ()
        return shell.outcome(ending, stream.capture, backend=self.name, contacts=contacts)

    def _proxy(self, command: Command) -> Proxy:
        hide = (*command.hide, *command.secrets.values())
        return Proxy(command.network, resolve=self._resolve, hide=hide)

    def _start(
        self, command: Command, room: Room, *, laid: list[str], output: Pipe, gate: Gate
    ) -> subprocess.Popen[bytes]:
        variables = VARIABLES if command.network else {}
        env = shell.environment(command, room, home=mounts.HOME, tmp=mounts.TMP)
        options = mounts.bwrap_options(
            room,
            working_dir=command.working_dir,
            env={**variables, **env},
            survey=self._survey,
        )
        with ExitStack() as stack:
            # Options travel in a file: an argv can be read by every user of the machine.
            files = [memory_file(_joined(options)), memory_file(seccomp.program())]
            for descriptor in files:
                stack.callback(os.close, descriptor)
            process = self._spawn(
                [
                    *(*laid, self._program, "--args", str(files[0]), "--seccomp", str(files[1])),
                    *("--json-status-fd", str(gate.status), "--block-fd", str(gate.block), "--"),
                    *shell.argv(command, mark=gate.mark),
                ],
                output=output.write_end,
                keep=(*files, *gate.kept),
            )
        output.close_write_end()
        return process

    def _spawn(
        self, arguments: list[str], *, output: int, keep: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                arguments,
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


class _NothingStarted(Exception):
    """Not even the shell that would have run the command; `error` says why."""

    def __init__(self, error: SandboxUnavailable) -> None:
        self.error = error


def _let_start(
    process: subprocess.Popen[bytes],
    gate: Gate,
    *,
    limits: Limits,
    group: Group | None,
    proxy: Proxy | None,
) -> None:
    """From its first moment on the command is held, and its way out is watched."""
    first = gate.wait_for_namespaces()
    if first is None:
        return
    _limit(first, limits)
    if group:
        group.add(process.pid)
        group.add(first)
    if proxy:
        proxy.serve(listen_inside(first, PORT))
    gate.open()


def _limit(pid: int, limits: Limits) -> None:
    """All that comes of the first process inherits them."""
    try:
        for number, soft, hard in shell.resource_limits(limits, own_users=True):
            resource.prlimit(pid, number, (soft, hard))
    except ProcessLookupError:
        return  # what ended before its start says why itself
    except (OSError, ValueError, OverflowError) as error:
        raise _not_confined(f"prlimit: {error}") from error


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


def _not_confined(cause: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"confining a command: {cause or 'bwrap was ended'}", hint=bubblewrap_profile.hint()
    )


def _joined(options: list[str]) -> bytes:
    return b"".join(os.fsencode(option) + b"\0" for option in options)
