"""C11: whatever goes wrong during a change, a name has its old or its new content."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workspace_cases import PACKAGES, WAYS

from runner.core.errors import FileAccessError
from runner.sandbox.files import Workspace

CONTENTS = (b"a" * 300_000, b"b" * 300_000)
LEFTOVER = re.compile(r"\.planlock-[0-9a-f]{16}\.tmp")


@pytest.mark.parametrize("way", WAYS)
def test_C11_kill_during_writes(root: Path, way: str) -> None:
    """Killed writers leave old or new content; what else they leave disturbs no later writer."""
    for _ in range(5):
        kill_a_writer(root, way)
    stray = {path.name for path in root.iterdir()} - {"x"}
    assert all(LEFTOVER.fullmatch(name) for name in stray)
    with Workspace(root, **WAYS[way]) as files:
        files.write("x", b"new")
        files.rename("x", "y")
        files.delete("y")
    assert {path.name for path in root.iterdir()} == stray


def kill_a_writer(root: Path, way: str) -> None:
    argv = [sys.executable, "-c", WRITER, str(root), repr(WAYS[way])]
    writer = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=PACKAGES)
    assert writer.stdout
    writer.stdout.readline()
    for _ in range(30):
        assert (root / "x").read_bytes() in CONTENTS
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert (root / "x").read_bytes() in CONTENTS


WRITER = """
import ast, sys
from pathlib import Path
from runner.sandbox.files import Workspace
files = Workspace(Path(sys.argv[1]), **ast.literal_eval(sys.argv[2]))
files.write("x", b"a" * 300_000)
print("ready", flush=True)
while True:
    for letter in (b"b", b"a"):
        files.write("x", letter * 300_000)
"""


def test_C11_failed_write_leaves_the_old_content(root: Path) -> None:
    """A write that the system refuses says why, and leaves the old file and nothing else."""
    (root / "x").write_bytes(b"old")
    script = ATTEMPT + LIMITED
    answer = subprocess.run(
        [sys.executable, "-c", script, str(root)], capture_output=True, check=True, cwd=PACKAGES
    )
    assert answer.stdout.splitlines() == [b"x: File too large", b"a/b/new: File too large"]
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("x", b"old")]


ATTEMPT = """
import os, resource, sys
from pathlib import Path
from runner.core.errors import FileAccessError
from runner.sandbox.files import Workspace
root = Path(sys.argv[1])
def attempt(way, name, size):
    try:
        Workspace(root, **way).write(name, b"y" * size)
    except FileAccessError as error:
        print(error)
"""
LIMITED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
attempt({}, "x", 5000)
attempt({}, "a/b/new", 5000)
"""


def test_C11_a_full_disk(root: Path) -> None:
    """Where a disk of 64 KB is full, every way leaves the old file, no folder and no scrap."""
    script = f"mount -t tmpfs -o size=64k none {root} && exec {sys.executable} -c '{FULL}' {root}"
    argv = ["unshare", "-rm", "sh", "-c", script]
    answer = subprocess.run(argv, capture_output=True, check=False, cwd=PACKAGES)
    if b"unshare" in answer.stderr or b"mount" in answer.stderr:
        pytest.skip("no file system can be mounted here")
    told = [b"x: No space left on device", b"a/new: No space left on device", b"['x'] b'old'"]
    assert answer.stdout.splitlines() == told * 3, answer.stderr


FULL = f"""{ATTEMPT}
for way in {list(WAYS.values())!r}:
    Workspace(root, **way).write("x", b"old")
    attempt(way, "x", 80_000)
    attempt(way, "a/new", 80_000)
    print(os.listdir(root), (root / "x").read_bytes())
""".replace("'", '"')


def test_C11_read_only_file(files: Workspace, root: Path) -> None:
    """A file that may not be written is replaced whole, since its folder may be changed."""
    (root / "x").write_bytes(b"old")
    (root / "x").chmod(0o444)
    files.write("x", b"new")
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("x", b"new")]


def test_C11_read_only_folder(root: Path) -> None:
    """In a folder that may not be changed nothing is, and the reason is told."""
    (root / "x").write_bytes(b"old")
    root.chmod(0o555)
    root.parent.chmod(0o755)
    argv = [sys.executable, "-c", ATTEMPT + CLOSED, str(root)]
    answer = subprocess.run(argv, capture_output=True, check=True, cwd=PACKAGES)
    assert answer.stdout.splitlines() == [
        b"x: Permission denied",
        b"a/new: Permission denied",
    ]
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("x", b"old")]
    root.chmod(0o755)


# Root may write everywhere, as long as it has the capability.
CLOSED = """
root_folder = os.open(root, os.O_RDONLY)
root = Path(f"/proc/self/fd/{root_folder}")
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
attempt({}, "x", 10)
attempt({}, "a/new", 10)
"""


def test_read_only_file_system() -> None:
    """A write that is not permitted names the file and the system's reason."""
    with Workspace(Path("/sys/kernel")) as files, pytest.raises(FileAccessError, match="planlock:"):
        files.write("planlock", b"x")


def test_kernels_without_the_calls(root: Path) -> None:
    """Where openat2 and renameat2 are missing, everything works without them."""
    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(root)], capture_output=True, check=True, cwd=PACKAGES
    )
    assert answer.stdout.splitlines() == [b"openat2: 38", b"renameat2: 38", b"read: two"]
    assert [path.name for path in root.iterdir()] == ["x"]


# A filter (seccomp(2)) that answers ENOSYS to both calls, as some containers do.
WITHOUT = """
import ctypes, platform, struct, sys
from pathlib import Path
from runner.sandbox.files import Workspace
libc = ctypes.CDLL(None, use_errno=True)
calls = {"openat2": 437, "renameat2": 276 if platform.machine() == "aarch64" else 316}
lines = [(0x20, 0, 0, 0)]
lines += [(0x15, 2, 0, calls["openat2"]), (0x15, 1, 0, calls["renameat2"])]
lines += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050026)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program) == 0
for name, call in calls.items():
    assert libc.syscall(call, -100, b".", 0, 0, 0) == -1
    print(f"{name}:", ctypes.get_errno())
with Workspace(Path(sys.argv[1])) as files:
    files.write("a/b", b"one")
    files.write("a/b", b"two")
    files.rename("a/b", "x")
    print("read:", files.read("x").decode())
    files.write("y", b"three")
    files.delete("y")
"""
