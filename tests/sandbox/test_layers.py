"""Commands that see a workspace over other files: the same confinement, and exact marks."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ordinary_user import as_nobody, folder_of_nobody
from sandbox_run import Run, bound, gone, python

from runner.core.errors import SandboxUnavailable, WorkspaceSecurityError
from runner.core.overlays import OPAQUE, is_whiteout
from runner.sandbox import layers
from runner.sandbox.commands import Backend, Command, Limits, Room, find_backend
from runner.sandbox.contract import Layer


@pytest.fixture
def beneath(tmp_path: Path) -> Path:
    folder = tmp_path / "beneath"
    (folder / "dir").mkdir(parents=True)
    for name in ("low", "tool", "dir/a", "dir/b"):
        (folder / name).write_text(f"{name}\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("dir")
    return folder


@pytest.fixture
def room(room: Room, beneath: Path, tmp_path: Path) -> Room:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return replace(room, beneath=Layer(files=beneath, scratch=scratch))


@pytest.fixture(autouse=True)
def unchanged(beneath: Path) -> Iterator[None]:
    """Whatever a command does, the files beneath keep content, mode, times and names."""
    before = looks(beneath)
    yield
    assert looks(beneath) == before


def looks(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        marks = os.listxattr(path, follow_symlinks=False)
        found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_nlink, content, *marks)
    return found


def test_both_are_seen_as_one(run: Run, workspace: Path, room: Room) -> None:
    """Files beneath show where the workspace has none, and what is written goes into it."""
    outcome = run("cat utils.py low; echo new > new; echo more >> low; rm tool; ls")
    assert outcome.output.split() == [*b"ONE = 1 low dir link low new plans utils.py".split()]
    assert (workspace / "low").read_text() == "low\nmore\n"
    gone_file = (workspace / "tool").lstat()
    assert is_whiteout(gone_file.st_mode, gone_file.st_rdev)
    assert room.beneath
    assert list(room.beneath.scratch.iterdir()) == []


ATTACKS = [
    "mknod made c 0 0",
    "rm low; mknod low c 0 0",
    "mv -T dir/a low; chmod 0 low; chmod -R 0 dir",
    "ln low hard; echo x > hard; ln -f utils.py low",
    "touch .wh.low .wh..wh..opq dir/.wh.a",
    "rm -r dir; mkdir dir; touch dir/b; mv dir moved; mkdir dir",
    "truncate -s 0 low; chown 12:12 low; touch -d @1 low dir link",
    "exec 9<>low; rm low; echo x >&9; cat /proc/self/fd/9 > /proc/self/fd/9",
    "for p in /proc/[0-9]*; do echo x > $p/root/../beneath/low; echo x > $p/cwd/../beneath/low; done",
    "umount .; umount -l $PWD; mount -o remount,lowerdir=/tmp $PWD; mount --bind /tmp dir",
    "cat /proc/self/mountinfo; for n in 3 4 5 6 7 8; do ls /proc/self/fd/$n/; touch /proc/self/fd/$n/x; done",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_D01_what_lies_beneath_is_out_of_reach(run: Run, attack: str) -> None:
    """Nothing that a command does to what it sees, or finds in /proc, changes it."""
    run(attack)


FORGED = """
import os
for name in ("opaque", "whiteout", "redirect", "origin", "metacopy"):
    for prefix in ("user.overlay.", "trusted.overlay."):
        for path in ("dir", "low", "made"):
            try:
                os.setxattr(path, prefix + name, b"y")
            except OSError:
                pass
"""


def test_D02_marks_cannot_be_forged(run: Run, workspace: Path) -> None:
    """A command can neither write the kernel's marks nor read files beneath another name."""
    run("mkdir made; touch low dir")
    python(run, FORGED)
    assert run("cat low dir/a").output == b"low\ndir/a\n"
    marks = {each for path in workspace.rglob("*") for each in os.listxattr(path)}
    assert OPAQUE not in marks
    assert not {each for each in marks if each.endswith((".redirect", ".metacopy"))} & {
        "user.overlay.redirect",
        "user.overlay.metacopy",
    }


