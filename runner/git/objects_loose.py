"""Loose objects, written to a temporary file, synced and renamed (gitformat-loose).

As git does with `core.fsync=loose-object`.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

from runner.core.errors import FileAccessError
from runner.git import durable


def _header(kind: str, content: bytes) -> bytes:
    return f"{kind} {len(content)}\0".encode()


def oid_of(kind: str, content: bytes) -> str:
    """Name an object as git does."""
    hashed = hashlib.sha1(_header(kind, content))  # noqa: S324  # git names objects so
    hashed.update(content)
    return hashed.hexdigest()


def write(objects: Path, oid: str, kind: str, content: bytes) -> None:
    """Write an object durably, unless it is there; raises FileAccessError (disk full, …)."""
    target = objects / oid[:2] / oid[2:]
    if target.exists():
        return
    scratch = target.parent / f"tmp_obj_{os.getpid()}_{target.name[:16]}"
    try:
        durable.make_folder(target.parent)
        data = zlib.compress(_header(kind, content) + content, 1)
        durable.write(scratch, data, durable=True)
        durable.rename(scratch, target)
        durable.sync_path(target.parent)
    except OSError as error:
        raise FileAccessError(f"writing object {oid}: {error.strerror}") from error
    finally:
        if scratch.exists():
            durable.unlink(scratch)
