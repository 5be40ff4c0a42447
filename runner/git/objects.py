"""Git objects: read through one long-lived `git cat-file`, written in process and durably.

Loose objects, written to a temporary file, synced and renamed, as git does with
`core.fsync=loose-object` (gitformat-loose, git-cat-file(1)).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from runner.core.errors import FileAccessError, GitError, ToolNotFound
from runner.git import command

Kind = Literal["blob", "tree", "commit", "tag"]
FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name in a tree."""

    mode: str
    oid: str


Tree = dict[str, Entry]
Edits = Mapping[str, Entry | None]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who made a commit and when, as git stores it: `name <email>`, seconds since 1970, UTC."""

    name: str
    email: str
    when: int

    def line(self) -> str:
        return f"{self.name} <{self.email}> {self.when} +0000"


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit; `signed_part` is the bytes that its signature covers."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    message: str
    signature: bytes | None
    signed_part: bytes


class ObjectStore:
    """The objects of one repository."""

    def __init__(self, git_dir: Path, objects: Path) -> None:
        self.git_dir = git_dir
        self.objects = objects
        self._reader: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, Tree] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and reader.stdin and reader.stdout:
            with suppress(BrokenPipeError):  # what is left in the pipe of a dead reader
                reader.stdin.close()
            reader.stdout.close()
            reader.wait()

    def read(self, name: str) -> tuple[str, Kind, bytes]:
        """Read an object by id or revision: id, kind, content; raises GitError if missing."""
        found = self.look_up(name)
        if found is None:
            raise GitError(f"reading object {name}: not in this repository")
        return found

    def look_up(self, name: str) -> tuple[str, Kind, bytes] | None:
        if not name or any(char in name for char in "\n\0"):
            return None
        reader = self._start()
        if reader.stdin is None or reader.stdout is None:
            raise GitError("reading objects: no pipe to git cat-file")
        try:
            reader.stdin.write(name.encode() + b"\n")
            reader.stdin.flush()
            header = reader.stdout.readline().rstrip(b"\n")
            if header.endswith((b" missing", b" ambiguous")) or not header:
                return None
            oid, kind, size = header.decode().split(" ")
            content = reader.stdout.read(int(size) + 1)[:-1]
        except (BrokenPipeError, ValueError) as error:
            raise GitError(f"reading object {name}: git cat-file answered {error}") from error
        if _oid(kind, content) != oid:  # git itself does not look
            raise GitError(f"reading object {name}: its content is not what {oid} names")
        return oid, kind, content  # type: ignore[return-value]  # git names the four kinds

    def _start(self) -> subprocess.Popen[bytes]:
        if self._reader is None or self._reader.poll() is not None:
            self.close()
            try:
                self._reader = subprocess.Popen(
                    command.arguments(self.git_dir, ["cat-file", "--batch"]),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=command.environment(),
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                hint = "apt-get install git"
                raise ToolNotFound("starting git: not installed", hint=hint) from error
            except OSError as error:
                raise GitError(f"starting git: {error.strerror}") from error
        return self._reader

    def blob(self, oid: str) -> bytes:
        return self._read_kind(oid, "blob")

    def tree(self, oid: str) -> Tree:
        if oid not in self._trees:
            data = self._read_kind(oid, "tree")
            try:
                self._trees[oid] = parse_tree(data, len(oid) // 2)
            except ValueError as error:
                raise GitError(f"reading tree {oid}: malformed: {error}") from error
        return self._trees[oid]

    def commit(self, oid: str) -> Commit:
        data = self._read_kind(oid, "commit")
        try:
            return parse_commit(oid, data)
        except (KeyError, ValueError) as error:
            raise GitError(f"reading commit {oid}: malformed: {error}") from error

    def _read_kind(self, oid: str, wanted: Kind) -> bytes:
        _, kind, content = self.read(oid)
        if kind != wanted:
            raise GitError(f"reading object {oid}: a {kind}, not a {wanted}")
        return content

    def entry(self, tree: str, path: str) -> Entry | None:
        """Find a path below a tree; None where it is absent."""
        entry: Entry | None = Entry(mode=FOLDER, oid=tree)
        for name in path.split("/"):
            if entry is None or entry.mode != FOLDER:
                return None
            entry = self.tree(entry.oid).get(name)
        return entry

    def file(self, tree: str, path: str) -> bytes | None:
        """Read a regular file below a tree; None where there is none."""
        entry = self.entry(tree, path)
        return self.blob(entry.oid) if entry and entry.mode in {FILE, EXECUTABLE} else None

    def walk(self, tree: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield every file, link and submodule below a tree."""
        for name, entry in self.tree(tree).items():
            path = prefix + name
            if entry.mode == FOLDER:
                yield from self.walk(entry.oid, path + "/")
            else:
                yield path, entry

    def write(self, kind: Kind, content: bytes) -> str:
        """Store an object durably and give its id; raises FileAccessError (disk full, …)."""
        oid = _oid(kind, content)
        target = self.objects / oid[:2] / oid[2:]
        if not target.exists():
            try:
                _write_loose(target, zlib.compress(_header(kind, content) + content, 1))
            except OSError as error:
                raise FileAccessError(f"writing object {oid}: {error.strerror}") from error
        return oid

    def write_tree(self, tree: Tree) -> str:
        oid = self.write("tree", render_tree(tree))
        self._trees[oid] = tree
        return oid

    def edit_tree(self, tree: str | None, edits: Edits) -> str:
        """Write the trees that result from changing some paths; None removes a path.

        Only the folders on the way are read and written. Raises GitError where a path runs
        through a file or a submodule.
        """
        entries = dict(self.tree(tree)) if tree else {}
        below: dict[str, dict[str, Entry | None]] = {}
        here: Tree = {}
        for path, entry in edits.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = entry
            elif entry is None:
                entries.pop(name, None)
            else:
                here[name] = entry
        # A file that takes a folder's place comes after that folder's files are gone.
        for name, inner in below.items():
            self._edit_folder(entries, name, inner)
        return self.write_tree(entries | here)

    def _edit_folder(self, entries: Tree, name: str, inner: Edits) -> None:
        old = entries.get(name)
        if old is not None and old.mode == SUBMODULE:
            raise GitError(f"changing {name}/: it is a submodule, which planlock does not change")
        oid = self.edit_tree(old.oid if old and old.mode == FOLDER else None, inner)
        if self.tree(oid):
            entries[name] = Entry(mode=FOLDER, oid=oid)
        else:
            entries.pop(name, None)


