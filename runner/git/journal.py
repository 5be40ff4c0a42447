"""The journal of a run that is being written: what is in it survives a power cut.

One file of frames, each with the objects and the moves of refs of one commit. They are written
over zeros that are on the disk already, each from the start of a block: so to sync one costs no
change of the file's length, and cannot damage the one before. A frame's digest covers that of
the one before, so that nothing older is taken for what follows. The writer keeps the file
locked; one that nobody holds belongs to a process that died.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from runner.core.errors import GitError
from runner.git import durable, machine
from runner.git.packs import Entry, Part
from runner.git.refs import Move

FOLDER = "planlock/journal"
HEAD = struct.Struct(">8sQ32s")
MAGIC = b"planjrn1"
BLOCK, LEAST, MOST = 4096, 64 << 10, 1 << 20
LENGTH = struct.Struct(">L")
ENTRY = struct.Struct(">20sQL")
NOTHING = Part(body=b"", entries=())


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One commit: `packs` are the packs that are written, not synced, once the frame is there."""

    moves: tuple[Move, ...] = ()
    packs: tuple[str, ...] = ()
    part: Part = field(default=NOTHING, repr=False)

    def payload(self) -> bytes:
        told = {
            "moves": [[each.ref, each.old, each.new] for each in self.moves],
            "packs": self.packs,
            "objects": len(self.part.entries),
        }
        head = json.dumps(told).encode()
        table = b"".join(ENTRY.pack(*entry) for entry in self.part.entries)
        return b"".join([LENGTH.pack(len(head)), head, table, self.part.body])


def _parse(payload: memoryview) -> Frame:
    (length,) = LENGTH.unpack_from(payload)
    start = LENGTH.size + length
    told = json.loads(bytes(payload[LENGTH.size : start]))
    end = start + told["objects"] * ENTRY.size
    entries = tuple(Entry(*each) for each in ENTRY.iter_unpack(payload[start:end]))
    return Frame(
        moves=tuple(Move(ref=ref, old=old, new=new) for ref, old, new in told["moves"]),
        packs=tuple(told["packs"]),
        part=Part(body=bytes(payload[end:]), entries=entries),
    )


def frames(content: bytes) -> Iterator[Frame]:
    """Give every frame before the first that is cut off, damaged or of another time."""
    left, last = memoryview(content), b""
    while len(left) >= HEAD.size:
        magic, length, digest = HEAD.unpack_from(left)
        if magic[:-1] == MAGIC[:-1] and magic != MAGIC:
            raise GitError("reading a journal: another version of planlock made it")
        payload = left[HEAD.size : HEAD.size + length]
        if magic != MAGIC or len(payload) < length or _digest(last, payload) != digest:
            return
        yield _parse(payload)
        left, last = left[_blocks(HEAD.size + length) :], digest


def _digest(last: bytes, payload: bytes | memoryview) -> bytes:
    hashed = hashlib.sha256(last)
    hashed.update(payload)
    return hashed.digest()


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


@dataclass
class Journal:
    """An open journal that we hold; `size` is what is on the disk, `length` what is in use."""

    path: Path
    descriptor: int
    size: int = 0
    length: int = 0
    last: bytes = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.path.name

    def append(self, frame: Frame, *, sync: bool) -> None:
        """Add a frame, or leave the file without it and raise OSError."""
        payload = frame.payload()
        digest = _digest(self.last, payload)
        data = HEAD.pack(MAGIC, len(payload), digest) + payload
        self._grow(self.length + len(data))
        try:
            durable.write_at(self.descriptor, data, self.length, place=self.path)
            if sync:
                durable.sync(self.descriptor, self.path)
        except OSError:
            self._void()
            raise
        self.length += _blocks(len(data))
        self.last = digest

    def _grow(self, length: int) -> None:
        if length > self.size:
            more = max(LEAST, min(MOST, self.size), _blocks(length - self.size))
            durable.write_at(self.descriptor, bytes(more), self.size, place=self.path)
            durable.sync(self.descriptor, self.path)
            self.size += more

    def _void(self) -> None:
        durable.write_at(self.descriptor, bytes(HEAD.size), self.length, place=self.path)

    def frames(self) -> Iterator[Frame]:
        return frames(self.path.read_bytes())

    def clear(self) -> None:
        """Forget what is on the disk in other files now."""
        self.length, self.last = 0, b""
        if self.size:
            self._void()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def remove(self) -> None:
        durable.unlink(self.path)
        self.close()


def begin(common: Path, plan: str, run: int) -> Journal:
    """Make a journal of a run; raises OSError."""
    folder = common / FOLDER
    durable.make_folder(folder)
    start = start_of(plan, run)
    names = (folder / f"{start}{os.getpid()}.{count}" for count in itertools.count())
    found = None
    while found is None:
        with suppress(FileExistsError):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            found = _hold(next(names), flags, wait=True)
    durable.sync_path(folder)
    return found


def start_of(plan: str, run: int) -> str:
    """How the names of a run's journals begin; after that comes the writer's process."""
    return f"{plan}.{run}."


def dead(common: Path, start: str = "") -> Iterator[Path]:
    """Give the journals that may be a dead writer's, all or those whose names start so."""
    with suppress(FileNotFoundError):
        yield from sorted(
            each for each in (common / FOLDER).iterdir() if each.name.startswith(start)
        )


def take(path: Path) -> Journal | None:
    """Hold a journal whose writer is gone; None where it lives, or somebody else is settling it.

    Raises OSError.
    """
    with suppress(FileNotFoundError, BlockingIOError):
        return _take(path)
    return None


def is_being_settled(path: Path) -> bool:
    """Whether somebody holds it who did not write it."""
    return path.exists() and not machine.is_there(path.name.split(".")[-2])


def _take(path: Path) -> Journal | None:
    try:
        return _hold(path, os.O_RDWR | os.O_CLOEXEC, wait=False)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS}:
            raise
        # We may not settle it, which is well as long as its writer lives.
        found = _hold(path, os.O_RDONLY | os.O_CLOEXEC, wait=False)
        if found is None:
            return None
        found.close()
        raise


def _hold(path: Path, flags: int, *, wait: bool) -> Journal | None:
    """Open and lock; None where somebody took the file for a dead process's and removed it."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    if not found.st_nlink:
        os.close(descriptor)
        return None
    return Journal(path=path, descriptor=descriptor, size=found.st_size)