def test_D02_protected_folders_beneath_cannot_be_written(run: Run, room: Room) -> None:
    """A folder of the workspace that is read-only is so with what shows in it from beneath."""
    assert room.beneath
    assert run("echo x > plans/policy.yaml || rm plans/policy.yaml || mv plans p").exit_code == 1
    assert run("rm -rf .git || mv .git g").exit_code == 1


def test_folders_are_renamed_as_in_a_container(run: Run) -> None:
    """rename(2) of a folder beneath says EXDEV, and mv copies."""
    code = "import os\ntry: os.rename('dir', 'other')\nexcept OSError as e: print(e.errno)"
    assert python(run, code) == f"{errno.EXDEV}\n"
    assert run("mv dir other; ls other").output == b"a\nb\n"


class TestPlacesOfTools:
    """Where a tool lies in the project, its place is a folder of the workspace."""

    @pytest.mark.parametrize("is_gone, seen", [(False, b"a b objects"), (True, b"objects")])
    def test_nothing_is_left(
        self,
        confined: Backend,
        room: Room,
        tmp_path: Path,
        is_gone: bool,  # noqa: FBT001  # drawn from a table
        seen: bytes,
    ) -> None:
        """Neither in a folder that is beneath alone, nor where one beneath is gone."""
        objects = tmp_path / "project/dir/objects"
        objects.mkdir(parents=True)
        (objects / "x").write_text("kept\n")
        if is_gone:
            os.mknod(room.workspace / "dir", stat.S_IFCHR)
        inside = replace(room, mount_at=tmp_path / "project", git_objects=(objects,), tools=())
        outcome = bound(confined, inside)("cat dir/objects/x; echo $(ls dir)")
        assert outcome.output == b"kept\n%b\n" % seen
        assert not (room.workspace / "dir").exists()

    @pytest.mark.parametrize("place", ["link/inner", "low/inner"])
    def test_C02_a_link_beneath_is_not_followed(
        self, confined: Backend, room: Room, workspace: Path, place: str
    ) -> None:
        """Nor hidden by a folder in its place."""
        inside = replace(room, git_objects=(room.mount_at / place,))
        with pytest.raises(WorkspaceSecurityError, match="not a folder"):
            bound(confined, inside)("true")
        assert not (workspace / place).parent.exists()


def test_D09_cancelled(run: Run, marker: str) -> None:
    """The whole tree of a cancelled command ends."""
    asked = threading.Event()
    outcome = run(
        f"sleep {marker} & echo on; sleep {marker}",
        on_output=lambda _: asked.set(),
        cancelled=asked.is_set,
    )
    assert outcome.cancelled
    assert gone(marker)


def test_limits_of_files_end_a_command(run: Run, workspace: Path) -> None:
    """As without a layer: the program in between leaves no signal ignored."""
    script = "head -c 5000000 /dev/zero > big"
    outcome = run(Command(script=script, limits=Limits(timeout_s=120, file_bytes=1 << 20)))
    assert (outcome.signal, outcome.limit_hit) == (signal.SIGXFSZ, "file_size")
    assert (workspace / "big").stat().st_size == 1 << 20
    assert run("yes | head -1; echo ${PIPESTATUS[0]}").output == b"y\n141\n"


def test_what_cannot_be_laid_does_not_start(confined: Backend, room: Room) -> None:
    """A folder beneath that is not there is no failure of the command."""
    assert room.beneath
    layer = replace(room.beneath, files=room.beneath.files / "none")
    with pytest.raises(SandboxUnavailable, match="overlay: No such file"):
        bound(confined, replace(room, beneath=layer))("true")


def _try_out(folder: Path) -> None:
    assert find_backend("confined").can_layer(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("confined")
def test_ordinary_user() -> None:
    """Layers need no privilege, and what the trial used is gone."""
    with folder_of_nobody() as folder:
        as_nobody(partial(_try_out, folder))


def test_trial(confined: Backend, tmp_path: Path) -> None:
    """It tells where layers can be had; where they cannot it says so and leaves nothing."""
    place = tmp_path / "place"
    place.mkdir()
    assert confined.can_layer(place)
    assert not layers.try_out(find_backend("none"), place)
    assert list(place.iterdir()) == []
    assert not layers.try_out(confined, place / "none")
    assert not find_backend("none").can_layer(place)
