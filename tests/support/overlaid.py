"""A work tree over a shared checkout, mounted here for tests to act in it as a command does."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runner.git.objects import ObjectStore
from runner.git.shared_checkouts import SharedCheckouts
from runner.git.worktree import MOST_BYTES, Found, WorkTree

KINDS = ("plain", "overlaid")
# A test may have its current folder in there.
_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def work_tree(kind: str, root: Path, store: ObjectStore) -> WorkTree:
    if kind == "plain":
        return WorkTree(root, store)
    if os.geteuid() != 0:
        pytest.skip("only root may mount here; commands of others are tested as commands")
    return Overlaid(root, store)


class Overlaid(WorkTree):
    """The folder shows all files from the moment it is indexed; looking for changes ends that."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        place = root.parent / f"{root.name}-checkouts"
        super().__init__(root, store, SharedCheckouts(place, store, few=0))
        self._is_mounted = False

    def fill(self, tree: str, commit: str) -> None:
        self.unmount()
        super().fill(tree, commit)

    def index(self, can_layer: Callable[[Path], bool] = lambda _: True) -> None:
        self.unmount()
        super().index(can_layer)
        self._mount()

    def changes(self, listed: Sequence[str], *, most_bytes: int = MOST_BYTES) -> list[Found]:
        self.unmount()
        try:
            return super().changes(listed, most_bytes=most_bytes)
        finally:
            if self.layers:
                self.layers.prepare()
                self._mount()

    def check_protected(self) -> None:
        self.unmount()
        super().check_protected()

    def remove(self) -> None:
        self.unmount()
        super().remove()

    def _mount(self) -> None:
        assert self.layers is not None
        own = tempfile.mkdtemp(dir=self.layers.scratch.folder)
        places = f"lowerdir={self.layers.checkout.files},upperdir={self.root},workdir={own}"
        options = f"{places},userxattr,index=off,metacopy=off,volatile".encode()
        done = _libc.mount(b"overlay", os.fsencode(self.root), b"overlay", 0, options)
        assert done == 0, os.strerror(ctypes.get_errno())
        self._is_mounted = True

    def unmount(self) -> None:
        if self._is_mounted:
            done = _libc.umount2(os.fsencode(self.root), _DETACH)
            assert done == 0, os.strerror(ctypes.get_errno())
        self._is_mounted = False
