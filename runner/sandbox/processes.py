"""What a tree of processes uses, read from /proc; a process that vanishes counts as nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(root: int, *, at_most: int) -> list[int]:
    """Process ids below `root`, without it; stops early once more than `at_most` are found."""
    found: list[int] = []
    pending = [root]
    while pending and len(found) <= at_most:
        children = _children(pending.pop())
        found += children
        pending += children
    return found


def memory(pids: Iterable[int], *, limit: int) -> int:
    """Bytes in use; shared pages are told apart only when the coarse sum passes the limit."""
    pids = list(pids)
    coarse = sum(_resident(pid) for pid in pids)
    return coarse if coarse <= limit else sum(_proportional(pid) for pid in pids)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return found
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _proportional(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        # A process can make itself unreadable; then all that it maps counts.
        return _resident(pid)
    sizes = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) * 1024 if sizes else 0
