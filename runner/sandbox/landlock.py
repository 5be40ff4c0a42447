"""Commands confined by Landlock and a system-call filter, where no namespaces can be had.

Weaker than bubblewrap. Landlock grants and cannot hide: the list of processes, names and sizes
of files, and the space of the disk are the machine's own. The command works in the folder of the
workspace itself, not at `mount_at`. A grant holds for all below a folder, so `read_only` is not
held: what changes there has to be found out afterwards.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import seccomp, shell
from runner.sandbox.contract import Command, Outcome, Room
from runner.sandbox.landlock_rules import HANDLED, rules, system
from runner.sandbox.launching import Confinement, Launch
from runner.sandbox.scratch import scratch

# From here on signals and abstract sockets are confined.
LEAST_ABI = 6
_CREATE_RULESET, _ASK_VERSION = 444, 1


class Landlock:
    has_proxy = False

    def __init__(self) -> None:
        version = abi()
        if version < LEAST_ABI:
            found = f"has version {version}" if version else "does not offer it"
            raise SandboxUnavailable(
                f"confining a command: Landlock {LEAST_ABI} is needed, and this kernel {found}",
                hint="uname -r  # Linux 6.12 or newer, with `landlock` in its `lsm=`",
            )
        self._system = system()
        self._filter = seccomp.program(own_namespaces=False)
        self.name = f"landlock {version}"

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
        if command.network:
            raise SandboxUnavailable(
                "confining a command: Landlock cannot give it a network",
                hint="sudo apt-get install bubblewrap",
            )
        shell.check_command(command, room)
        with scratch() as folder:
            granted = rules(room, folder, system=self._system)
            confinement = Confinement(
                rules=tuple((str(each.path), int(each.access)) for each in granted),
                handled=HANDLED,
                filter=self._filter.hex(),
            )
            launch = Launch(
                command, room, scratch=folder, backend=self.name, confinement=confinement
            )
            return launch.run(on_output, cancelled)


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    if platform.system() != "Linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(0, int(libc.syscall(ctypes.c_long(_CREATE_RULESET), *arguments)))
