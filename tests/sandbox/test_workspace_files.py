from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runner
from runner.core.errors import (
    FileAccessError,
    PlanlockError,
    StaleInput,
    StepFailed,
    WorkspaceSecurityError,
)
from runner.sandbox.files import ABSENT, Change, Workspace

SECRET = b"outside secret"
PACKAGES = Path(runner.__file__).parent.parent


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_bytes(SECRET)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture(params=[True, False], ids=["openat2", "walk"])
def files(root: Path, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    with Workspace(root, openat2=request.param) as workspace:
        yield workspace


@contextmanager
def refused(reason_code: str) -> Iterator[None]:
    with pytest.raises(WorkspaceSecurityError) as caught:
        yield
    assert caught.value.reason_code == reason_code


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


@pytest.mark.parametrize("path", ["../outside/secret.txt", "/etc/passwd", "a\0", "", "."])
def test_C01_refused_by_every_operation(files: Workspace, outside: Path, path: str) -> None:
    """Reading, hashing, writing and deleting all check the name first."""
    with pytest.raises(WorkspaceSecurityError):
        files.read(path)
    with pytest.raises(WorkspaceSecurityError):
        files.digest(path)
    with pytest.raises(WorkspaceSecurityError):
        files.write(path, b"x")
    with pytest.raises(WorkspaceSecurityError):
        files.delete(path)
    assert (outside / "secret.txt").read_bytes() == SECRET


@pytest.mark.parametrize(
    "path", ["link/secret.txt", "link/new.txt", "file", "deep/link/secret.txt"]
)
def test_C02_symbolic_links(files: Workspace, root: Path, outside: Path, path: str) -> None:
    """No operation follows a link to a file or folder outside."""
    (root / "deep").mkdir()
    (root / "link").symlink_to(outside)
    (root / "deep" / "link").symlink_to("../../outside")
    (root / "file").symlink_to(outside / "secret.txt")
    with refused("symlink"):
        files.write(path, b"x")
    with refused("symlink"):
        files.delete(path)
    with refused("symlink"):
        files.read(path)
    assert [entry.name for entry in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_bytes() == SECRET


def test_C02_links_inside_are_refused_too(files: Workspace, root: Path) -> None:
    """A link that stays inside is refused as well: the approved name is the file's name."""
    (root / "real").mkdir()
    (root / "real" / "x").write_bytes(b"x")
    (root / "link").symlink_to("real")
    with refused("symlink"):
        files.read("link/x")


def test_C02_magic_links() -> None:
    """The root of a process is no way out, though the kernel shows it as a folder."""
    with Workspace(Path("/proc/self")) as files, refused("symlink"):
        files.read("root/etc/passwd")


def test_C03_link_swapped_in_while_working(files: Workspace, root: Path, outside: Path) -> None:
    """In a second of swapping a folder with a link out, nothing is read or written outside."""
    (root / "d").mkdir()
    (root / "d" / "secret.txt").write_bytes(b"inside")
    (root / "d.link").symlink_to(outside)
    stop = threading.Event()
    swapper = threading.Thread(target=swap, args=(root, stop))
    swapper.start()
    try:
        seen = work(files, until=time.monotonic() + 1.0)
    finally:
        stop.set()
        swapper.join()
    assert seen["done"]
    assert seen["refused"]
    assert [entry.name for entry in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_bytes() == SECRET


def swap(root: Path, stop: threading.Event) -> None:
    """Exchanges the two names in one step (RENAME_EXCHANGE), over and over."""
    libc = ctypes.CDLL(None)
    folder, link = os.fsencode(root / "d"), os.fsencode(root / "d.link")
    while not stop.is_set():
        assert libc.renameat2(-100, folder, -100, link, 2) == 0


def work(files: Workspace, *, until: float) -> dict[str, int]:
    seen = {"done": 0, "refused": 0}
    while time.monotonic() < until:
        try:
            assert files.read("d/secret.txt") != SECRET
            files.write("d/new.txt", b"x")
            files.delete("d/new.txt")
            seen["done"] += 1
        except (WorkspaceSecurityError, FileAccessError, StepFailed):
            seen["refused"] += 1
    return seen


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


def test_C05_fifo_socket_and_folder(files: Workspace, root: Path) -> None:
    """What is no regular file is refused at once."""
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        for name in ("fifo", "socket", "folder"):
            with refused("not_regular"):
                files.read(name)
            with refused("not_regular"):
                files.write(name, b"x")
            with refused("not_regular"):
                files.delete(name)


def test_C05_device() -> None:
    """A device is refused without being opened."""
    with Workspace(Path("/dev")) as files, refused("not_regular"):
        files.read("zero")


def test_C06_sparse_file(files: Workspace, root: Path) -> None:
    """A file of 50 GB that occupies nothing is refused before it is read."""
    with (root / "huge").open("wb") as file:
        file.truncate(50 << 30)
    with refused("too_large"):
        files.read("huge")
    with refused("too_large"):
        files.digest("huge")
    with refused("too_large"):
        files.write("huge", b"x")


def test_C06_size_that_lies() -> None:
    """What is read is counted, since a size can be stated as zero or grow meanwhile."""
    with Workspace(Path("/proc/self")) as files:
        assert files.read("status", max_bytes=100_000)
        with refused("too_large"):
            files.read("status", max_bytes=100)


def test_C06_limit_is_inclusive(files: Workspace, root: Path) -> None:
    """A file of exactly the limit is read."""
    (root / "x").write_bytes(b"12345")
    assert files.read("x", max_bytes=5) == b"12345"
    with refused("too_large"):
        files.read("x", max_bytes=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=4096))
def test_C07_bytes_are_kept(files: Workspace, content: bytes) -> None:
    """Content is bytes: whatever is written is read, hashed and compared unchanged."""
    files.write("x.bin", content)
    assert files.read("x.bin") == content
    assert files.digest("x.bin") == sha256(content)


@pytest.mark.parametrize("path", [".git/config", ".GIT/hooks/pre-commit", "sub/.git/config"])
def test_C08_git_dir_through_the_workspace(files: Workspace, root: Path, path: str) -> None:
    """Nothing is created in .git, in a nested one neither."""
    with refused("git_dir"):
        files.write(path, b"x")
    assert not list(root.iterdir())


def test_C10_stale_file(files: Workspace, root: Path) -> None:
    """A file that changed since approval is left as it is, and both digests are named."""
    (root / "x").write_bytes(b"changed")
    with pytest.raises(StaleInput) as caught:
        files.write("x", b"new", expect=sha256(b"approved"))
    assert sha256(b"approved") in str(caught.value)
    assert sha256(b"changed") in str(caught.value)
    with pytest.raises(StaleInput):
        files.delete("x", expect=sha256(b"approved"))
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("x", b"changed")]


def test_C10_absent_is_expected(files: Workspace, root: Path) -> None:
    """`absent` asks for no file, and a digest asks for one; neither makes folders in vain."""
    files.write("new", b"1", expect=ABSENT)
    with pytest.raises(StaleInput, match="expected absent, found sha256:"):
        files.write("new", b"2", expect=ABSENT)
    with pytest.raises(StaleInput, match="found absent"):
        files.write("a/b/new", b"2", expect=sha256(b"1"))
    assert [path.name for path in root.rglob("*")] == ["new"]


def test_C11_kill_during_writes(root: Path) -> None:
    """A writer killed at any instant leaves the old or the new content, never half."""
    contents = (b"a" * 300_000, b"b" * 300_000)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, cwd=PACKAGES
    )
    assert writer.stdout
    writer.stdout.readline()
    for _ in range(200):
        assert (root / "x").read_bytes() in contents
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert (root / "x").read_bytes() in contents


WRITER = """
import sys
from pathlib import Path
from runner.sandbox.files import Workspace
files = Workspace(Path(sys.argv[1]))
files.write("x", b"a" * 300_000)
print("ready", flush=True)
while True:
    for letter in (b"b", b"a"):
        files.write("x", letter * 300_000)
"""


def test_C11_failed_write_leaves_the_old_content(root: Path) -> None:
    """A write that the system refuses says why, and leaves the old file and nothing else."""
    (root / "x").write_bytes(b"old")
    script = WRITE_OVER_LIMIT.format(root=str(root))
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, cwd=PACKAGES
    )
    assert b"x: File too large" in answer.stdout
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("x", b"old")]


WRITE_OVER_LIMIT = """
import resource
from pathlib import Path
from runner.core.errors import FileAccessError
from runner.sandbox.files import Workspace
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Workspace(Path({root!r})).write("x", b"y" * 5000)
except FileAccessError as error:
    print(error)
"""


def test_read_only_file_system() -> None:
    """A write that is not permitted names the file and the system's reason."""
    with Workspace(Path("/sys/kernel")) as files, pytest.raises(FileAccessError, match="planlock:"):
        files.write("planlock", b"x")


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
