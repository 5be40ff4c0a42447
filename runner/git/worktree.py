"""A run's own work tree: written from objects, and searched for what a command changed.

It is no linked work tree of git: its `.git` is a small private repository that borrows the
objects, so a command in it sees history, but no configuration, no remotes and no tokens.
Files hold exactly the bytes of their blobs; no filter and no end-of-line conversion runs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runner.core import globs
from runner.core.errors import FileAccessError, WorkspaceSecurityError
from runner.core.paths import check_path
from runner.core.policy import PLANS_FOLDER
from runner.core.text import visible
from runner.git import changed, content, leftovers
from runner.git.changed import Known, Search, Stamp
from runner.git.layered import Layered, lay
from runner.git.objects import Entry, ObjectStore
from runner.git.private_git import PrivateGit
from runner.git.shared_checkouts import SharedCheckouts
from runner.git.sparse import Sparse

MOST_BYTES = 256 << 20
MOST_UNLISTED = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """A path that is not as the tree has it; `after` None where it is gone."""

    path: str
    before: Entry | None
    after: Entry | None
    size: int = 0


class WorkTree:
    """The files of one run, and what each looked like when they were last in step with the tree.

    `layers` is there where commands see the folder over one of the `checkouts`.
    """

    def __init__(
        self, root: Path, store: ObjectStore, checkouts: SharedCheckouts | None = None
    ) -> None:
        self.root = root
        self.store = store
        self.layers: Layered | None = None
        self._checkouts = checkouts
        self._commit = ""
        self._telling = False
        self._private = PrivateGit(root / ".git", store.objects)
        self._files = Sparse(root, store, "")

    @property
    def known(self) -> Mapping[str, Known]:
        """What is in the folder of the tree, and how each looked when it was last the same."""
        return self._files.known

    def fill(self, tree: str, commit: str) -> None:
        """Begin a tree in a fresh folder; raises FileAccessError or WorkspaceSecurityError.

        A file is written when it is asked for, all of them before a command.
        """
        with self._writing(f"making work tree {self.root}"):
            self._release()
            if self.root.exists():
                leftovers.remove(self.root)
            self._files = Sparse(self.root, self.store, tree)
            self._private = PrivateGit(self.root / ".git", self.store.objects)
            self.root.mkdir(parents=True, mode=0o700)
            self._telling = changed.stamps_tell(self.root)
            self._commit = commit

    def place(self, path: str) -> None:
        """Write what the tree has at a path, or on the way to it, unless it was asked for before.

        Whoever looks at the path then finds what would be there if every file were.
        """
        with self._writing(f"writing {self.root / path}"):
            self._learn()
            self._files.place(path)

    def place_all(self) -> None:
        with self._writing(f"filling work tree {self.root}"):
            self._learn()
            self._release()
            self._files.place_all()

    def complete(self, can_layer: Callable[[Path], bool]) -> None:
        """Have every file ready for a command: in a checkout beneath the folder, or all in it.

        `can_layer` tells whether what lies in a folder can be shown over other files.
        """
        with self._writing(f"making a checkout for {self.root}"):
            if self.layers is None and self._checkouts and not self._files.whole:
                self.layers = lay(self._files, self.store, self._checkouts, can_layer)
            if self.layers is None or not can_layer(self.layers.scratch.folder):
                self.place_all()

    def _learn(self) -> None:
        if self.layers:
            self.layers.learn()

    def _release(self) -> None:
        if self.layers:
            self.layers.release()
        self.layers = None

    def paths(self) -> Iterator[str]:
        """Every file and link of the tree, there or not yet."""
        return self._files.paths()

    def is_in_submodule(self, path: str) -> bool:
        """Whether a path that was placed is a submodule's, or in one."""
        return any(path == each or path.startswith(f"{each}/") for each in self._files.submodules)

    @contextmanager
    def _writing(self, activity: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileAccessError(f"{activity}: {error.strerror}") from error

    def point_to(self, commit: str) -> None:
        """Have the private `.git` of the next command, and what is still to write, be a commit's."""
        self._commit = commit
        if not self._files.whole:
            self._files.tree = self.store.commit(commit).tree

    def index(self, can_layer: Callable[[Path], bool] = lambda _: False) -> None:
        """Complete it, make the private `.git` anew, remove what would run for reviewed code."""
        self.complete(can_layer)
        with self._writing(f"preparing {self.root}"):
            self._learn()
            self._private.renew(self._commit)
            folders = self.layers.folders if self.layers else ()
            leftovers.remove_compiled(self.root, self.known, folders)
            if self.layers:
                self._files.place(PLANS_FOLDER)
                self.layers.prepare()

    def check_protected(self) -> None:
        """Put all back and raise WorkspaceSecurityError where `.git` or plans/ were changed.

        The private index does not count: `git status` writes it.
        """
        inside = self._private.changed()
        path = f".git/{inside}" if inside else self._changed_plans()
        if path is None:
            return
        self.restore()
        reason = "is protected, and was changed; all files are as they were before"
        shown = visible(os.path.normpath(path))
        raise WorkspaceSecurityError(shown, reason, reason_code="protected_changed")

    def restore(self) -> None:
        """Write everything anew, as the commit has it."""
        self.fill(self.store.commit(self._commit).tree, self._commit)

    def _changed_plans(self) -> str | None:
        """Name a path of plans/ that is not as the tree has it, ignored or not."""
        top = self.root / PLANS_FOLDER
        try:
            if self.layers:
                self.layers.learn(PLANS_FOLDER)
            known = {path for path in self.known if path.startswith(f"{PLANS_FOLDER}/")}
            if top.is_symlink() or not top.is_dir():
                return PLANS_FOLDER if known or os.path.lexists(top) else None
            there = set(leftovers.files_below(self.root, PLANS_FOLDER))
            newest = changed.newest_look(self.known, telling=self._telling)
            for path in sorted(known & there):
                was, stamp = self.known[path], Stamp.of(self.root / path)
                if stamp.size != was.stamp.size:
                    return path  # unread: it may be as large as it likes
                if not was.looks_like(stamp, newest) and any(self._compare(path)):
                    return path
            return min(known ^ there, default=None)
        except (OSError, WorkspaceSecurityError):
            return PLANS_FOLDER

    def remove(self) -> None:
        """Delete the folder; what it held is in the tree."""
        with self._writing(f"removing {self.root}"):
            self._release()
            leftovers.remove(self.root)

    def write(self, path: str, entry: Entry | None) -> None:
        """Bring one path in step with the tree (records and approvals, which no step writes)."""
        with self._writing(f"writing {self.root / path}"):
            if self._files.is_pending(path, entry):
                return
            self._clear_way(path)
            self._files.settle(path, None)
            if entry is not None:
                self._files.write([(path, entry)])

    def _clear_way(self, path: str) -> None:
        """Take away what a command put at the path, and links where the path has folders."""
        names = path.split("/")
        for at in range(1, len(names)):
            folder = self.root / "/".join(names[:at])
            if folder.is_symlink() or not folder.is_dir():
                folder.unlink(missing_ok=True)
        leftovers.take_away(self.root / path)

    def settle(self, path: str, entry: Entry | None) -> None:
        """Take note that a path in the work tree now is as the tree will have it."""
        known = Known(entry=entry, stamp=Stamp.of(self.root / path)) if entry else None
        self._files.settle(path, known)

    def changes(self, listed: Sequence[str], *, most_bytes: int = MOST_BYTES) -> list[Found]:
        """Find what differs from the tree; ignored files count only where a glob names them.

        A glob names one by more than wildcards: `dist/**` lists an ignored dist/, `**` does not.
        Raises WorkspaceSecurityError for a protected file that was changed, and for what cannot
        be recorded: a nested repository, a special file, a change in a submodule, a folder that
        was closed, a name that misleads, more than `most_bytes` in what is listed.
        """
        self.check_protected()
        with self._explaining("searching"):
            self._learn()
            found = sorted(self._found(listed, most_bytes), key=lambda each: each.path)
        for each in found:
            _check_change(each.path)
        return found

    @contextmanager
    def _explaining(self, activity: str) -> Iterator[None]:
        """Raise WorkspaceSecurityError or FileAccessError for what a command left as it is."""
        try:
            yield
        except PermissionError as error:
            path = os.path.relpath(os.fsdecode(error.filename), self.root)
            reason = "cannot be read any more"
            raise WorkspaceSecurityError(path, reason, reason_code="unreadable") from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                path = os.path.relpath(os.fsdecode(error.filename), self.root)[:64]
                reason = "leads to a name that is too long"
                raise WorkspaceSecurityError(path, reason, reason_code="too_long") from error
            raise FileAccessError(f"{activity} {self.root}: {error.strerror}") from error

    def _found(self, listed: Sequence[str], most_bytes: int) -> Iterator[Found]:
        rules = partial(changed.rules_among, self.known, self.store.blob)
        search = Search(
            root=self.root,
            known=self.known,
            submodules=frozenset(self._files.submodules),
            telling=self._telling,
            rules=rules,
            folders=self.layers.folders if self.layers else (),
        )
        suspects = search.suspects(listed)
        self._check_sizes(suspects, listed, most_bytes)
        for path, stamp in suspects.items():
            known = self.known.get(path)
            if stamp is None and known is not None:
                yield Found(path=path, before=known.entry, after=None)
            else:
                yield from self._compare(path)

    def _check_sizes(
        self, suspects: Mapping[str, Stamp | None], listed: Sequence[str], most: int
    ) -> None:
        """Refuse before anything is read: a sparse file costs a command nothing, and us hours.

        What is not listed is refused anyway, by its name where it can be read in good time.
        """
        size = unlisted = 0
        for path, stamp in suspects.items():
            known = self.known.get(path)
            if stamp is None or (known is not None and known.stamp.size == stamp.size):
                continue  # gone, or perhaps unchanged and no larger than the tree's own
            if any(globs.matches(glob, path) for glob in listed):
                size += stamp.size
            else:
                unlisted += stamp.size
            if unlisted > MOST_UNLISTED:
                reason = f"and others that `writes` does not list have over {MOST_UNLISTED} bytes"
                raise WorkspaceSecurityError(path, reason, reason_code="too_large")
            if size > most:
                reason = f"brings the changes to {size} bytes, of which {most} are allowed"
                raise WorkspaceSecurityError(path, reason, reason_code="too_large")

    def _compare(self, path: str) -> Iterator[Found]:
        """Compare content and mode of a path that is there with those of the tree."""
        known = self.known.get(path)
        before = known.entry if known else None
        entry, size = content.identify(self.root, path)
        if entry != before:
            yield Found(path=path, before=before, after=entry, size=size)
        else:
            content.separate(self.root, path)
            self.settle(path, entry)

    def keep(self, change: Found) -> Entry | None:
        """Store the new content of a changed path and take note of it."""
        entry = change.after
        with self._explaining("keeping files of"):
            if entry is not None:
                data = content.read(self.root, change.path, mode=entry.mode, most=change.size)
                if self.store.write("blob", data) != entry.oid:
                    raise content.changed_meanwhile(change.path)
                content.separate(self.root, change.path)
            self.settle(change.path, entry)
        return entry


def _check_change(path: str) -> None:
    """Refuse to record a name that no plan could have named, or that reads as another."""
    check_path(path)
    if visible(path) != path:
        reason = "holds characters that cannot be shown"
        raise WorkspaceSecurityError(path, reason, reason_code="control_character")
