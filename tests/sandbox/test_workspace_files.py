from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workspace_cases import (
    SECRET,
    Way,
    assert_untouched,
    make_outside,
    refused,
    sha256,
)

from runner.core.errors import (
    FileAccessError,
    PlanlockError,
    StepFailed,
    WorkspaceSecurityError,
)
from runner.sandbox.files import Change, Workspace

OPERATIONS: dict[str, Callable[[Workspace, str], object]] = {
    "read": lambda files, path: files.read(path),
    "digest": lambda files, path: files.digest(path),
    "write": lambda files, path: files.write(path, b"x"),
    "delete": lambda files, path: files.delete(path),
    "rename": lambda files, path: files.rename(path, "free"),
    "rename to": lambda files, path: files.rename("there", path),
    "check_folder": lambda files, path: files.check_folder(path),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS)


def test_a_written_file_reads_back(files: Workspace, root: Path) -> None:
    """Write makes parent folders, tells the digests, and leaves nothing else behind."""
    change = files.write("a/b/c.txt", b"one")
    assert change == Change(path="a/b/c.txt", before=None, after=sha256(b"one"), mode=0o644)
    assert files.read("a/b/c.txt") == b"one"
    assert files.digest("a/b/c.txt") == sha256(b"one")
    assert [path.name for path in root.rglob("*")] == ["a", "b", "c.txt"]
    assert (root / "a/b/c.txt").stat().st_mode & 0o777 == 0o644


def test_replacing_keeps_the_mode(files: Workspace, root: Path) -> None:
    """A replaced file keeps its permission bits unless others are asked for."""
    (root / "run.sh").write_bytes(b"old")
    (root / "run.sh").chmod(0o755)
    assert files.write("run.sh", b"new") == Change(
        path="run.sh", before=sha256(b"old"), after=sha256(b"new"), mode=0o755
    )
    assert files.write("run.sh", b"newer", mode=0o644).mode == 0o644
    assert (root / "run.sh").stat().st_mode & 0o777 == 0o644


def test_delete_tells_what_was_there(files: Workspace, root: Path) -> None:
    """Delete removes the file and tells its digest."""
    (root / "x").write_bytes(b"old")
    assert files.delete("x", expect=sha256(b"old")).before == sha256(b"old")
    assert files.digest("x") is None
    with pytest.raises(StepFailed, match="x: No such file"):
        files.read("x")


def test_deleting_what_is_absent_is_an_error(files: Workspace) -> None:
    """Nothing can be deleted where nothing is, in a missing folder neither."""
    for path in ("x", "no/x"):
        with pytest.raises(PlanlockError):
            files.delete(path)


def test_validate_path_refuses_as_designed(files: Workspace) -> None:
    """The name alone is enough to refuse."""
    assert files.validate_path("a/b.txt") == "a/b.txt"
    with refused("parent"):
        files.validate_path("../../etc/passwd")


@every_operation
@pytest.mark.parametrize(
    "path,code",
    [
        ("../outside/secret.txt", "parent"),
        ("a/../../outside/secret.txt", "parent"),
        ("/etc/passwd", "absolute"),
        ("a\0", "nul"),
        ("", "empty"),
        (".", "dot"),
        ("a\\b", "separator"),
        ("con", "device_name"),
    ],
)
def test_C01_refused_by_every_operation(
    files: Workspace, root: Path, operation: str, path: str, code: str
) -> None:
    """Every operation checks the name first, at both ends of a rename."""
    outside = make_outside(root.parent)
    (root / "there").write_bytes(b"1")
    with refused(code):
        OPERATIONS[operation](files, path)
    assert [entry.name for entry in root.iterdir()] == ["there"]
    assert_untouched(outside)


@every_operation
@pytest.mark.parametrize(
    "path", ["link/secret.txt", "link/new.txt", "file", "deep/link/secret.txt", "link/deeper/x"]
)
def test_C02_symbolic_links(
    files: Workspace, root: Path, outside: Path, *, operation: str, path: str
) -> None:
    """No operation follows a link to a file or folder outside."""
    (root / "there").write_bytes(b"1")
    (root / "deep").mkdir()
    (root / "link").symlink_to(outside)
    (root / "deep" / "link").symlink_to("../../outside")
    (root / "file").symlink_to(outside / "secret.txt")
    with pytest.raises((WorkspaceSecurityError, StepFailed)) as caught:
        OPERATIONS[operation](files, path)
    # A link is a name like another that is not free.
    if (operation, path) != ("rename to", "file"):
        assert isinstance(caught.value, WorkspaceSecurityError)
        assert caught.value.reason_code == "symlink"
    assert_untouched(outside)


