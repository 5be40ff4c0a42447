"""What both backends share: the checks of a command, its argv, its environment, its outcome."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from runner.core.errors import StepFailed
from runner.core.paths import check_path
from runner.core.record import Contact
from runner.sandbox.contract import Command, Limits, Outcome, Room
from runner.sandbox.files import Workspace
from runner.sandbox.output import Capture
from runner.sandbox.supervise import Ending

# The kernel takes no single argument of 128 KiB or more.
_MAX_BYTES = (1 << 17) - 1
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# -p keeps BASH_ENV for the second shell; the mark tells a started command from a failed set-up.
# Where the runner is gone by then, making the mark ends the first shell.
_PREAMBLE = 'printf . >&{mark}; exec {mark}>&-; exec /usr/bin/bash --noprofile --norc -c "$1"'


def check_command(command: Command, room: Room) -> None:
    """Raises StepFailed or WorkspaceSecurityError for what could never run."""
    _check_text(command.script, "the command")
    for name, value in (*command.env.items(), *command.secrets.items()):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise StepFailed(f"running a command: {name!r} cannot name an environment variable")
        _check_text(value, f"environment variable {name}")
    if command.working_dir != ".":
        check_path(command.working_dir)
        with Workspace(room.workspace) as workspace:
            workspace.check_folder(command.working_dir)


def _check_text(text: str, what: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise StepFailed(f"running a command: {what} is not valid Unicode") from error
    if "\0" in text or size > _MAX_BYTES:
        raise StepFailed(f"running a command: {what} holds a NUL or is over {_MAX_BYTES} bytes")


def argv(command: Command, *, mark: int) -> list[str]:
    """`mark` is the descriptor that gets one byte before the command starts.

    Limits are set from outside before: its variables would reach a program that sets them.
    """
    return ["/usr/bin/bash", "-p", "-c", _PREAMBLE.format(mark=mark), "bash", command.script]


def resource_limits(limits: Limits, *, own_users: bool) -> list[tuple[int, int, int]]:
    """Each as its number, soft and hard.

    Outside its own user namespace a count of processes would take in the person's others.
    """
    same = {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
        **({resource.RLIMIT_NPROC: limits.processes} if own_users else {}),
    }
    processor = (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
    return [*((number, limit, limit) for number, limit in same.items()), processor]


def environment(command: Command, room: Room, *, home: str, tmp: str) -> dict[str, str]:
    return {
        "PATH": ":".join([*map(str, _tool_bins(room.tools)), _SYSTEM_PATH]),
        "HOME": home,
        "LANG": "C.UTF-8",
        "TMPDIR": tmp,
        "PYTHONDONTWRITEBYTECODE": "1",
        **command.env,
        **command.secrets,
    }


def started(mark: int) -> bool:
    """Whether the mark was made; `mark` is the read end, all writers of which are gone."""
    os.set_blocking(mark, False)
    try:
        return os.read(mark, 1) == b"."
    except BlockingIOError:
        return False


def outcome(
    ending: Ending, capture: Capture, *, backend: str, contacts: tuple[Contact, ...] = ()
) -> Outcome:
    by_signal = _signal_of(ending)
    return Outcome(
        exit_code=None if by_signal else ending.returncode,
        signal=by_signal,
        timed_out=ending.reason == "timed_out",
        cancelled=ending.reason == "cancelled",
        limit_hit=ending.limit_hit,
        output=capture.content(),
        output_length=capture.length,
        output_sha256=capture.sha256,
        truncated=capture.truncated,
        backend=backend,
        contacts=contacts,
    )


def _signal_of(ending: Ending) -> int | None:
    if ending.reason:
        return signal.SIGKILL
    if ending.returncode < 0:
        return -ending.returncode
    # bwrap reports a signal as a shell does, so an exit code in this range counts as one.
    number = ending.returncode - 128
    return number if number in signal.valid_signals() else None


def _tool_bins(tools: Sequence[Path]) -> list[Path]:
    return [tool / "bin" if (tool / "bin").is_dir() else tool for tool in tools]
