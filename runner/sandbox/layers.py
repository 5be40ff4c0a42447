"""Shows a command the workspace and what lies beneath it as one folder, by an overlay mount."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.core.errors import PlanlockError
from runner.core.overlays import OPAQUE, is_whiteout
from runner.sandbox import overlay_process
from runner.sandbox.contract import Backend, Command, Layer, Limits, Room

_SCRIPT = 'test "$(cat one)" = 1 && rm one && echo 2 > two && rm -r folder && mkdir folder'


@contextmanager
def laid(room: Room) -> Iterator[list[str]]:
    """Give the words before a program's own that let it see the room's layers as one."""
    if room.beneath is None:
        yield []
        return
    own = Path(tempfile.mkdtemp(dir=room.beneath.scratch))
    folders = (room.beneath.files, room.workspace, own)
    try:
        yield [sys.executable, "-I", "-S", overlay_process.__file__, *map(str, folders)]
    finally:
        # What cannot be removed goes with the scratch folder.
        with suppress(OSError):
            _remove(own)


def _remove(own: Path) -> None:
    """The kernel closes its folders to everybody."""
    for place, folders, _ in os.walk(own):
        for name in folders:
            Path(place, name).chmod(0o700)
    shutil.rmtree(own)


def hide_below(whiteout: Path) -> None:
    """Put an empty folder in its place, which shows nothing of what lies beneath."""
    whiteout.unlink()
    whiteout.mkdir()
    os.setxattr(whiteout, OPAQUE, b"y")


def try_out(backend: Backend, folder: Path) -> bool:
    """Let a command change what lies beneath, and look whether it did so in the workspace alone."""
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            beneath, workspace, scratch = (Path(name, each) for each in ("beneath", "on", "own"))
            for each in (beneath / "folder", workspace, scratch):
                each.mkdir(parents=True)
            for file in ("one", "two", "folder/old"):
                (beneath / file).write_text("1\n")
            layer = Layer(files=beneath, scratch=scratch)
            room = Room(workspace=workspace, mount_at=workspace, beneath=layer)
            _run(backend, room)
            return _is_exact(beneath, workspace)
    except (PlanlockError, OSError):
        return False


def _run(backend: Backend, room: Room) -> None:
    command = Command(script=_SCRIPT, limits=Limits(timeout_s=30))
    backend.run(command, room, on_output=lambda _: None, cancelled=lambda: False)


def _is_exact(beneath: Path, workspace: Path) -> bool:
    gone = (workspace / "one").lstat()
    return (
        all((beneath / each).read_text() == "1\n" for each in ("one", "two", "folder/old"))
        and is_whiteout(gone.st_mode, gone.st_rdev)
        and (workspace / "two").read_text() == "2\n"
        and os.getxattr(workspace / "folder", OPAQUE) == b"y"
    )