def _header(kind: str, content: bytes) -> bytes:
    return f"{kind} {len(content)}\0".encode()


def _oid(kind: str, content: bytes) -> str:
    hashed = hashlib.sha1(_header(kind, content))  # noqa: S324  # git names objects so
    hashed.update(content)
    return hashed.hexdigest()


def _write_loose(target: Path, data: bytes) -> None:
    target.parent.mkdir(exist_ok=True)
    scratch = target.parent / f"tmp_obj_{os.getpid()}_{target.name[:16]}"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(target)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parse_tree(data: bytes, width: int) -> Tree:
    tree: Tree = {}
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        zero = data.index(b"\0", space)
        name = data[space + 1 : zero].decode("utf-8", "surrogateescape")
        end = zero + 1 + width
        tree[name] = Entry(mode=data[position:space].decode(), oid=data[zero + 1 : end].hex())
        position = end
    return tree


def render_tree(tree: Tree) -> bytes:
    def key(item: tuple[str, Entry]) -> bytes:
        name, entry = item
        return os.fsencode(name) + (b"/" if entry.mode == FOLDER else b"")

    return b"".join(
        entry.mode.encode() + b" " + os.fsencode(name) + b"\0" + bytes.fromhex(entry.oid)
        for name, entry in sorted(tree.items(), key=key)
    )


def parse_commit(oid: str, data: bytes) -> Commit:
    """Split a commit into headers and message; the signature header is taken out."""
    head, _, message = data.partition(b"\n\n")
    fields: dict[str, list[bytes]] = {}
    kept: list[bytes] = []
    last = ""
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            fields[last][-1] += b"\n" + line[1:]
        else:
            last, _, value = line.decode("utf-8", "surrogateescape").partition(" ")
            fields.setdefault(last, []).append(value.encode("utf-8", "surrogateescape"))
        if last != "gpgsig":
            kept.append(line)
    signature = fields.get("gpgsig")
    return Commit(
        oid=oid,
        tree=fields["tree"][0].decode(),
        parents=tuple(parent.decode() for parent in fields.get("parent", [])),
        author=fields["author"][0].decode("utf-8", "replace"),
        committer=fields["committer"][0].decode("utf-8", "replace"),
        message=message.decode("utf-8", "replace"),
        signature=signature[0] + b"\n" if signature and len(signature) == 1 else None,
        signed_part=b"\n".join(kept) + b"\n\n" + message,
    )


@dataclass(frozen=True, kw_only=True)
class NewCommit:
    """A commit to be written; `by` is both author and committer."""

    tree: str
    parents: tuple[str, ...]
    by: Signature
    message: str

    def unsigned(self) -> bytes:
        lines = [f"tree {self.tree}", *(f"parent {oid}" for oid in self.parents)]
        lines += [f"author {self.by.line()}", f"committer {self.by.line()}"]
        return ("\n".join(lines) + "\n\n" + self.message).encode()

    def signed(self, armored: bytes) -> bytes:
        """Add the signature as git's `gpgsig` header."""
        head, _, message = self.unsigned().partition(b"\n\n")
        folded = armored.rstrip(b"\n").replace(b"\n", b"\n ")
        return head + b"\ngpgsig " + folded + b"\n\n" + message
