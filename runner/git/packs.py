"""Packs made in memory: objects whole and stored, not compressed (gitformat-pack(5)).

`git gc` compresses them one day; to compress each as it is written costs more than the disk.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
HEADER = struct.Struct(">4sLL")
INDEX_START = b"\xfftOc\0\0\0\x02"
STORED_MOST = 0xFFFF


class Entry(NamedTuple):
    """An object in a pack: its id, where it begins and the checksum of its bytes there."""

    oid: bytes
    offset: int
    crc: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """Entries of a pack one after another; offsets count from the first."""

    body: bytes
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A pack and its index as git has them in files; `name` is theirs, without suffix."""

    name: str
    content: bytes
    index: bytes


def part(objects: Iterable[tuple[str, str, bytes]]) -> Part:
    """Write ids, kinds and contents as entries."""
    pieces, entries, offset = [], [], 0
    for oid, kind, content in objects:
        piece = _size(KINDS[kind], len(content)) + stored(content)
        pieces.append(piece)
        entries.append(Entry(bytes.fromhex(oid), offset, zlib.crc32(piece)))
        offset += len(piece)
    return Part(body=b"".join(pieces), entries=tuple(entries))


def _size(kind: int, size: int) -> bytes:
    byte, size = kind << 4 | size & 15, size >> 4
    written = bytearray()
    while size:
        written.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    written.append(byte)
    return bytes(written)


def stored(content: bytes) -> bytes:
    """Write a zlib stream that compresses nothing; zlib itself takes 25 times as long to start."""
    starts = range(0, len(content), STORED_MOST) or range(1)
    pieces = [b"\x78\x01"]
    for start in starts:
        piece = content[start : start + STORED_MOST]
        last = start == starts[-1]
        pieces += [struct.pack("<BHH", last, len(piece), len(piece) ^ STORED_MOST), piece]
    pieces.append(struct.pack(">L", zlib.adler32(content)))
    return b"".join(pieces)


def join(parts: Sequence[Part]) -> Part:
    """Put the entries of all parts one after another, each object once."""
    pieces: list[bytes] = []
    found: dict[bytes, Entry] = {}
    offset = 0
    for each in parts:
        starts = [entry.offset for entry in each.entries]
        for (oid, start, crc), end in zip(
            each.entries, [*starts[1:], len(each.body)], strict=False
        ):
            if oid not in found:
                found[oid] = Entry(oid, offset, crc)
                pieces.append(each.body[start:end])
                offset += end - start
    return Part(body=b"".join(pieces), entries=tuple(found.values()))


def render(whole: Part) -> Pack:
    """Make the two files of a pack."""
    head = HEADER.pack(b"PACK", 2, len(whole.entries))
    checksum = hashlib.sha1(head)  # noqa: S324  # git's own checksum of a pack
    checksum.update(whole.body)
    digest = checksum.digest()
    return Pack(
        name=f"pack-{digest.hex()}",
        content=b"".join([head, whole.body, digest]),
        index=_index(sorted(whole.entries), digest),
    )


def _index(entries: Sequence[Entry], pack_digest: bytes) -> bytes:
    """Version 2, offsets below 2 GiB."""
    counts = [0] * 256
    for entry in entries:
        counts[entry.oid[0]] += 1
    table = struct.Struct(f">{len(entries)}L")
    index = b"".join(
        [
            INDEX_START,
            struct.pack(">256L", *accumulate(counts)),
            *(entry.oid for entry in entries),
            table.pack(*(entry.crc for entry in entries)),
            table.pack(*(entry.offset + HEADER.size for entry in entries)),
            pack_digest,
        ]
    )
    return index + hashlib.sha1(index).digest()  # noqa: S324  # git's own checksum of an index


def read(content: bytes, index: bytes) -> Part:
    """Take a pack that `render` made apart."""
    start = len(INDEX_START) + 256 * 4
    (count,) = struct.unpack_from(">L", index, start - 4)
    oids = [index[start + 20 * each : start + 20 * (each + 1)] for each in range(count)]
    numbers = struct.unpack_from(f">{2 * count}L", index, start + 20 * count)
    entries = map(Entry, oids, (each - HEADER.size for each in numbers[count:]), numbers[:count])
    ordered = sorted(entries, key=lambda entry: entry.offset)
    return Part(body=content[HEADER.size : -20], entries=tuple(ordered))
