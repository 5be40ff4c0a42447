"""C03: names exchanged with links out, by processes that do nothing else."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from workspace_cases import (
    SECRET,
    WAYS,
    assert_untouched,
    make_outside,
    make_root,
    swapping,
)

from runner.core.errors import PlanlockError, WorkspaceSecurityError
from runner.sandbox.files import Workspace

# Attempts count besides time: the race must have happened, however slow the machine is.
ENOUGH = 150
ATTEMPTS = 10_000
AT_LEAST_S = 1.0


@pytest.fixture
def place() -> Iterator[Path]:
    """In memory where that is possible, since every write waits for the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def outside(place: Path) -> Path:
    return make_outside(place)


@pytest.fixture
def root(place: Path) -> Path:
    folder = make_root(place)
    (folder / "d").mkdir()
    (folder / "d" / "secret.txt").write_bytes(b"inside")
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_C03_a_folder_swapped_with_a_link(root: Path, outside: Path, way: str) -> None:
    """Reads, writes, deletes and renames in a folder that is now a link, now not, stay inside."""
    (root / "d.link").symlink_to(outside)
    with Workspace(root, **WAYS[way]) as files, swapping(root / "d", root / "d.link"):
        attack(operations(files, "d/secret.txt", "d/new.txt"))
    assert_untouched(outside)


@pytest.mark.parametrize("way", WAYS)
def test_C03_a_file_swapped_with_a_link(root: Path, outside: Path, way: str) -> None:
    """The same for a single file that is now a link, now not."""
    (root / "f").write_bytes(b"inside")
    (root / "f.link").symlink_to(outside / "secret.txt")
    with Workspace(root, **WAYS[way]) as files, swapping(root / "f", root / "f.link"):
        attack(operations(files, "f", "f"))
    assert_untouched(outside)


@pytest.mark.parametrize("swapped", ["folder", "file"])
def test_C03_a_check_before_opening_does_escape(root: Path, outside: Path, swapped: str) -> None:
    """The race is real: a check of the resolved path, and then an open, reads the secret."""
    path, leads_to = ("d", outside) if swapped == "folder" else ("f", outside / "secret.txt")
    (root / "f").write_bytes(b"inside")
    (root / "link").symlink_to(leads_to)
    wanted = root / ("d/secret.txt" if swapped == "folder" else "f")
    with swapping(root / path, root / "link"):
        escapes = sum(naive_read(root, wanted) == SECRET for _ in range(ATTEMPTS))
    assert escapes


def naive_read(root: Path, path: Path) -> bytes:
    with suppress(OSError):
        if path.resolve().is_relative_to(root.resolve()):
            return path.read_bytes()
    return b""


def operations(files: Workspace, read: str, written: str) -> dict[str, Callable[[], object]]:
    def write() -> None:
        files.write(written, b"inside too")

    return {
        "read": lambda: inside(files.read(read)),
        "digest": lambda: files.digest(read),
        "write": write,
        "rename": lambda: files.rename(written, f"moved-{random.getrandbits(64)}"),
        "delete": lambda: files.delete(written),
    }


def inside(content: bytes) -> None:
    assert content != SECRET


def attack(every: dict[str, Callable[[], object]]) -> None:
    """Do one or another, until enough was done and enough was refused as a link."""
    done: Counter[str] = Counter()
    refused = attempts = 0
    began = time.monotonic()
    while attempts < ATTEMPTS or time.monotonic() < began + AT_LEAST_S:
        attempts += 1
        name = random.choice(list(every))  # noqa: S311  # an order, not a secret
        try:
            every[name]()
        except WorkspaceSecurityError:
            refused += 1
        except PlanlockError:
            pass
        else:
            done[name] += 1
    assert refused >= ENOUGH
    assert all(done[name] >= ENOUGH for name in every), done
