"""A run's own work tree: written from objects, and searched for what a command changed.

It is no linked work tree of git: its `.git` is a small private repository that borrows the
objects, so a command in it sees history, but no configuration, no remotes and no tokens.
Files hold exactly the bytes of their blobs; no filter and no end-of-line conversion runs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core import globs
from runner.core.errors import FileAccessError, WorkspaceSecurityError
from runner.core.paths import check_path
from runner.core.text import visible
from runner.git import command, leftovers
from runner.git.objects import EXECUTABLE, FILE, LINK, SUBMODULE, Entry, ObjectStore

TICK_NS = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What the file system says of a file; equal stamps mean an unchanged file."""

    mode: int
    size: int
    modified: int
    changed: int
    inode: int


@dataclass(frozen=True, kw_only=True)
class Known:
    entry: Entry
    stamp: Stamp


@dataclass(frozen=True, kw_only=True)
class Found:
    """A path that is not as the tree has it; `after` None where it is gone."""

    path: str
    before: Entry | None
    after: Entry | None
    size: int = 0


class WorkTree:
    """The files of one run, and what each looked like when they were last in step with the tree."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        self.root = root
        self.store = store
        self.known: dict[str, Known] = {}
        self.submodules: set[str] = set()

    def fill(self, tree: str, commit: str) -> None:
        """Write a tree into a fresh folder; raises FileAccessError or WorkspaceSecurityError."""
        try:
            if self.root.exists():
                leftovers.remove(self.root)
            self.known, self.submodules = {}, set()
            self.root.mkdir(parents=True, mode=0o700)
            for path, entry in self.store.walk(tree):
                self._place(path, entry)
            self._make_private_git(commit)
        except OSError as error:
            raise FileAccessError(f"making work tree {self.root}: {error.strerror}") from error

    def _place(self, path: str, entry: Entry) -> None:
        _check_name(path)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == SUBMODULE:
            target.mkdir()
            self.submodules.add(path)
            return
        content = self.store.blob(entry.oid)
        if entry.mode == LINK:
            target.symlink_to(os.fsdecode(content))
        else:
            with target.open("xb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o755 if entry.mode == EXECUTABLE else 0o644)
        self.known[path] = Known(entry=entry, stamp=_stamp(target))

    def _make_private_git(self, commit: str) -> None:
        git = self.root / ".git"
        leftovers.make_private_git(git)
        (git / "objects" / "info" / "alternates").write_text(f"{self.store.objects}\n")
        self.point_to(commit)

    def point_to(self, commit: str) -> None:
        """Let the private `.git` name a commit."""
        head = self.root / ".git" / "HEAD"
        try:
            head.write_text(f"{commit}\n")
        except OSError as error:
            raise FileAccessError(f"writing {head}: {error.strerror}") from error

    def index(self) -> None:
        """Write the private index, so that `git status` in a command tells the truth."""
        command.run(["read-tree", "HEAD"], git_dir=self.root / ".git", cwd=self.root)

    def remove(self) -> None:
        """Delete the folder; what it held is in the tree."""
        try:
            leftovers.remove(self.root)
        except OSError as error:
            raise FileAccessError(f"removing {self.root}: {error.strerror}") from error

    def write(self, path: str, entry: Entry | None) -> None:
        """Bring one path in step with the tree (records and approvals, which no step writes)."""
        try:
            (self.root / path).unlink(missing_ok=True)
            self.known.pop(path, None)
            if entry is not None:
                self._place(path, entry)
        except OSError as error:
            raise FileAccessError(f"writing {self.root / path}: {error.strerror}") from error

    def settle(self, path: str, entry: Entry | None) -> None:
        """Take note that a path in the work tree now is as the tree will have it."""
        if entry is None:
            self.known.pop(path, None)
        else:
            self.known[path] = Known(entry=entry, stamp=_stamp(self.root / path))

    def changes(self, listed: Sequence[str]) -> list[Found]:
        """Find what differs from the tree; ignored files count only where a glob lists them.

        Raises WorkspaceSecurityError for what cannot be recorded: a nested repository, a special
        file, a change in a submodule, a folder that was closed, a name that misleads.
        """
        try:
            found = self._changes(listed)
        except PermissionError as error:
            path = os.path.relpath(os.fsdecode(error.filename), self.root)
            reason = "cannot be read any more"
            raise WorkspaceSecurityError(path, reason, reason_code="unreadable") from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                path = os.path.relpath(os.fsdecode(error.filename), self.root)[:64]
                reason = "leads to a name that is too long"
                raise WorkspaceSecurityError(path, reason, reason_code="too_long") from error
            raise FileAccessError(f"searching {self.root}: {error.strerror}") from error
        for each in found:
            _check_change(each.path)
        return found

    def _changes(self, listed: Sequence[str]) -> list[Found]:
        newest = max((each.stamp.changed for each in self.known.values()), default=0)
        seen: set[str] = set()
        found: list[Found] = []
        strange: list[str] = []
        for path, tracked in self._entries():
            if not tracked:
                strange.append(path)
                continue
            seen.add(path)
            change = self._compare(path, self.known[path], newest)
            found += [change] if change else []
        found += [
            Found(path=path, before=known.entry, after=None)
            for path, known in self.known.items()
            if path not in seen
        ]
        found += [self._added(path) for path in self._untracked(strange, listed)]
        return sorted(found, key=lambda each: each.path)

    def _entries(self, folder: str = "") -> Iterator[tuple[str, bool]]:
        """Yield (path, tracked); a folder without tracked files is yielded as one path with `/`."""
        tracked_folders = {
            path[:at] for path in self.known for at in range(len(path)) if path[at] == "/"
        }
        pending = [folder]
        while pending:
            with os.scandir(self.root / pending.pop()) as items:
                inside = list(items)
            for item in inside:
                path = os.path.relpath(item.path, self.root)
                if path == ".git":
                    continue
                is_folder = item.is_dir(follow_symlinks=False)
                if path in self.submodules:
                    _check_untouched(path, is_folder and not any(Path(item.path).iterdir()))
                elif not is_folder:
                    yield path, path in self.known
                elif path in tracked_folders:
                    pending.append(path)
                else:
                    yield path + "/", False

    def _compare(self, path: str, known: Known, newest: int) -> Found | None:
        stamp = _stamp(self.root / path)
        if stamp == known.stamp and stamp.changed < newest - TICK_NS:
            return None
        entry, size = self._entry(path)
        if entry == known.entry:
            self.known[path] = Known(entry=entry, stamp=stamp)
            return None
        return Found(path=path, before=known.entry, after=entry, size=size)

    def _added(self, path: str) -> Found:
        entry, size = self._entry(path)
        return Found(path=path, before=None, after=entry, size=size)

    def _entry(self, path: str) -> tuple[Entry, int]:
        """Give mode and blob id of a file as git would record it, without storing it."""
        target = self.root / path
        status = target.lstat()
        if stat.S_ISLNK(status.st_mode):
            content, mode = os.fsencode(target.readlink()), LINK
        elif stat.S_ISREG(status.st_mode):
            content, mode = target.read_bytes(), EXECUTABLE if status.st_mode & 0o100 else FILE
        else:
            reason = "is neither a file, a folder nor a link"
            raise WorkspaceSecurityError(path, reason, reason_code="special_file")
        raw = b"blob %d\0" % len(content) + content
        oid = hashlib.sha1(raw).hexdigest()  # noqa: S324  # git names objects so
        return Entry(mode=mode, oid=oid), len(content)

    def _untracked(self, strange: Sequence[str], listed: Sequence[str]) -> Iterator[str]:
        for path in strange:
            _check_name(path.rstrip("/"))
        ignored = self._ignored(strange)
        inner: list[str] = []
        for path in strange:
            if path in ignored and not any(globs.overlaps(g, _inside(path)) for g in listed):
                continue
            inner += self._files(path)
        ignored_files = self._ignored(inner)
        for path in inner:
            if path not in ignored_files or any(globs.matches(glob, path) for glob in listed):
                yield path

    def _files(self, path: str) -> list[str]:
        if not path.endswith("/"):
            return [path]
        found = list(leftovers.files_below(self.root, path))
        for each in found:
            if each.endswith("/.git"):
                _check_name(each)
        return found

    def _ignored(self, paths: Sequence[str]) -> set[str]:
        """Those paths that the tree's own .gitignore files leave out (gitignore(5)), and caches.

        A .gitignore that the command itself wrote would hide its other changes.
        """
        rules = {
            path: self.store.blob(known.entry.oid)
            for path, known in self.known.items()
            if path.rpartition("/")[2] == leftovers.RULES and known.entry.mode in {FILE, EXECUTABLE}
        }
        caches = {path for path in paths if leftovers.in_cache(path)}
        return leftovers.ignored([path for path in paths if path not in caches], rules) | caches

    def keep(self, change: Found) -> Entry | None:
        """Store the new content of a changed path and take note of it."""
        if change.after is not None:
            target = self.root / change.path
            is_link = change.after.mode == LINK
            content = os.fsencode(target.readlink()) if is_link else target.read_bytes()
            oid = self.store.write("blob", content)
            entry = Entry(mode=change.after.mode, oid=oid)
            self.settle(change.path, entry)
            return entry
        self.settle(change.path, None)
        return None


def _inside(path: str) -> str:
    return f"{path}**" if path.endswith("/") else path


def _check_untouched(submodule: str, untouched: bool) -> None:  # noqa: FBT001  # one yes or no
    if not untouched:
        reason = "is a submodule, which planlock does not change"
        raise WorkspaceSecurityError(submodule, reason, reason_code="submodule")


def _check_change(path: str) -> None:
    """Refuse to record a name that no plan could have named, or that reads as another."""
    check_path(path)
    if visible(path) != path:
        reason = "holds characters that cannot be shown"
        raise WorkspaceSecurityError(path, reason, reason_code="control_character")


def _check_name(path: str) -> None:
    """Refuse names that git itself refuses (`.git` in any spelling, `..`), and no others."""
    for name in path.split("/"):
        if name in {"", ".", ".."}:
            raise WorkspaceSecurityError(path, "is not a plain path", reason_code="traversal")
        if "git" in name.casefold() or not name.isascii():
            _check_spelling(name)


def _check_spelling(name: str) -> None:
    try:
        check_path(name)
    except WorkspaceSecurityError as error:
        if error.reason_code == "git_dir":
            raise


def _stamp(path: Path) -> Stamp:
    status = path.lstat()
    return Stamp(
        mode=status.st_mode,
        size=status.st_size,
        modified=status.st_mtime_ns,
        changed=status.st_ctime_ns,
        inode=status.st_ino,
    )
