"""What is private where everything else of the machine is shown, and the mounts that cover it."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from runner.core.errors import SandboxUnavailable

# Where others than the machine's own packages put files; there may be very many.
_LARGE = (Path("/opt"), Path("/usr/local"))
_SURVEYED = (Path("/etc"), *_LARGE)
_NEAR = 3
_EVERY_LEVEL = 1000
_MOST_LOOKED_AT = 2_000_000
# bubblewrap takes 9,000 words, and a cover is eight of them.
_MOST_COVERS = 1000
_FRESH_S = 60.0


class Survey:
    """Finds what others may not read: as root, or as its owner, a command could.

    What lies deep in large folders is not looked for at each command: no command changes modes
    there.
    """

    def __init__(self) -> None:
        self._deep: list[str] = []
        self._until = 0.0

    def private(self) -> list[str]:
        if time.monotonic() >= self._until:
            self._deep = [path for place in _LARGE for path in private_below(place)]
            self._until = time.monotonic() + _FRESH_S
        near = (path for place in _LARGE for path in private_below(place, levels=_NEAR))
        return [*private_below(Path("/etc")), *near, *self._deep]


def private_below(
    place: Path, *, levels: int = _EVERY_LEVEL, most: int = _MOST_LOOKED_AT
) -> list[str]:
    """Files and folders; what so many looks do not reach, the deepest, counts as private."""
    found: list[str] = []
    pending = deque([(str(place), 1)])
    while pending:
        folder, level = pending.popleft()
        entries = _entries(folder, most + 1)
        most -= len(entries)
        if most < 0:
            return [*found, folder, *(path for path, _ in pending)]
        for path in entries:
            mode = _mode(path)
            if not _is_open(mode):
                found.append(path)
            elif stat.S_ISDIR(mode) and level < levels:
                pending.append((path, level + 1))
    return found


def outermost(paths: Iterable[str]) -> list[str]:
    """Those that lie in none of the others: nothing can be mounted into what is covered."""
    kept: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not kept or not f"{path}/".startswith(f"{kept[-1]}/"):
            kept.append(path)
    return kept


def few(paths: list[str], *, around: Sequence[Path], most: int = _MOST_COVERS) -> list[str]:
    """No more than can be covered one by one: a folder stands for very many that lie in it.

    Not one that holds a place `around`, of which more must be seen; raises SandboxUnavailable
    where there are too many all the same.
    """
    while len(paths) > most:
        held = Counter(str(Path(path).parent) for path in paths)
        for folder in list(held):
            if any(place.is_relative_to(folder) for place in (*_SURVEYED, *around)):
                del held[folder]
        fullest = max(held.values(), default=0)
        if not fullest:
            places = ", ".join(map(str, _SURVEYED))
            raise SandboxUnavailable(
                f"confining a command: more than {most} private files to hide in {places}",
                hint="sudo chmod o-rx the folders that hold them",
            )
        paths = outermost((*paths, *(each for each, count in held.items() if count == fullest)))
    return paths


def covers(paths: Iterable[str], ways: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Options that cover, and those that seal covers once the ways through them are mounted."""
    options: list[str] = []
    seals: list[str] = []
    for path in paths:
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            is_way = any(way.is_relative_to(path) for way in ways)
            options += ["--size", "65536", "--perms", "0555" if is_way else "0000", "--tmpfs", path]
            (seals if is_way else options).extend(("--remount-ro", path))
        elif mode and not stat.S_ISLNK(mode):
            options += ["--ro-bind", "/dev/null", path]
    return options, seals


def _is_open(mode: int) -> bool:
    if stat.S_ISDIR(mode):
        return mode & 0o005 == 0o005
    return mode == 0 or stat.S_ISLNK(mode) or bool(mode & stat.S_IROTH)


def _entries(folder: str, most: int) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [entry.path for entry in islice(found, most)]
    except OSError:
        return []


def _mode(path: str) -> int:
    """0 for what is gone meanwhile, or out of reach."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
