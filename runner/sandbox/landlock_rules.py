"""What a command may do to which files under Landlock: everything else is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from runner.core.errors import SandboxUnavailable
from runner.sandbox import tools
from runner.sandbox.contract import Room

_ROOT_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
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


def rules(room: Room, scratch: Path) -> list[Rule]:
    """Raises SandboxUnavailable for an unfit room."""
    return [
        *_system(),
        *(Rule(path=real, access=RUN) for real, _ in tools.folders(room)),
        *(Rule(path=_present(folder), access=READ) for folder in room.git_objects),
        Rule(path=_present(room.workspace), access=OWN),
        Rule(path=scratch, access=OWN),
    ]


def _system() -> Iterator[Rule]:
    roots = (Path(f"/{name}") for name in _ROOT_FOLDERS)
    for folder in (*tools.SHOWN, *roots):
        if folder.is_dir():
            yield Rule(path=folder, access=RUN)
    yield Rule(path=Path("/proc"), access=READ)
    yield from _open_parts(Path("/etc"))
    for name in _DEVICES:
        yield Rule(path=Path("/dev") / name, access=Access.READ_FILE | Access.WRITE_FILE)


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        raise SandboxUnavailable(f"confining a command: the folder {folder} is missing")
    return folder


def _open_parts(folder: Path) -> list[Rule]:
    """What everybody may read: as root, or as its owner, a command could read the rest too.

    A grant holds for all that is below a folder, so a folder with something closed in it is
    granted in parts, and cannot be listed itself.
    """
    parts, whole = _survey(folder)
    return [Rule(path=folder, access=READ)] if whole else parts


def _survey(folder: Path) -> tuple[list[Rule], bool]:
    """The grants for a folder's parts, and whether all below it is open."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return [], False
    found: list[Rule] = []
    whole = True
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue  # gone meanwhile
        if stat.S_ISDIR(mode):
            parts, is_open = _survey(Path(entry.path)) if mode & 0o005 == 0o005 else ([], False)
            found += [Rule(path=Path(entry.path), access=READ)] if is_open else parts
            whole &= is_open
        elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
            found.append(Rule(path=Path(entry.path), access=Access.READ_FILE))
        elif not stat.S_ISLNK(mode):
            whole = False
    return found, whole
