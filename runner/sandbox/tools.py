"""Which folders of the machine a command may see as its tools, judged where they really lie."""

from __future__ import annotations

import pwd
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox.contract import Room

SHOWN = (Path("/usr"), Path("/opt"))
# Other users' files, kernel settings, sockets: what is hidden here must not return as a tool.
_CLOSED = tuple(map(Path, ("/etc", "/proc", "/dev", "/sys", "/run", "/boot", "/var/run")))
_SYSTEM = (*SHOWN, *_CLOSED, *map(Path, ("/var", "/home", "/tmp", "/var/tmp")))  # noqa: S108 - compared with, never written to


def folders(room: Room) -> Iterator[tuple[Path, Path]]:
    """Yield (real folder, place inside) to show for a room's tools; raises SandboxUnavailable."""
    return checked(room, (each for each in _named(room) if not is_shown(each)))


def shown(room: Room) -> Iterator[Path]:
    """Yield those that lie among the machine's programs, and are there without being shown."""
    return (each for each in _named(room) if is_shown(each))


def checked(room: Room, places: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield (real folder, place inside); raises SandboxUnavailable for what must stay hidden."""
    return ((_real(room, place), place) for place in places)


def is_shown(folder: Path) -> bool:
    return any(folder.is_relative_to(place) for place in SHOWN)


def _named(room: Room) -> Iterator[Path]:
    for tool in room.tools:
        if not tool.is_dir():
            raise SandboxUnavailable(f"confining a command: the tool folder {tool} is missing")
        for folder in (tool, *base_prefix(tool)):
            if ".." in folder.parts:
                raise _refused(folder, "leads through `..`")
            yield folder


def base_prefix(tool: Path) -> list[Path]:
    """The interpreter behind a virtual environment (`home = …/bin` in pyvenv.cfg)."""
    try:
        config = (tool / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _refused(tool / "pyvenv.cfg", str(error.strerror)) from error
    found = re.search(r"^home\s*=\s*(/.*?)\s*$", config, re.MULTILINE)
    prefix = Path(found[1]).parent if found else Path("/")
    try:
        is_prefix = (prefix / "bin").is_dir() and (prefix / "lib").is_dir()
    except OSError as error:
        raise _refused(tool / "pyvenv.cfg", str(error.strerror)) from error
    if not is_prefix:
        raise SandboxUnavailable(f"confining a command: {tool}/pyvenv.cfg: home is no interpreter")
    return [prefix]


def _real(room: Room, folder: Path) -> Path:
    try:
        real = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _refused(folder, "does not lead to a folder") from error
    if any(place.is_relative_to(real) for place in _homes()) or _looks_like_home(real):
        raise _refused(folder, "is or holds a home folder")
    if any(place.is_relative_to(real) for place in (room.mount_at, room.workspace, *_SYSTEM)):
        raise _refused(folder, f"is {real}, which would show or hide other folders")
    if any(_meet(real, place.resolve()) for place in room.closed):
        raise _refused(folder, f"is {real}, which holds or belongs to a git repository's own files")
    if any(real.is_relative_to(place) for place in _CLOSED):
        raise _refused(folder, f"is {real}, which is closed to commands")
    return real


def _meet(first: Path, second: Path) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)


def _homes() -> set[Path]:
    """Those of people and services; what names `/` or `/bin` as its home has none."""
    homes = {Path(entry.pw_dir) for entry in pwd.getpwall() if entry.pw_dir.count("/") > 1}
    return {Path("/root"), *homes}


def _looks_like_home(real: Path) -> bool:
    return real.name in {".local", ".ssh", ".gnupg"} or (real / ".ssh").exists()


def _refused(folder: Path, why: str) -> SandboxUnavailable:
    hint = "name a folder of tools in sandbox.tools of plans/policy.yaml"
    return SandboxUnavailable(f"confining a command: the tool {folder} {why}", hint=hint)
