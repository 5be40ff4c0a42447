"""Doing things as a user without any privilege, from tests that run as root."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that belongs to the ordinary user, gone at the end; skips where we are no root."""
    if os.getuid() != 0:
        pytest.skip("already an ordinary user: every other test shows it")
    folder = Path(tempfile.mkdtemp(prefix="planlock-user-"))
    try:
        shutil.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(work: Callable[[], None]) -> None:
    """Do it in a process of the ordinary user; fails where it raises."""
    child = multiprocessing.get_context("fork").Process(target=_dropped, args=(work,))
    child.start()
    child.join()
    assert child.exitcode == 0


def _dropped(work: Callable[[], None]) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    if not os.access(sys.executable, os.X_OK):
        # This one lies in a home; the machine's own runs the launcher as well.
        sys.executable = "/usr/bin/python3"
    work()
