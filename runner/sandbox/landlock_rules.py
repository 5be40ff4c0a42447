"""What a command may do to which files under Landlock: everything else is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import tools
from runner.sandbox.contract import Room

_ROOT_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_MOST_LOOKED_AT = 20_000
_DEVICES = ("null", "zero", "full", "random", "urandom")


class Access(IntFlag):
    """The kernel's numbers (landlock(7)); all of them are known from ABI 5 on."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


ALL = Access((1 << 16) - 1)
READ = Access.READ_FILE | Access.READ_DIR
RUN = READ | Access.EXECUTE
OWN = ALL & ~(Access.MAKE_CHAR | Access.MAKE_BLOCK | Access.MAKE_SOCK | Access.IOCTL_DEV)
_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
# Files, TCP (no port is ever granted), and what may leave the command by sockets and signals.
HANDLED = (int(ALL), _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A grant for a file, or for a folder with all below it."""

    path: Path
    access: Access


def rules(room: Room, scratch: Path, *, system: Sequence[Rule]) -> list[Rule]:
    """Raises SandboxUnavailable for an unfit room."""
    _check_closed(room)
    return [
        *system,
        *(Rule(path=real, access=RUN) for real, _ in tools.folders(room)),
        *(Rule(path=real, access=RUN) for real, _ in tools.checked(room, _own_tools(room))),
        *(Rule(path=_present(folder), access=READ) for folder in room.git_objects),
        Rule(path=_present(room.workspace), access=OWN),
        Rule(path=scratch, access=OWN),
    ]


def system() -> tuple[Rule, ...]:
    """What everybody may read now; found once, so that no command widens it for the next."""
    return tuple(_system())


def _system() -> Iterator[Rule]:
    roots = (Path(f"/{name}") for name in _ROOT_FOLDERS)
    yield from (Rule(path=each, access=RUN) for each in roots if _is_apart(each))
    yield from _programs(Path("/usr"))
    yield from open_parts(Path("/opt"), RUN, owner=_owner())
    yield Rule(path=Path("/proc"), access=READ)
    yield from open_parts(Path("/etc"), READ, owner=_owner())
    for name in _DEVICES:
        yield Rule(path=Path("/dev") / name, access=Access.READ_FILE | Access.WRITE_FILE)


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        raise SandboxUnavailable(f"confining a command: the folder {folder} is missing")
    return folder


def _check_closed(room: Room) -> None:
    """Nothing below what is granted as a whole can be taken away again."""
    for folder in (room.mount_at, *room.closed):
        real = folder.resolve()
        if any(real.is_relative_to(shown) for shown in tools.SHOWN):
            raise SandboxUnavailable(
                f"confining a command: Landlock cannot hide {real} from it",
                hint="git clone the repository into a folder of its own, such as ~/project",
            )


def _own_tools(room: Room) -> Iterator[Path]:
    """What the team has named among the machine's programs is there whoever's parts it has."""
    return (each for each in tools.shown(room) if each.resolve() not in tools.SHOWN)


def _owner() -> int | None:
    """Whose files a command could open up for later ones; as root everything would be meant."""
    return os.geteuid() or None


def _is_apart(root: Path) -> bool:
    return root.is_dir() and not root.resolve().is_relative_to("/usr")


def _programs(folder: Path) -> Iterator[Rule]:
    """The distribution's own files hold no secrets; what was put into `local` is surveyed."""
    local = open_parts(folder / "local", RUN, owner=_owner())
    if local == [Rule(path=folder / "local", access=RUN)]:
        yield Rule(path=folder, access=RUN)
        return
    yield from local
    others = sorted(each for each in folder.iterdir() if each.name != "local")
    yield from (Rule(path=each, access=RUN) for each in others if _is_real_folder(each))


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def open_parts(folder: Path, access: Access, *, owner: int | None = None) -> list[Rule]:
    """What everybody may read: as root, or as its owner, a command could read the rest too.

    Nor is it what belongs to the owner: a command could have changed the mode.
    A grant holds for all that is below a folder, so a folder with something closed in it is
    granted in parts, and cannot be listed itself.
    """
    parts, whole = _Survey(access, owner).of(folder)
    return [Rule(path=folder, access=access)] if whole else parts


class _Survey:
    """Looks at so many files at most; a folder that it did not get through is not granted."""

    def __init__(self, access: Access, owner: int | None) -> None:
        self._access = access
        self._owner = owner
        self._left = _MOST_LOOKED_AT

    def of(self, folder: Path) -> tuple[list[Rule], bool]:
        """The grants for a folder's parts, and whether all below it is open."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            return [], False
        self._left -= len(entries)
        if self._left < 0:
            return [], False
        judged = [self._part(entry) for entry in entries]
        parts = [rule for rules, _ in judged for rule in rules]
        return parts, all(is_open for _, is_open in judged)

    def _part(self, entry: os.DirEntry[str]) -> tuple[list[Rule], bool]:
        if entry.is_symlink():
            return [], True
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return [], True
        except OSError:
            return [], False
        if found.st_uid == self._owner:
            return [], False
        return self._known(Path(entry.path), found.st_mode)

    def _known(self, path: Path, mode: int) -> tuple[list[Rule], bool]:
        if stat.S_ISDIR(mode):
            parts, is_open = self.of(path) if mode & 0o005 == 0o005 else ([], False)
            return ([Rule(path=path, access=self._access)] if is_open else parts), is_open
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            return [Rule(path=path, access=self._access & ~Access.READ_DIR)], True
        return [], False
