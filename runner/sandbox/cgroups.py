"""A control group for one command: the kernel's own cap on its processes, and on its memory.

Version 2, else the `pids` hierarchy of version 1, where the runner may make a group at all.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from runner.sandbox.contract import Limits

# What confines a command needs a few processes for itself.
SPARE_PROCESSES = 4
_PREFIX = "planlock-"
_PATIENCE_S = 5.0
_PAUSE_S = 0.01
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder below which groups can be made, and the controllers that they get there."""

    folder: Path
    controllers: frozenset[str]


class Group:
    """Holds what is added to it, and all that descends from that; removed at the end."""

    def __init__(self, folder: Path, remake: Callable[[], Path] | None = None) -> None:
        self.folder = folder
        self._remake = remake

    @classmethod
    def make(cls, limits: Limits, *, places: Iterable[Place] | None = None) -> Group | None:
        """None where no controller of processes can be had: then only the watchdog counts."""
        for place in find_places() if places is None else places:
            with suppress(OSError):
                _sweep(place.folder)
                return cls(_make(place, limits), partial(_make, place, limits))
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        until = time.monotonic() + _PATIENCE_S
        # A process that has just died is still counted for a moment. What stays is swept later.
        while not _removed(self.folder) and time.monotonic() < until:
            time.sleep(_PAUSE_S)

    def add(self, pid: int) -> bool:
        """Whether the process is held; what it has started before is not.

        A group that was removed before anything joined it is made once more. One that holds
        nothing is closed: then only the watchdog counts.
        """
        try:
            self._add(pid)
        except OSError:
            _removed(self.folder)
            return False
        return True

    def _add(self, pid: int) -> None:
        try:
            _join(self.folder, pid)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENODEV} or self._remake is None:
                raise
            self.folder = self._remake()
            _join(self.folder, pid)

    def limit_hit(self) -> str:
        """`processes` or `memory` once the kernel has refused more of it, else empty."""
        if _events(self.folder / "pids.events").get("max"):
            return "processes"
        return "memory" if _events(self.folder / "memory.events").get("oom_kill") else ""

    def seal(self) -> None:
        """Lets nothing more be started, so that no killing can be outrun."""
        with suppress(OSError):
            (self.folder / "pids.max").write_text("0")

    def kill(self) -> None:
        """Returns when nobody is left, or after seconds of trying."""
        self.seal()
        until = time.monotonic() + _PATIENCE_S
        while (members := self._members()) and time.monotonic() < until:
            self._kill(members)
            time.sleep(_PAUSE_S)

    def _kill(self, members: list[int]) -> None:
        every_one = self.folder / "cgroup.kill"
        if every_one.exists():
            with suppress(OSError):
                every_one.write_text("1")
                return
        for pid in members:
            self._kill_one(pid)

    def _kill_one(self, pid: int) -> None:
        """A process id may have been given away since: the handle is checked, then used."""
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if pid in self._members():
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)

    def _members(self) -> list[int]:
        with suppress(OSError):
            return list(map(int, (self.folder / "cgroup.procs").read_text().split()))
        return []


def find_places(proc: Path = Path("/proc/self")) -> list[Place]:
    """Where groups may be made, the best first."""
    own = dict(_memberships(proc))
    places: list[Place] = []
    for kind, root, mounted, options in _mounts(proc):
        if kind == "cgroup2" and "" in own:
            places[:0] = _place_v2(mounted, _below(mounted, root, own[""]))
        elif kind == "cgroup" and "pids" in options and "pids" in own:
            places += _place_v1(_below(mounted, root, own["pids"]))
    return places


def _memberships(proc: Path) -> Iterator[tuple[str, str]]:
    """Yield (controller, path), for version 2 with an empty name."""
    with suppress(OSError):
        for line in (proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in controllers.split(","):
                yield name, path


def _mounts(proc: Path) -> Iterator[tuple[str, str, Path, list[str]]]:
    """Yield (type, root, mount point, options) of each mounted hierarchy."""
    with suppress(OSError):
        for line in (proc / "mountinfo").read_text().splitlines():
            place, _, device = line.partition(" - ")
            kind, _, options = device.split(" ", 2)
            if kind in {"cgroup", "cgroup2"}:
                fields = place.split(" ")
                yield kind, fields[3], Path(fields[4]), options.split(",")


def _below(mounted: Path, root: str, own: str) -> Path | None:
    """Where our own group lies; a mount may show only a part of the hierarchy."""
    if ".." in own.split("/") or not Path(own).is_relative_to(root):
        return None
    return mounted / Path(own).relative_to(root)


def _place_v1(own: Path | None) -> list[Place]:
    if own is None or not _may_join(own):
        return []
    return [Place(folder=own, controllers=frozenset({"pids"}))]


def _place_v2(mounted: Path, own: Path | None) -> list[Place]:
    """The nearest group above us that hands its controllers on, and is ours to divide."""
    if own is None:
        return []
    for folder in (own, *own.parents):
        if not folder.is_relative_to(mounted):
            break
        with suppress(OSError):
            controllers = frozenset((folder / "cgroup.subtree_control").read_text().split())
            if "pids" in controllers:
                return [Place(folder=folder, controllers=controllers)] if _may_join(folder) else []
    return []


def _may_join(folder: Path) -> bool:
    """Moving a process asks for the right to write to the group that is above both."""
    return os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _join(folder: Path, pid: int) -> None:
    descriptor = os.open(folder / "cgroup.procs", os.O_WRONLY)
    try:
        os.write(descriptor, str(pid).encode())
    finally:
        os.close(descriptor)


def _make(place: Place, limits: Limits) -> Path:
    folder = place.folder / f"{_prefix()}{os.getpid()}-{next(_numbers)}"
    folder.mkdir()
    try:
        (folder / "pids.max").write_text(str(limits.processes + SPARE_PROCESSES))
        if "memory" in place.controllers:
            (folder / "memory.max").write_text(str(limits.memory_bytes))
            if (folder / "memory.swap.max").exists():
                (folder / "memory.swap.max").write_text("0")
    except OSError:
        _removed(folder)
        raise
    return folder


def _prefix() -> str:
    """Numbers of processes mean something in their own namespace only."""
    return f"{_PREFIX}{Path('/proc/self/ns/pid').stat().st_ino}-"


def _sweep(place: Path) -> None:
    """Removes what runners left that were killed; a group with processes in it cannot be removed."""
    prefix = _prefix()
    for folder in place.glob(f"{prefix}*"):
        pid = folder.name.removeprefix(prefix).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _removed(folder)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _events(file: Path) -> Mapping[str, int]:
    with suppress(OSError, ValueError):
        pairs = (line.split() for line in file.read_text().splitlines())
        return {name: int(count) for name, count in pairs}
    return {}
