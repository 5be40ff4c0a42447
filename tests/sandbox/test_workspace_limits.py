"""C05 and C06: what is no plain file of bounded size."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from workspace_cases import Way, refused

from runner.sandbox.files import Workspace

OPERATIONS: dict[str, Callable[[Workspace, str], object]] = {
    "read": lambda files, path: files.read(path),
    "digest": lambda files, path: files.digest(path),
    "write": lambda files, path: files.write(path, b"x"),
    "delete": lambda files, path: files.delete(path),
    "rename": lambda files, path: files.rename(path, "free"),
}


def test_C05_fifo_socket_and_folder(files: Workspace, root: Path) -> None:
    """What is no regular file is refused at once."""
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        for name in ("fifo", "socket", "folder"):
            for operate in OPERATIONS.values():
                with refused("not_regular"):
                    operate(files, name)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_C05_device(way: Way, operation: str) -> None:
    """A device is refused without being opened."""
    with Workspace(Path("/dev"), **way) as files, refused("not_regular"):
        OPERATIONS[operation](files, "zero")


def test_C06_sparse_file(files: Workspace, root: Path) -> None:
    """A file of 50 GB that occupies nothing is refused before it is read."""
    with (root / "huge").open("wb") as file:
        file.truncate(50 << 30)
    for operate in OPERATIONS.values():
        with refused("too_large"):
            operate(files, "huge")


def test_C06_size_that_lies(way: Way) -> None:
    """What is read is counted, since a size can be stated as zero or grow meanwhile."""
    with Workspace(Path("/proc/self"), **way) as files:
        assert files.read("status", max_bytes=100_000)
        with refused("too_large"):
            files.read("status", max_bytes=100)


def test_C06_limit_is_inclusive(files: Workspace, root: Path) -> None:
    """A file of exactly the limit is read."""
    (root / "x").write_bytes(b"12345")
    assert files.read("x", max_bytes=5) == b"12345"
    with refused("too_large"):
        files.read("x", max_bytes=4)


def test_C06_growing_file(files: Workspace, root: Path) -> None:
    """A file that another process makes longer is read within the limit, then refused."""
    stop = threading.Event()
    writer = threading.Thread(target=grow, args=(root / "log", stop))
    (root / "log").touch()
    writer.start()
    try:
        with refused("too_large"):
            while len(files.read("log", max_bytes=1_000_000)) <= 1_000_000:
                pass
    finally:
        stop.set()
        writer.join()


def grow(path: Path, stop: threading.Event) -> None:
    with path.open("ab", buffering=0) as log:
        while not stop.is_set() and log.tell() < 100_000_000:
            log.write(b"x" * 1000)
