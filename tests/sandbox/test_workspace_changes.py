"""Compare-and-swap, renames, modes and folders of the workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from workspace_cases import (
    PACKAGES,
    SECRET,
    assert_untouched,
    refused,
    sha256,
    target,
)

from runner.core.errors import StaleInput, StepFailed, WorkspaceSecurityError
from runner.sandbox import files_replacing
from runner.sandbox.files import ABSENT, Change, Workspace
from runner.sandbox.files_opened import Found

OLD = Found(digest=sha256(b"approved"))


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def make_program(path: Path) -> None:
    path.write_bytes(b"approved")
    path.chmod(0o755)


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "inner").write_bytes(b"kept")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_bytes(b"newer"),
    "mode": make_program,
    "link": lambda path: path.symlink_to("../outside/secret.txt"),
    "fifo": os.mkfifo,
    "folder": make_folder,
}


@pytest.mark.parametrize("flagged", [True, False], ids=["renameat2", "plain"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("operation", ["replace", "remove", "move"])
def test_C10_changed_between_look_and_rename(
    root: Path, outside: Path, operation: str, change: str, *, flagged: bool
) -> None:
    """What came in after the look is put back where it was, and nothing of it is lost."""
    CHANGES[change](root / "x")
    before = (root / "x").lstat()
    with target(root, "x") as there, target(root, "y") as new:
        attempts: dict[str, Callable[[], None]] = {
            "replace": lambda: files_replacing.replace(
                there, b"new", found=OLD, mode=0o644, flagged=flagged
            ),
            "remove": lambda: files_replacing.remove(there, found=OLD, flagged=flagged),
            "move": lambda: files_replacing.move(there, new, found=OLD, flagged=flagged),
        }
        with pytest.raises((StaleInput, WorkspaceSecurityError)):
            attempts[operation]()
    after = (root / "x").lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert names(root) == (["x", "x/inner"] if change == "folder" else ["x"])
    assert_untouched(outside)


@pytest.mark.parametrize("flagged", [True, False], ids=["renameat2", "plain"])
def test_C10_vanished_between_look_and_rename(root: Path, *, flagged: bool) -> None:
    """A file that is gone by then is not made anew."""
    with target(root, "x") as there, target(root, "y") as new:
        with pytest.raises(StaleInput, match="found absent"):
            files_replacing.replace(there, b"new", found=OLD, mode=0o644, flagged=flagged)
        with pytest.raises(StaleInput, match="found absent"):
            files_replacing.remove(there, found=OLD, flagged=flagged)
        with pytest.raises(StaleInput, match="found absent"):
            files_replacing.move(there, new, found=OLD, flagged=flagged)
    assert names(root) == []


@pytest.mark.parametrize("flagged", [True, False], ids=["renameat2", "plain"])
def test_C10_appeared_between_look_and_rename(root: Path, *, flagged: bool) -> None:
    """A file that has appeared is not replaced by one that was to be new."""
    (root / "x").write_bytes(b"newer")
    with target(root, "x") as there, pytest.raises(StaleInput, match="expected absent"):
        files_replacing.replace(there, b"new", found=Found(), mode=0o644, flagged=flagged)
    assert names(root) == ["x"]
    assert (root / "x").read_bytes() == b"newer"


def test_C10_stale_file(files: Workspace, root: Path) -> None:
    """A file that changed since approval is left as it is, and both digests are named."""
    (root / "x").write_bytes(b"changed")
    with pytest.raises(StaleInput) as caught:
        files.write("x", b"new", expect=sha256(b"approved"))
    assert sha256(b"approved") in str(caught.value)
    assert sha256(b"changed") in str(caught.value)
    with pytest.raises(StaleInput):
        files.delete("x", expect=sha256(b"approved"))
    with pytest.raises(StaleInput):
        files.rename("x", "a/y", expect=sha256(b"approved"))
    assert names(root) == ["x"]
    assert (root / "x").read_bytes() == b"changed"


def test_C10_absent_is_expected(files: Workspace, root: Path) -> None:
    """`absent` asks for no file, and a digest asks for one; neither makes folders in vain."""
    files.write("new", b"1", expect=ABSENT)
    with pytest.raises(StaleInput, match="expected absent, found sha256:"):
        files.write("new", b"2", expect=ABSENT)
    with pytest.raises(StaleInput, match="found absent"):
        files.write("a/b/new", b"2", expect=sha256(b"1"))
    assert names(root) == ["new"]


def test_rename_tells_both_changes(files: Workspace, root: Path) -> None:
    """A renamed file keeps content and mode; new folders are made, emptied ones are removed."""
    files.write("a/b/x", b"one", mode=0o755)
    assert files.rename("a/b/x", "c/d/y", expect=sha256(b"one")) == (
        Change(path="a/b/x", before=sha256(b"one"), after=None, mode=0o755),
        Change(path="c/d/y", before=None, after=sha256(b"one"), mode=0o755),
    )
    assert names(root) == ["c", "c/d", "c/d/y"]
    assert files.read("c/d/y") == b"one"
    assert (root / "c/d/y").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", ["x", "taken", "folder", "link", "dangling"])
def test_rename_overwrites_nothing(files: Workspace, root: Path, outside: Path, name: str) -> None:
    """A name that a file, folder or link has is no name for another file, its own neither."""
    (root / "x").write_bytes(b"one")
    (root / "taken").write_bytes(b"two")
    (root / "folder").mkdir()
    (root / "link").symlink_to(outside / "secret.txt")
    (root / "dangling").symlink_to("nowhere")
    with pytest.raises(StepFailed, match=f"{name}: File exists"):
        files.rename("x", name)
    assert names(root) == ["dangling", "folder", "link", "taken", "x"]
    assert (root / "taken").read_bytes() == b"two"
    assert_untouched(outside)


def test_rename_of_what_is_absent(files: Workspace, root: Path) -> None:
    """Where there is nothing to rename, no folder is made."""
    for source in ("x", "no/x"):
        with pytest.raises(StepFailed, match=f"{source}: No such file"):
            files.rename(source, "a/y")
    assert names(root) == []


def test_rename_checks_both_paths(files: Workspace, root: Path, outside: Path) -> None:
    """Neither end of a rename leaves the workspace, reaches into .git or passes a link."""
    (root / "x").write_bytes(b"one")
    (root / "link").symlink_to(outside)
    for bad, code in (("../y", "parent"), (".GIT/y", "git_dir"), ("link/secret.txt", "symlink")):
        with refused(code):
            files.rename("x", bad)
        with refused(code):
            files.rename(bad, "y")
    assert names(root) == ["link", "x"]
    assert_untouched(outside)


def test_rename_of_a_folder_pipe_or_link(files: Workspace, root: Path, outside: Path) -> None:
    """Only a regular file with one name is renamed."""
    (root / "folder").mkdir()
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to(outside / "secret.txt")
    os.link(outside / "secret.txt", root / "hard")
    for name, code in (("folder", "not_regular"), ("fifo", "not_regular"), ("link", "symlink")):
        with refused(code):
            files.rename(name, "y")
    with refused("hard_link"):
        files.rename("hard", "y")
    assert names(root) == ["fifo", "folder", "hard", "link"]
    assert (outside / "secret.txt").read_bytes() == SECRET


@pytest.mark.parametrize("bits", [0o4755, 0o2755, 0o1755, 0o6711])
def test_special_mode_bits_do_not_survive(files: Workspace, root: Path, bits: int) -> None:
    """A set-user-id, set-group-id or sticky bit ends with the first write or rename."""
    for name in ("written", "renamed"):
        (root / name).write_bytes(b"old")
        (root / name).chmod(bits)
    assert files.write("written", b"new").mode == 0o755
    files.rename("renamed", "again")
    assert (root / "written").stat().st_mode & 0o7777 == 0o755
    assert (root / "again").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("mode", [0o600, 0o4755, 0o777, 0])
def test_no_other_modes_than_gits(files: Workspace, root: Path, mode: int) -> None:
    """A mode that git cannot record is refused before anything is written."""
    with refused("mode"):
        files.write("x", b"1", mode=mode)
    assert names(root) == []


@pytest.mark.parametrize("umask", [0, 0o77, 0o177])
def test_the_umask_does_not_matter(root: Path, umask: int) -> None:
    """Files get the plan's mode and folders 0755, whatever the process masks."""
    subprocess.run([sys.executable, "-c", UMASK, str(root), str(umask)], check=True, cwd=PACKAGES)
    modes = {name: (root / name).stat().st_mode & 0o7777 for name in names(root)}
    assert modes == {"a": 0o755, "a/b": 0o755, "a/b/plain": 0o644, "a/b/program": 0o755}


UMASK = """
import os, sys
from pathlib import Path
from runner.sandbox.files import Workspace
os.umask(int(sys.argv[2]))
with Workspace(Path(sys.argv[1])) as files:
    files.write("a/b/plain", b"1")
    files.write("a/b/program", b"1", mode=0o755)
"""


def test_delete_leaves_no_empty_folders(files: Workspace, root: Path) -> None:
    """Folders that a delete empties go too, up to one that holds something, never the root."""
    files.write("a/kept", b"1")
    files.write("a/b/c/x", b"1")
    files.delete("a/b/c/x")
    assert names(root) == ["a", "a/kept"]
    files.delete("a/kept")
    assert names(root) == []
    assert root.is_dir()
