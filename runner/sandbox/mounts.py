"""What bubblewrap is told to show: the verified flags, with a room's own folders put in."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.core.errors import SandboxUnavailable, WorkspaceSecurityError
from runner.core.overlays import is_whiteout
from runner.sandbox import layers, tools
from runner.sandbox.contract import Room
from runner.sandbox.mounts_private import Survey, covers, few, outermost

HOME = "/home/sandbox"
TMP = "/tmp"  # noqa: S108 - a private one, inside the sandbox
_NAMESPACES = shlex.split(
    "--unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net --unshare-cgroup-try "
    "--disable-userns --die-with-parent --new-session --cap-drop ALL --hostname sandbox"
)
_SYSTEM = shlex.split(
    "--ro-bind /usr /usr --ro-bind /etc /etc --ro-bind-try /opt /opt "
    "--proc /proc --dev /dev --size 67108864 --perms 1777 --tmpfs /dev/shm "
    "--size 268435456 --perms 1777 --tmpfs /tmp --size 16777216 --tmpfs /run "
    "--dir /var --symlink ../tmp /var/tmp --symlink ../run /var/run "
    f"--size 67108864 --perms 0700 --tmpfs {HOME}"
)
# For a command of root /proc/sys would be the machine's own (core_pattern runs a program as
# root outside), and /dev would hold files without a limit.
_SEALED = ("--remount-ro", "/proc", "--remount-ro", "/dev")
_ROOT_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM_FOLDERS = (
    *("/usr", "/etc", "/opt", "/proc", "/dev", "/sys", "/run", "/boot", "/var", HOME),
    *("/tmp", "/var/tmp", "/var/run"),  # noqa: S108 - compared with, never written to
    *(f"/{name}" for name in _ROOT_LINKS),
)
_CLOSED_FOLDERS = (
    *("/usr", "/etc", "/proc", "/dev", "/sys", "/run", "/boot", "/var/run", HOME),
    *(f"/{name}" for name in _ROOT_LINKS),
)
_SOURCE_FOLDERS = ("/usr/src", "/usr/local/src")


def bwrap_options(
    room: Room, *, working_dir: str, env: dict[str, str], survey: Survey
) -> list[str]:
    """All options but those of descriptors; raises SandboxUnavailable for an unfit room."""
    _check_place(room.mount_at)
    inside = str(room.mount_at)
    hidden = _hidden(room, survey)
    shown = [place for place in tools.shown(room) if _is_in(place, (*hidden, inside))]
    covered, seals = covers(hidden, (room.mount_at, *room.git_objects, *shown))
    mounts = [
        *_root_links(),
        *_SYSTEM,
        *_SEALED,
        *covered,
        *("--bind", str(room.workspace), inside),
        *_read_only(room),
        *_objects(room),
        *_tools(room, shown),
        *seals,
    ]
    variables = [part for name, value in env.items() for part in ("--setenv", name, value)]
    folder = os.path.normpath(f"{inside}/{working_dir}")
    return [*_NAMESPACES, *mounts, "--remount-ro", "/", *variables, "--chdir", folder]


@contextmanager
def mount_points(room: Room) -> Iterator[None]:
    """Empty folders in the workspace for what is mounted inside it, gone again afterwards."""
    made: list[Path] = []
    places = (*room.tools, *room.git_objects)
    try:
        for place in places:
            if place.is_relative_to(room.mount_at):
                _make_folders(room, place.relative_to(room.mount_at), made)
        yield
    finally:
        for folder in reversed(made):
            # A command may have put something beside the mount: then the folder is its own.
            with suppress(OSError):
                folder.rmdir()


def _make_folders(room: Room, relative: Path, made: list[Path]) -> None:
    for at in range(1, len(relative.parts) + 1):
        inside = Path(*relative.parts[:at])
        folder = room.workspace / inside
        found = _status(folder)
        if found is None and not _is_other(room, inside):
            folder.mkdir()
            made.append(folder)
        elif found is not None and room.beneath and is_whiteout(found.st_mode, found.st_rdev):
            layers.hide_below(folder)
            made.append(folder)
        elif found is None or not stat.S_ISDIR(found.st_mode):
            # bwrap would follow a link and mount, or even create, somewhere else.
            raise WorkspaceSecurityError(
                str(relative), "a tool's place is not a folder", reason_code="symlink"
            )


def _is_other(room: Room, inside: Path) -> bool:
    """Whether something that is no folder lies beneath, and would be hidden by one."""
    beneath = _status(room.beneath.files / inside) if room.beneath else None
    return beneath is not None and not stat.S_ISDIR(beneath.st_mode)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _check_place(mount_at: Path) -> None:
    place = str(mount_at)
    if not mount_at.is_absolute() or os.path.normpath(place) != place:
        raise SandboxUnavailable(f"confining a command: workspace path {place!r} is not absolute")
    hides = any(Path(folder).is_relative_to(mount_at) for folder in _SYSTEM_FOLDERS)
    closed = any(mount_at.is_relative_to(folder) for folder in _CLOSED_FOLDERS)
    source = any(mount_at.is_relative_to(folder) for folder in _SOURCE_FOLDERS)
    if hides or (closed and not source):
        raise SandboxUnavailable(
            f"confining a command: the workspace at {place} would hide a system folder",
            hint="git clone the repository into a folder of its own, such as ~/project",
        )


def _root_links() -> list[str]:
    links = [name for name in _ROOT_LINKS if Path(f"/usr/{name}").is_dir()]
    return [part for name in links for part in ("--symlink", f"usr/{name}", f"/{name}")]


def _hidden(room: Room, survey: Survey) -> list[str]:
    """What is private, and git's own folders, where everything else is shown.

    What lies in the workspace's place is covered by that.
    """
    closed = [folder.resolve() for folder in room.closed]
    shown = [str(each) for each in closed if tools.is_shown(each)]
    every = outermost((*survey.private(), *shown))
    private = [path for path in every if not Path(path).is_relative_to(room.mount_at)]
    return few(private, around=list(tools.shown(room)))


def _is_in(place: Path, folders: Iterable[str]) -> bool:
    return any(place.is_relative_to(folder) for folder in folders)


def _read_only(room: Room) -> list[str]:
    options: list[str] = []
    for relative in room.read_only:
        _refuse_links(room.workspace, relative)
        host = room.workspace / relative
        if host.exists():
            options += ["--ro-bind", str(host), str(room.mount_at / relative)]
    return options


def _refuse_links(workspace: Path, relative: str) -> None:
    """A link would leave what it stands for writable under its real name."""
    host = workspace
    for name in Path(relative).parts:
        host /= name
        if host.is_symlink():
            raise WorkspaceSecurityError(relative, "is a symbolic link", reason_code="symlink")


def _objects(room: Room) -> list[str]:
    return [
        part
        for folder in room.git_objects
        for part in ("--ro-bind", str(folder), _apart(room, folder))
    ]


def _tools(room: Room, covered: list[Path]) -> list[str]:
    return [
        part
        for real, place in (*tools.folders(room), *tools.checked(room, covered))
        for part in ("--ro-bind", str(real), _apart(room, place))
    ]


def _apart(room: Room, folder: Path) -> str:
    """A folder that holds the workspace or a system folder would cover it."""
    covered = (room.mount_at, *map(Path, _SYSTEM_FOLDERS))
    if not folder.is_absolute() or any(place.is_relative_to(folder) for place in covered):
        raise SandboxUnavailable(f"confining a command: {folder} would hide other folders")
    return str(folder)
