"""Which start of the machine this is: what was not synced may be lost by the next."""

from __future__ import annotations

from functools import cache
from pathlib import Path

UNKNOWN = "unknown"


@cache
def this_boot() -> str:
    """Eight characters of the kernel's id of this start, or `unknown`."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return UNKNOWN
