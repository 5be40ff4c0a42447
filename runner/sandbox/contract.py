"""What a command is, what it may see and use, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner.core.record import Contact

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Time, output, memory and processes hold for the whole tree, the others for each process.

    Of the output, `output_bytes` are kept; a command that says more than `total_output_bytes` is
    ended.
    """

    timeout_s: float = 600
    output_bytes: int = 200_000
    total_output_bytes: int = 1024 * _MIB
    memory_bytes: int = 4096 * _MIB
    processes: int = 512
    file_bytes: int = 1024 * _MIB
    open_files: int = 1024
    cpu_s: int = 3600


@dataclass(frozen=True, kw_only=True)
class Command:
    """`secrets` are variables too; neither their values nor those of `hide` show in the output.

    `network` has the hosts, as `host` or `host:port`, that it may reach through the proxy.
    """

    script: str
    working_dir: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hide: tuple[str, ...] = field(default=(), repr=False)
    network: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Files that show where the workspace has none of its own; a command cannot change them.

    `scratch` is a folder of the workspace's file system, for what the kernel has to keep.
    """

    files: Path
    scratch: Path


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a command sees.

    The host folder `workspace` appears at `mount_at`, writable but for `read_only` (relative
    to it, where present). `git_objects` and `tools` appear read-only at their own paths; the
    tools' `bin` comes first on PATH. No tool may hold, or lie in, a host folder of `closed`.
    The workspace itself has what leads to `read_only` and the working folder, also over `beneath`.
    """

    workspace: Path
    mount_at: Path
    read_only: tuple[str, ...] = (".git", "plans")
    git_objects: tuple[Path, ...] = ()
    tools: tuple[Path, ...] = ()
    closed: tuple[Path, ...] = ()
    beneath: Layer | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Either `exit_code` or `signal` is set; 128 + n counts as signal n, as in a shell.

    `output` has stdout and stderr in order, without secrets, head and tail within the limit;
    length and digest are those of the whole stream. `limit_hit` names the
    limit that ended it or made it fail: `memory`, `processes`, `output`, `cpu` or `file_size`.
    """

    exit_code: int | None
    signal: int | None
    timed_out: bool
    cancelled: bool
    limit_hit: str
    output: bytes
    output_length: int
    output_sha256: str
    truncated: bool
    backend: str
    contacts: tuple[Contact, ...] = ()


class Backend(Protocol):
    """Raises SandboxUnavailable when the command did not start, StepFailed when it is malformed.

    Without `has_proxy` it cannot hold a command to its `network`, and gives no contacts.
    """

    @property
    def name(self) -> str: ...

    @property
    def has_proxy(self) -> bool: ...

    def can_layer(self, folder: Path) -> bool:
        """Whether a room may have a layer beneath, tried where the folder lies."""

    def run(
        self,
        command: Command,
        room: Room,
        *,
        on_output: Callable[[bytes], None],
        cancelled: Callable[[], bool],
    ) -> Outcome: ...
