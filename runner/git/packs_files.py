"""The pack folder of a repository: packs of a run come and go here, and git may repack meanwhile.

Each has a `.keep` file from before it is there until refs name its objects for good, so that
`git gc --prune=now` leaves it; the file says whose it is.

A `git gc` that reads the folder while a pack and its index appear may see the index alone, takes
it for garbage and removes it (builtin/gc.c, `clean_pack_garbage`): so we look again, and mend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from runner.core.errors import FileAccessError
from runner.git import command, durable, machine, packs
from runner.git.packs import Pack

OWN = "planlock/packs"
# Together these take too long to copy.
MOST_JOINED = 64 << 20
# Where git notes which pack has what; what it says of packs that are gone breaks `git fsck`.
MULTI = "multi-pack-index"


class PackFolder:
    """Where packs lie; `owner` is the name of the journal that they are written for."""

    def __init__(self, objects: Path, owner: str) -> None:
        self.folder = objects / "pack"
        self.owner = owner
        # Not beside the packs: a clone by links takes all that is there, finished or not.
        self._own = objects.parent / OWN if _one_system(objects) else self.folder
        self._scratch = self._own / f"{owner}.new"
        self._mark = self._own / f"{owner}.keep"
        self._text = f"planlock {owner}\n".encode()
        self._marked = False
        self._last = ""

    def write(self, pack: Pack, *, sync: bool) -> None:
        """Write a pack that is whole on the disk when this returns; raises OSError.

        Without `sync` a power cut may take it: it is in a journal too.
        """
        self.mend([self._last] if self._last else [])
        self._last = pack.name
        self._keep(pack.name)
        for suffix, content in (("pack", pack.content), ("idx", pack.index)):
            durable.write(self._scratch, content, durable=sync)
            durable.rename(self._scratch, self._file(pack.name, suffix))
        if sync:
            durable.sync_path(self.folder)

    def _keep(self, name: str) -> None:
        """Give the one file that says whose packs these are another name: it costs less."""
        if not self._marked:
            durable.make_folder(self._own)
            durable.make_folder(self.folder)
            durable.write(self._mark, self._text, durable=True)
            self._marked = True
        keep = self._file(name, "keep")
        try:
            durable.link(self._mark, keep)
        except FileExistsError:
            if keep.read_bytes() != self._text:  # a power cut took it
                durable.unlink(keep)
                durable.link(self._mark, keep)

    def _file(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"

    def remove(self, name: str) -> None:
        """Remove a pack whose objects are elsewhere too; the index first, so that none opens it."""
        if (self.folder / MULTI).exists():  # as `git repack` does
            for index in self.folder.glob(f"{MULTI}*"):
                durable.unlink(index)
        for suffix in ("idx", "pack", "keep"):
            durable.unlink(self._file(name, suffix))
        self._last = "" if name == self._last else self._last

    def mend(self, names: Iterable[str] | None = None) -> None:
        """Give packs the indexes that they lost, be it all of this owner; raises FileAccessError."""
        for name in self._kept() if names is None else names:
            pack = self._file(name, "pack")
            if self._file(name, "idx").exists() or not pack.exists():
                continue
            done = command.attempt(["-c", "core.fsync=all", "index-pack", str(pack)])
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace").strip()
                raise FileAccessError(f"indexing {pack}: {said}", hint=f"git index-pack {pack}")

    def _kept(self) -> list[str]:
        found = []
        for keep in self.folder.glob("pack-*.keep"):
            with suppress(FileNotFoundError):
                found += [keep.stem] if keep.read_bytes() == self._text else []
        return found

    def join(self, names: Sequence[str]) -> list[str]:
        """Make one durable pack of several, unless they are large or gone; give what there is."""
        files = [(self._file(name, "pack"), self._file(name, "idx")) for name in names]
        self.mend(names)
        try:
            if len(names) < 2 or sum(each.stat().st_size for each, _ in files) > MOST_JOINED:
                return list(names)
            parts = [packs.read(pack.read_bytes(), index.read_bytes()) for pack, index in files]
        except FileNotFoundError:
            return []
        joined = packs.render(packs.join(parts))
        self.write(joined, sync=True)
        for name in {*names} - {joined.name}:
            self.remove(name)
        return [joined.name]

    def release(self) -> None:
        """Leave the owner's packs to git, and remove what was not finished."""
        for name in self._kept():
            durable.unlink(self._file(name, "keep"))
        durable.unlink(self._scratch)
        durable.unlink(self._mark)

    def is_watched(self) -> bool:
        """Whether a `git gc` of this machine is at work, which may still take an index away."""
        try:
            lock = (self.folder.parent.parent / "gc.pid").read_text(errors="replace")
        except OSError:
            return False
        return machine.is_there(lock.partition(" ")[0])


def _one_system(objects: Path) -> bool:
    """Whether a file can be renamed from beside the objects to among them."""
    return objects.stat().st_dev == objects.parent.stat().st_dev
