"""A private folder for one command's home and temporary files, gone when the command has ended."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch() -> Iterator[Path]:
    """Has the folders `home` and `tmp`."""
    folder = Path(tempfile.mkdtemp(prefix="planlock-scratch-"))
    try:
        for name in ("home", "tmp"):
            (folder / name).mkdir(mode=0o700)
        yield folder
    finally:
        # What cannot be removed stays with the machine's other temporary files.
        with suppress(OSError):
            _remove(folder)


def _remove(root: Path) -> None:
    """Works however deep a command went, and where it closed folders; follows no link.

    Each inner folder is first moved up to the top, so that no path grows too long.
    """
    top = Path(tempfile.mkdtemp(prefix="planlock-removed-"))
    numbers = itertools.count()
    pending = [root.rename(top / "root")]
    while pending:
        folder = pending.pop()
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                inner = Path(entry.path)
                inner.chmod(0o700)
                pending.append(inner.rename(top / str(next(numbers))))
            else:
                Path(entry.path).unlink()
        folder.rmdir()
    top.rmdir()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)