def test_C02_links_inside_are_refused_too(files: Workspace, root: Path) -> None:
    """A link that stays inside is refused as well: the approved name is the file's name."""
    (root / "real").mkdir()
    (root / "real" / "x").write_bytes(b"x")
    (root / "link").symlink_to("real")
    with refused("symlink"):
        files.read("link/x")


@pytest.mark.parametrize("path", ["root/etc/passwd", "cwd/pyproject.toml", "fd/0", "exe"])
def test_C02_magic_links(way: Way, path: str) -> None:
    """The root of a process is no way out, though the kernel shows it as a folder."""
    with Workspace(Path("/proc/self"), **way) as files, refused("symlink"):
        files.read(path)


def test_C02_a_link_to_a_magic_link(files: Workspace, root: Path) -> None:
    """Nor is a link in the workspace that leads to it."""
    (root / "out").symlink_to("/proc/self/root")
    for operation in ("read", "write", "delete", "rename"):
        with refused("symlink"):
            OPERATIONS[operation](files, "out/etc/passwd")


def test_C04_hard_links(files: Workspace, root: Path, outside: Path) -> None:
    """A hard link to an outside file is not read, and writing gives the name a new file."""
    os.link(outside / "secret.txt", root / "x")
    with refused("hard_link"):
        files.read("x")
    with refused("hard_link"):
        files.digest("x")
    files.write("x", b"new")
    assert (root / "x").read_bytes() == b"new"
    assert (outside / "secret.txt").read_bytes() == SECRET


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=4096))
def test_C07_bytes_are_kept(files: Workspace, content: bytes) -> None:
    """Content is bytes: whatever is written is read, hashed and compared unchanged."""
    files.write("x.bin", content)
    assert files.read("x.bin") == content
    assert files.digest("x.bin") == sha256(content)


@every_operation
@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".GIT/hooks/pre-commit",
        "sub/.git/config",
        ".gi\u200ct/x",
        "\uff0egit/x",
        "git~1/x",
        ".git::$INDEX_ALLOCATION/x",
        ".git /x",
        ".git./x",
    ],
)
def test_C08_git_dir_through_the_workspace(
    files: Workspace, root: Path, operation: str, path: str
) -> None:
    """Nothing is read, made or changed in .git, in a nested one neither."""
    (root / "there").write_bytes(b"1")
    with refused("git_dir"):
        OPERATIONS[operation](files, path)
    assert [entry.name for entry in root.iterdir()] == ["there"]


def test_check_folder(files: Workspace, root: Path, outside: Path) -> None:
    """A folder passes; a missing one, a file and a link do not."""
    (root / "src").mkdir()
    (root / "x").write_bytes(b"")
    (root / "link").symlink_to(outside)
    files.check_folder("src")
    for path in ("missing", "x", "src/missing"):
        with pytest.raises(StepFailed, match="no such folder"):
            files.check_folder(path)
    with refused("symlink"):
        files.check_folder("link")


def test_a_file_in_place_of_a_folder(files: Workspace, root: Path) -> None:
    """A path through a file is an error that says so."""
    (root / "x").write_bytes(b"")
    with pytest.raises(StepFailed, match="x/y: Not a directory"):
        files.write("x/y", b"1")


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    """A workspace that does not exist cannot be opened."""
    with pytest.raises(FileAccessError, match=os.strerror(errno.ENOENT)):
        Workspace(tmp_path / "missing")


def test_the_fast_way_is_found_by_asking_the_kernel(root: Path) -> None:
    """Without being told, a workspace picks a way that works here."""
    with Workspace(root) as files:
        files.write("a/b", b"1")
        assert files.read("a/b") == b"1"


def test_no_descriptors_are_left_open(files: Workspace, root: Path, outside: Path) -> None:
    """Success and refusal alike close what they opened."""
    (root / "link").symlink_to(outside)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("a/b/c", "link/x", "../x", ".git/x"):
        with suppress(PlanlockError):
            files.write(path, b"x")
        with suppress(PlanlockError):
            files.read(path)
        with suppress(PlanlockError):
            files.read(f"{path}/more")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
