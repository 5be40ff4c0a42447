"""Which paths of a work tree may differ from its tree, found without reading any content."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import WorkspaceSecurityError
from runner.core.paths import check_path
from runner.git import ignored, leftovers
from runner.git.objects import EXECUTABLE, FILE, Entry

TICK_NS = 50_000_000
_TELLING = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"})


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What the file system says of a file; equal stamps mean an unchanged file."""

    mode: int
    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        return cls.seen(path.lstat())

    @classmethod
    def seen(cls, status: os.stat_result) -> Stamp:
        return cls(
            mode=status.st_mode,
            size=status.st_size,
            modified=status.st_mtime_ns,
            changed=status.st_ctime_ns,
            inode=status.st_ino,
        )


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a path held, and how it looked, when it was last in step with the tree."""

    entry: Entry
    stamp: Stamp

    def looks_like(self, stamp: Stamp, newest: int) -> bool:
        """Whether the file is as it was; `newest` is the moment of the last look at any file.

        A change within the clock's tick of that look may show in no stamp.
        """
        return stamp == self.stamp and stamp.changed < newest - TICK_NS


def newest_look(known: Mapping[str, Known], *, telling: bool) -> int:
    """The moment of the last look at any file; where stamps do not tell, before all of them."""
    return max((each.stamp.changed for each in known.values()), default=0) if telling else 0


def stamps_tell(root: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether every change of a file shows in its times, by the kind of its file system.

    On tmpfs a file that is mapped into memory can be changed unseen.
    """
    device = root.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return False
    kinds = {
        line.partition(" - ")[2].split(" ")[0] for line in lines if line.split(" ")[2] == number
    }
    return bool(kinds) and kinds <= _TELLING


@dataclass(frozen=True, kw_only=True)
class Search:
    """`rules` gives path → content of every .gitignore of the tree.

    `folders` has folders of the tree besides those of what is known. Where stamps are not `telling`, every file is a suspect.
    """

    root: Path
    known: Mapping[str, Known]
    submodules: frozenset[str]
    telling: bool
    rules: Callable[[], Mapping[str, bytes]]
    folders: Collection[str] = ()

    def suspects(self, listed: Sequence[str]) -> dict[str, Stamp | None]:
        """Path → stamp of what is new or looks other than before, None for what is gone.

        What is ignored is left out, unless a glob of `listed` names it.
        """
        newest = newest_look(self.known, telling=self.telling)
        found: dict[str, Stamp | None] = dict.fromkeys(self.known)
        strange: list[str] = []
        for path, status in self._entries():
            if status is None:
                strange.append(path)
                continue
            del found[path]
            stamp = Stamp.seen(status)
            if not self.known[path].looks_like(stamp, newest):
                found[path] = stamp
        new = self._untracked(strange, listed)
        return found | {path: Stamp.of(self.root / path) for path in new}

    def _entries(self) -> Iterator[tuple[str, os.stat_result | None]]:
        """Yield each path and, of what is tracked, its status.

        A folder without tracked files is yielded as one path with `/`.
        """
        tracked_folders = leftovers.folders_of(self.known).union(self.folders)
        pending = [""]
        while pending:
            folder = pending.pop()
            leftovers.let_write(self.root / folder)
            with os.scandir(self.root / folder) as items:
                inside = list(items)
            for item in inside:
                path = f"{folder}{item.name}"
                if path == ".git":
                    continue
                is_folder = item.is_dir(follow_symlinks=False)
                if path in self.submodules:
                    _check_untouched(path, is_folder and not any(Path(item.path).iterdir()))
                elif not is_folder:
                    tracked = path in self.known
                    yield path, item.stat(follow_symlinks=False) if tracked else None
                elif path in tracked_folders:
                    pending.append(f"{path}/")
                else:
                    yield path + "/", None

    def _untracked(self, strange: Sequence[str], listed: Sequence[str]) -> Iterator[str]:
        for path in strange:
            check_name(path.rstrip("/"))
        rules = self.rules() if strange else {}
        inner = [
            each for path in self._wanted(strange, rules, listed) for each in self._files(path)
        ]
        yield from self._wanted(inner, rules, listed)

    def _wanted(
        self, paths: Sequence[str], rules: Mapping[str, bytes], listed: Sequence[str]
    ) -> Iterator[str]:
        tops = ignored.tops(paths, rules)
        for path in paths:
            top = tops.get(path)
            if top is None or any(ignored.is_named(glob, path, top) for glob in listed):
                yield path

    def _files(self, path: str) -> list[str]:
        if not path.endswith("/"):
            return [path]
        found = list(leftovers.files_below(self.root, path))
        for each in found:
            if each.endswith("/.git"):
                check_name(each)
        return found


def rules_among(known: Mapping[str, Known], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The content of every .gitignore that is a plain file, as the tree has it."""
    return {
        path: read(each.entry.oid)
        for path, each in known.items()
        if path.rpartition("/")[2] == ignored.RULES and each.entry.mode in {FILE, EXECUTABLE}
    }


def check_name(path: str) -> None:
    """Refuse names that git itself refuses (`.git` in any spelling, `..`), and no others."""
    folder, _, last = path.rpartition("/")
    if folder and last == ".git":
        reason = "is a git repository of its own"
        raise WorkspaceSecurityError(folder, reason, reason_code="git_dir")
    for name in path.split("/"):
        if name in {"", ".", ".."}:
            raise WorkspaceSecurityError(path, "is not a plain path", reason_code="traversal")
        if "git" in name.casefold() or not name.isascii():
            _check_spelling(path, name)


def _check_spelling(path: str, name: str) -> None:
    try:
        check_path(name)
    except WorkspaceSecurityError as error:
        if error.reason_code == "git_dir":
            raise WorkspaceSecurityError(path, error.reason, reason_code="git_dir") from error


def _check_untouched(submodule: str, untouched: bool) -> None:  # noqa: FBT001  # one yes or no
    if not untouched:
        reason = "is a submodule, which planlock does not change"
        raise WorkspaceSecurityError(submodule, reason, reason_code="submodule")
