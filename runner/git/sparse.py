"""The files of a tree in a folder, each written there only when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.git.changed import Known, check_name
from runner.git.objects import FOLDER, SUBMODULE, Entry, ObjectStore
from runner.git.placing import Placer


class Sparse:
    """`known` is what is there, `submodules` those that were met, `whole` whether all is there.

    Each path counts once: what became of it after it was placed, or put there by a step, is not
    undone when the rest is placed.
    """

    def __init__(self, root: Path, store: ObjectStore, tree: str) -> None:
        self.root = root
        self.tree = tree
        self.known: dict[str, Known] = {}
        self.submodules: set[str] = set()
        self.whole = False
        self._store = store
        self._settled: set[str] = set()

    @property
    def settled(self) -> frozenset[str]:
        return frozenset(self._settled)

    def pending(self, path: str) -> Entry | None:
        """What the tree has at a path and nobody asked for; a folder while any of it is so."""
        if self.whole or path in self._settled:
            return None
        entry = self._store.entry(self.tree, path)
        return entry if entry and any(self.pending_below(path, entry)) else None

    def pending_below(self, path: str, entry: Entry) -> Iterator[tuple[str, Entry]]:
        """Of a folder each file in it that nobody asked for, of another entry itself."""
        below = self._store.walk(entry.oid, f"{path}/") if entry.mode == FOLDER else [(path, entry)]
        return (each for each in below if each[0] not in self._settled)

    def paths(self) -> Iterator[str]:
        """Every file and link, there or not yet."""
        yield from self.known
        if not self.whole:
            rest = (path for path, each in self._store.walk(self.tree) if each.mode != SUBMODULE)
            yield from (path for path in rest if path not in self._settled)

    def place(self, path: str) -> None:
        """Make a path, and all that leads to it, look as if every file were there."""
        if self.whole:
            return
        names, folder = path.split("/"), self.tree
        for at, name in enumerate(names, start=1):
            entry = self._store.tree(folder).get(name)
            if entry is None:
                return
            if entry.mode != FOLDER:
                self._write_rest([("/".join(names[:at]), entry)])
                return
            folder = entry.oid
        self._place_folder(path, folder)

    def _place_folder(self, path: str, folder: str) -> None:
        """A folder is there as long as anything in it is; steps remove what they leave empty."""
        inner = self._store.walk(folder, f"{path}/")
        if any(each not in self._settled for each, _ in inner):
            check_name(path)
            (self.root / path).mkdir(parents=True, exist_ok=True)

    def place_all(self) -> None:
        if not self.whole:
            self._write_rest(self._store.walk(self.tree))
            self.whole = True

    def _write_rest(self, entries: Iterable[tuple[str, Entry]]) -> None:
        self.write(each for each in entries if each[0] not in self._settled)

    def write(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Write entries where nothing is; raises OSError."""
        with Placer(self.root, self._store) as placer:
            for path, known in placer.place(entries):
                self.settle(path, known)
                if known is None:
                    self.submodules.add(path)

    def is_pending(self, path: str, entry: Entry | None) -> bool:
        """Whether a path will be as wanted when it is asked for, and nobody has asked yet."""
        if self.whole or path in self._settled:
            return False
        return self._store.entry(self.tree, path) == entry

    def settle(self, path: str, known: Known | None) -> None:
        """Take note of what is there now; None where nothing is."""
        self._settled.add(path)
        self.known.pop(path, None)
        if known is not None:
            self.known[path] = known
