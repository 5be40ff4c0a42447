"""What tests of the workspace share: its three ways, refusals, and a tree beside it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import pytest

import runner
from runner.core.errors import WorkspaceSecurityError
from runner.sandbox.files_opened import Target

SECRET = b"outside secret"
PACKAGES = Path(runner.__file__).parent.parent


class Way(TypedDict):
    """Which calls of the kernel a workspace may use."""

    openat2: bool
    renameat2: bool


WAYS: dict[str, Way] = {
    "fast": {"openat2": True, "renameat2": True},
    "walk": {"openat2": False, "renameat2": True},
    "plain": {"openat2": False, "renameat2": False},
}


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_bytes(SECRET)
    return folder


def make_root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def assert_untouched(outside: Path) -> None:
    assert [entry.name for entry in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_bytes() == SECRET
    assert (outside / "secret.txt").stat().st_mode & 0o7777 == 0o644


@contextmanager
def refused(reason_code: str) -> Iterator[None]:
    with pytest.raises(WorkspaceSecurityError) as caught:
        yield
    assert caught.value.reason_code == reason_code
    assert caught.value.reason
    assert caught.value.path or reason_code == "empty"
    assert caught.value.hint


@contextmanager
def target(root: Path, name: str) -> Iterator[Target]:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Target(name, folder, name)
    finally:
        os.close(folder)


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process exchanges two names as fast as it can; it tells at the end how often."""
    argv = [sys.executable, "-c", _SWAP, str(one), str(other), str(other.readlink())]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        count, _ = process.communicate()
    assert int(count) > 100


# Where our own renames get in between and a name or the link is gone, it makes them anew.
_SWAP = """
import contextlib, ctypes, os, signal, sys
one, other, leads_to = sys.argv[1:]
libc, count, going = ctypes.CDLL(None), 0, [True]
signal.signal(signal.SIGTERM, lambda *_: going.clear())
print(flush=True)
def mend():
    links = os.path.islink(one), os.path.islink(other)
    if all(links):
        with contextlib.suppress(OSError):
            os.unlink(one)
    elif not any(links):
        os.symlink(leads_to, other + ".new")
        os.rename(other + ".new", other)
    with contextlib.suppress(FileExistsError), open(one, "xb") as file:
        file.write(b"inside")
while going:
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0:
        count += 1
        going and count % 20 or mend()
    else:
        mend()
print(count)
"""
