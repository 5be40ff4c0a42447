"""Git objects: read through one long-lived `git cat-file`, written in process.

Durably each by itself, or collected for whoever writes many together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from runner.core.errors import GitError
from runner.git import objects_loose
from runner.git.objects_kept import Collected, Found, Recent
from runner.git.objects_reader import Reader
from runner.git.objects_tree import Pieces

Kind = Literal["blob", "tree", "commit", "tag"]
FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"
# What is kept in memory: bytes of objects, and names in trees.
MOST_BYTES, MOST_NAMES = 16 << 20, 300_000
# The names of so many objects fit into a pipe, their contents into memory.
AT_ONCE = 64


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
        self._reader = Reader(git_dir)
        self._collected: Collected | None = None
        self._recent: Recent[str, Found] = Recent(MOST_BYTES)
        self._trees: Recent[str, Tree] = Recent(MOST_NAMES)
        self._pieces: Recent[str, Pieces] = Recent(MOST_NAMES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    def read(self, name: str) -> tuple[str, Kind, bytes]:
        """Read an object by id or revision: id, kind, content; raises GitError if missing."""
        found = self.look_up(name)
        if found is None:
            raise _missing(name)
        return found

    def look_up(self, name: str) -> tuple[str, Kind, bytes] | None:
        if not name or any(char in name for char in "\n\0"):
            return None
        return self._kept(name) or self._reader.look_up(name)  # type: ignore[return-value]  # git names the four kinds

    def _kept(self, name: str) -> Found | None:
        """What this process wrote itself."""
        waiting = self._collected.get(name) if self._collected else None
        return waiting or self._recent.get(name)

    def blob(self, oid: str) -> bytes:
        return self._read_kind(oid, "blob")

    def blobs(self, oids: Sequence[str]) -> Iterator[bytes]:
        """Read blobs in this order, many with one question; raises GitError."""
        for start in range(0, len(oids), AT_ONCE):
            asked = oids[start : start + AT_ONCE]
            kept = [self._kept(oid) for oid in asked]
            rest = [oid for oid, found in zip(asked, kept, strict=True) if found is None]
            answers = iter(self._reader.look_up_all(rest) if rest else ())
            for oid, found in zip(asked, kept, strict=True):
                yield _content(oid, found or next(answers), "blob")

    def tree(self, oid: str) -> Tree:
        tree = self._trees.get(oid)
        if tree is None:
            data = self._read_kind(oid, "tree")
            try:
                tree = parse_tree(data, len(oid) // 2)
            except ValueError as error:
                raise GitError(f"reading tree {oid}: malformed: {error}") from error
            self._trees.put(oid, tree, len(tree) + 1)
        return tree

    def commit(self, oid: str) -> Commit:
        data = self._read_kind(oid, "commit")
        try:
            return parse_commit(oid, data)
        except (KeyError, ValueError) as error:
            raise GitError(f"reading commit {oid}: malformed: {error}") from error

    def _read_kind(self, oid: str, wanted: Kind) -> bytes:
        return _content(oid, self.look_up(oid), wanted)

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
        """Store an object and give its id; raises FileAccessError (disk full, …).

        It is durable when this returns, but where objects are collected.
        """
        oid = objects_loose.oid_of(kind, content)
        if self._collected is not None:
            self._collected.add(oid, kind, content)
        else:
            objects_loose.write(self.objects, oid, kind, content)
        return oid

    def collect(self, spill: Callable[[], None]) -> None:
        """Keep what is written from now on in memory; `spill` is called when it is too much."""
        self._collected = Collected(spill)

    def collected(self) -> list[Found]:
        """Give what waits to be written, as ids, kinds and contents."""
        return self._collected.waiting() if self._collected else []

    def written(self) -> None:
        """Note that all that was collected is where git finds it."""
        for each in self._collected.done() if self._collected else ():
            self._recent.put(each[0], each, len(each[2]) + 100)

    def stop_collecting(self) -> None:
        """Write each object by itself again; what was collected, and not written, is forgotten."""
        self._collected = None

    def write_tree(self, tree: Tree) -> str:
        return self._write_pieces(tree, _pieces(tree))

    def _write_pieces(self, tree: Tree, pieces: Pieces) -> str:
        oid = self.write("tree", pieces.rendered())
        self._trees.put(oid, tree, len(tree) + 1)
        self._pieces.put(oid, pieces, len(tree) + 1)
        return oid

    def edit_tree(self, tree: str | None, edits: Edits) -> str:
        """Write the trees that result from changing some paths; None removes a path.

        Only the folders on the way are read and written. Raises GitError where a path runs
        through a file or a submodule.
        """
        draft = self._draft(tree)
        below: dict[str, dict[str, Entry | None]] = {}
        here: dict[str, Entry] = {}
        for path, entry in edits.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = entry
            elif entry is None:
                draft.change(name, None)
            else:
                here[name] = entry
        for name, inner in below.items():
            self._edit_folder(draft, name, inner)
        # A file that takes a folder's place comes after that folder's files are gone.
        for name, entry in here.items():
            draft.change(name, entry)
        return self._write_pieces(draft.tree, draft.pieces)

    def _draft(self, oid: str | None) -> _Draft:
        if oid is None:
            return _Draft({}, Pieces())
        tree = self.tree(oid)
        pieces = self._pieces.get(oid)
        return _Draft(dict(tree), pieces.copy() if pieces else _pieces(tree))

    def _edit_folder(self, draft: _Draft, name: str, inner: Edits) -> None:
        old = draft.tree.get(name)
        if old is not None and old.mode == SUBMODULE:
            raise GitError(f"changing {name}/: it is a submodule, which planlock does not change")
        oid = self.edit_tree(old.oid if old and old.mode == FOLDER else None, inner)
        draft.change(name, Entry(mode=FOLDER, oid=oid) if self.tree(oid) else None)


@dataclass(frozen=True)
class _Draft:
    """A tree that is being changed, and its bytes."""

    tree: Tree
    pieces: Pieces

    def change(self, name: str, entry: Entry | None) -> None:
        old = self.tree.pop(name, None)
        if old is not None:
            self.pieces.drop(tree_key(name, old))
        if entry is not None:
            self.tree[name] = entry
            self.pieces.put(tree_key(name, entry), tree_piece(name, entry))


def _content(oid: str, found: tuple[str, str, bytes] | None, wanted: Kind) -> bytes:
    if found is None:
        raise _missing(oid)
    _, kind, content = found
    if kind != wanted:
        raise GitError(f"reading object {oid}: a {kind}, not a {wanted}")
    return content


def _missing(name: str) -> GitError:
    return GitError(f"reading object {name}: not in this repository")


def _pieces(tree: Tree) -> Pieces:
    return Pieces((tree_key(*each), tree_piece(*each)) for each in tree.items())


def tree_key(name: str, entry: Entry) -> bytes:
    """What git sorts by: a folder's name with a `/` behind."""
    return os.fsencode(name) + (b"/" if entry.mode == FOLDER else b"")


def tree_piece(name: str, entry: Entry) -> bytes:
    return b"%b %b\0%b" % (entry.mode.encode(), os.fsencode(name), bytes.fromhex(entry.oid))


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
    return _pieces(tree).rendered()


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
