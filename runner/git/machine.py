"""What this machine tells: which start of it this is, and which processes are there."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

UNKNOWN = "unknown"


@cache
def this_boot() -> str:
    """Eight characters of the kernel's id of this start, or `unknown`: what was not synced ends with it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return UNKNOWN


def is_there(pid: str) -> bool:
    """Whether a process of this machine has the id; False for what is none."""
    if not pid.isdecimal():
        return False
    with suppress(ProcessLookupError, OverflowError):
        with suppress(PermissionError):  # somebody else's
            os.kill(int(pid), 0)
        return True
    return False
