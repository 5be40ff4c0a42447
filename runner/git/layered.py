"""The files of a run over a shared checkout: its folder has what differs, and what commands touched.

The kernel's marks for what is gone stand in the folder only while a command runs. Before, they
are made of what the tree lacks; afterwards they become what is known of the files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from runner.core.errors import FileAccessError
from runner.core.overlays import OPAQUE, is_whiteout
from runner.git import leftovers, tree_difference
from runner.git.changed import Known, Stamp
from runner.git.ignored import RULES
from runner.git.machine import UNKNOWN, this_boot
from runner.git.objects import FOLDER, SUBMODULE, Entry, ObjectStore
from runner.git.shared_checkouts import Checkout, Scratch, SharedCheckouts
from runner.git.sparse import Sparse


class Layered:
    """`folders` are those of the tree that a command touched."""

    def __init__(
        self, files: Sparse, store: ObjectStore, *, checkout: Checkout, scratch: Scratch
    ) -> None:
        self.folders: set[str] = set()
        self.checkout = checkout
        self.scratch = scratch
        self._files = files
        self._store = store
        self._root = files.root
        self._is_marked = False

    def release(self) -> None:
        self.checkout.release()
        self.scratch.release()

    def prepare(self) -> None:
        """Make folder and checkout, seen as one, hold the files of the tree; raises OSError."""
        self.learn()
        self._is_marked = True
        apart = set(tree_difference.paths(self._store, self.checkout.tree, self._files.tree))
        pending = ((path, self._files.pending(path)) for path in sorted(apart))
        # Where a folder took a file's place, its files are among those apart.
        self._files.write((path, each) for path, each in pending if each and each.mode != FOLDER)
        for path in sorted(apart | self._files.settled):
            if self._store.entry(self.checkout.tree, path) is not None:
                self._hide(path)

    def _hide(self, path: str) -> None:
        """Mark a path as gone, or the folders that went with it, unless something is in its place."""
        names = path.split("/")
        for at in range(1, len(names) + 1):
            inside = "/".join(names[:at])
            status = _status(self._root / inside)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                return
            if status is None and (at == len(names) or self._files.pending(inside) is None):
                os.mknod(self._root / inside, stat.S_IFCHR)
                return
            if status is None:
                (self._root / inside).mkdir()

    def learn(self, top: str = "") -> None:
        """Turn the marks below a folder into what is known of the files; raises OSError."""
        if not self._is_marked:
            return
        self.folders.clear()
        looked_at = [top] if not top or self._look(top) else []
        while looked_at:
            folder = looked_at.pop()
            leftovers.let_write(self._root / folder)
            with os.scandir(self._root / folder) as items:
                inside = [f"{folder}/{each.name}".lstrip("/") for each in items]
            looked_at += [path for path in inside if path != ".git" and self._look(path)]
            # What is new in the folder is judged by the rules that the tree had.
            self._files.place(f"{folder}/{RULES}".lstrip("/"))
        self._is_marked = bool(top)

    def _look(self, path: str) -> bool:
        """Learn what a command did at a path; whether there may be marks in it."""
        place = self._root / path
        status = _status(place)
        if status is None:
            return False
        entry = self._files.pending(path)
        is_folder = stat.S_ISDIR(status.st_mode)
        # In a folder that stayed marked, marks of what is gone would show as files.
        is_new = is_folder and _unveil(place)
        if is_whiteout(status.st_mode, status.st_rdev):
            place.unlink()
        elif is_folder and not is_new and entry is not None and entry.mode == FOLDER:
            self.folders.add(path)
            return True
        for inner in self._files.pending_below(path, entry) if entry else ():
            self._settle(*inner)
        return is_folder and self._is_folder_beneath(path)

    def _settle(self, path: str, entry: Entry) -> None:
        """Take note of a file as one that may have changed since anybody looked."""
        if entry.mode == SUBMODULE:
            self._files.submodules.add(path)
            self._files.settle(path, None)
            return
        beneath = _status(self.checkout.files / path)
        size = beneath.st_size if beneath else 0
        stamp = Stamp(mode=0, size=size, modified=0, changed=0, inode=0)
        self._files.settle(path, Known(entry=entry, stamp=stamp))

    def _is_folder_beneath(self, path: str) -> bool:
        status = _status(self.checkout.files / path)
        return status is not None and stat.S_ISDIR(status.st_mode)


def _unveil(folder: Path) -> bool:
    """Take the mark from a folder that a command made anew; whether it had one."""
    leftovers.let_write(folder)
    try:
        os.removexattr(folder, OPAQUE)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def lay(
    files: Sparse,
    store: ObjectStore,
    checkouts: SharedCheckouts,
    can_layer: Callable[[Path], bool],
) -> Layered | None:
    """Find or make the checkout beneath; None for a small tree, and where layers cannot be had."""
    if next(islice(store.walk(files.tree), checkouts.few, None), None) is None:
        return None
    if this_boot() == UNKNOWN:  # nor can be told what a power cut has left of a checkout
        return None
    try:
        scratch = checkouts.scratch()
    except FileAccessError:  # a file system without locks, on which no overlay lies either
        return None
    if not can_layer(scratch.folder):
        scratch.release()
        return None
    return Layered(files, store, checkout=checkouts.near(files.tree), scratch=scratch)
