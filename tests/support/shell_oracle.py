"""Real bash as the judge of command lines: which commands does it really start, with which words?"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox_run import require_bwrap

# Commands that do nothing but write down how they were started.
RECORDED: Final = ("alpha", "beta", "gamma")
# Real programs that start others.
STARTERS: Final = ("bash", "env", "find", "nice", "nohup", "setsid", "sh", "timeout", "xargs")
# Each writes a file of its own, since a shell writes what has line ends in several parts.
_RECORDER: Final = '#!/bin/sh\nprintf "%s\\0" "${0##*/}" "$@" >|"$STARTED/$$"; exit "$STATUS"\n'
_OTHERS: Final = '() { printf "%s\\0" "$@" >|"$STARTED/$BASHPID"; return "$STATUS"; }'
_SHELL: Final = ("bash", "--norc", "--noprofile", "-c")  # as runner/sandbox/shell.py
_PATIENCE: Final = 5

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Shell:
    """A folder with recorders on the path; lines run in a folder of their own."""

    folder: Path
    bwrap: str

    @classmethod
    def make(cls, folder: Path) -> Shell:
        """Skips where nothing can be confined."""
        require_bwrap()
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for name in RECORDED:
            (programs / name).write_text(_RECORDER)
            (programs / name).chmod(0o755)
        for name in STARTERS:
            found = shutil.which(name)
            assert found is not None, name
            (programs / name).symlink_to(found)
        return cls(folder, str(shutil.which("bwrap")))

    def started(self, line: str, *, status: int = 0) -> list[Argv]:
        """Run a line as planlock does; each command that it starts ends with `status`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            work, log = Path(folder) / "work", Path(folder) / "started"
            work.mkdir()
            log.mkdir()
            self._run(line, work, self._environment(log, status))
            found = [_argv(path.read_bytes()) for path in log.iterdir()]
        return [argv for argv in found if argv and argv[0] not in STARTERS]  # one may be cut off

    def _run(self, line: str, work: Path, environment: Mapping[str, str]) -> None:
        (ending, held), (told, telling) = os.pipe(), os.pipe()
        process = subprocess.Popen(
            # a line may start itself again for ever; all of it ends with its process namespace
            [*self.confined, "--info-fd", str(telling), *_SHELL, line],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[held, telling],
        )
        os.close(held)
        os.close(telling)
        with os.fdopen(told) as stream:
            first = json.load(stream)["child-pid"]
        # it can be read when all are gone that hold the other end: what runs in the background, too
        ended, _, _ = select.select([ending], [], [], _PATIENCE)
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGKILL)
        os.close(ending)
        process.wait()

    @property
    def confined(self) -> tuple[str, ...]:
        return (self.bwrap, "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc")

    def _environment(self, log: Path, status: int) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "LANG": "C.UTF-8",
            "STARTED": str(log),
            "STATUS": str(status),
            # what is not on the path is written down by the shell itself
            "BASH_FUNC_command_not_found_handle%%": _OTHERS,
        }


def _argv(data: bytes) -> Argv:
    return tuple(os.fsdecode(each) for each in data.split(b"\0")[:-1])
