"""Refs as git keeps them in plain files: one file each, or a line of `packed-refs`.

Files are read before `packed-refs`: `git pack-refs` removes a file only after its line is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from runner.core.errors import GitError

PACKED = "packed-refs"
# What git keeps for each work tree apart.
APART = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")
OTHER_BACKENDS = (b"refstorage", b"sharedrepository")
NAME = re.compile(
    r"refs(?:/(?!\.)(?:(?!\.\.|@\{)[^\x00-\x20/~^:?*\[\\\x7f])+(?<!\.)(?<!\.lock))+", re.ASCII
)
OID = re.compile(rb"([0-9a-f]{40})(?:\s|$)")
SYMBOLIC = b"ref:"


class NotPlain(Exception):
    """Refs are kept otherwise here, or this one is more than a file with an id."""


def common_dir(git_dir: Path) -> Path:
    """Where the refs of a linked work tree lie, too."""
    named = _content(f"{git_dir}/commondir")
    return git_dir if named is None else git_dir / os.fsdecode(named).strip()


def check_backend(common: Path) -> None:
    """Raise NotPlain where the repository keeps its refs in another way, or for a group."""
    try:
        found = (common / "config").stat()
    except OSError as error:
        raise NotPlain from error
    stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if not _is_plain(common, stamp):
        raise NotPlain


@lru_cache(maxsize=64)
def _is_plain(common: Path, _stamp: tuple[int, ...]) -> bool:
    config = (_content(f"{common}/config") or b"").lower()
    others = any(word in config for word in OTHER_BACKENDS)
    return not others and not (common / "reftable").exists() and (common / "refs/heads").is_dir()


def check_name(ref: str) -> None:
    if not _is_name(ref):
        raise NotPlain


@lru_cache(maxsize=4096)
def _is_name(ref: str) -> bool:
    return NAME.fullmatch(ref) is not None and not ref.startswith(APART)


def value(common: Path, ref: str) -> str | None:
    """Give the id that a ref's file or line holds; raises GitError where that is none."""
    check_name(ref)
    content = _content(f"{common}/{ref}")
    return _packed(common, ref) if content is None else _id(content, ref)


def is_broken(common: Path, ref: str) -> bool:
    """Whether a ref's file is there, and holds neither an id nor another ref's name."""
    content = _content(f"{common}/{ref}")
    try:
        _id(content or b"", ref)
    except GitError:
        return content is not None
    return False


def _id(content: bytes, ref: str) -> str:
    if content.startswith(SYMBOLIC):
        raise NotPlain
    found = OID.match(content.lower())
    if found is None or not found[1].strip(b"0"):
        raise GitError(f"reading {ref}: its file holds no object id", hint="git fsck")
    return found[1].decode()


def _content(path: str) -> bytes | None:
    """Read a file; None where there is none, or a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a link, too many names, no permission
        raise NotPlain from error
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    except IsADirectoryError:
        return None
    except OSError as error:
        raise NotPlain from error
    finally:
        os.close(descriptor)


def _lines(common: Path) -> bytes:
    lines = _content(f"{common}/{PACKED}") or b""
    if b"\0" in lines or (lines and not lines.endswith(b"\n")):
        raise GitError(f"reading {PACKED}: it is cut off or damaged", hint="git fsck")
    return lines


def _packed(common: Path, ref: str) -> str | None:
    lines, name = _lines(common), os.fsencode(ref)
    place = lines.find(b" " + name + b"\n")
    if place < 0:
        return None
    return _id(lines[lines.rfind(b"\n", 0, place) + 1 : place], ref)


def conflicts(common: Path, ref: str) -> bool:
    """Whether a ref cannot be made, because one above or below it is packed."""
    lines, name = _lines(common), os.fsencode(ref)
    parts = name.split(b"/")
    above = [b"/".join(parts[:count]) for count in range(2, len(parts))]
    return b" " + name + b"/" in lines or any(b" " + each + b"\n" in lines for each in above)


def listed(common: Path, prefixes: Sequence[str]) -> dict[str, str]:
    """Give ref → id of every ref that is, or lies below, one of the prefixes."""
    found: dict[str, str] = {}
    for prefix in prefixes:
        check_name(prefix.rstrip("/") or prefix)
        for ref in _files(common, prefix):
            check_name(ref)
            content = _content(f"{common}/{ref}")
            if content is not None:
                found[ref] = _id(content, ref)
    for ref, oid in _packed_below(common, prefixes):
        found.setdefault(ref, oid)
    return dict(sorted(found.items()))


def _files(common: Path, prefix: str) -> Iterator[str]:
    if not prefix.endswith("/"):
        yield prefix
    folders = [prefix.rstrip("/")]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(common / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.endswith(".lock"):
                        continue
                    name = f"{folder}/{entry.name}"
                    if entry.is_dir():
                        folders.append(name)
                    else:
                        yield name
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise NotPlain from error


def _packed_below(common: Path, prefixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    lines = _lines(common)
    for prefix in prefixes:
        name = re.escape(os.fsencode(prefix))
        more = rb"[^\n]+" if prefix.endswith("/") else rb"(?:/[^\n]+)?"
        for line in re.finditer(rb"(?m)^([^#^ \n]*) (%b%b)$" % (name, more), lines):
            ref = os.fsdecode(line[2])
            check_name(ref)
            yield ref, _id(line[1], ref)
