"""Who holds a run: a name for this process, and whether a named one still lives."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from runner.core.run import lease_ref
from runner.git import leases, refs
from runner.git.leases import Lease
from runner.git.machine import UNKNOWN, this_boot
from runner.project import Project

FREE = "nobody"


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot, which no later process shares.

    Empty for a dead one, also where its parent has not taken note of its end.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


def this_process() -> str:
    return _name(os.getpid())


@lru_cache(maxsize=1)  # a process that forks is another one
def _name(pid: int) -> str:
    host = "".join(char for char in platform.node() if char.isalnum() or char in ".-") or "host"
    return f"{host}/{this_boot()}/{pid}/{_started(pid)}/{_namespace()}"


def _namespace() -> str:
    """In which space process ids are counted: elsewhere another process has the same number."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def gone(holder: str) -> bool:
    """Whether the holder is free, or a process of this very boot that no longer exists."""
    if holder == FREE:
        return True
    parts = holder.split("/")
    mine = this_process().split("/")
    if len(parts) != len(mine) or parts[1] == UNKNOWN:
        return False
    if (parts[:2], parts[4:]) != (mine[:2], mine[4:]):
        return False
    return not parts[2].isdigit() or _started(int(parts[2])) != parts[3]


def lease(project: Project, plan: str, number: int) -> Lease | None:
    """The last link of a run's lease."""
    oid = refs.read(project.git_dir, lease_ref(plan, number))
    return leases.read(project.store, oid) if oid else None


def is_at_work(found: Lease, now: datetime) -> bool:
    """Whether the lease keeps others from taking the run."""
    return not gone(found.holder) and now < found.expires_at
