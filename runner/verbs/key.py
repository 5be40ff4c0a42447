"""`key new`: make an SSH key where there is none."""

from __future__ import annotations

from pathlib import Path

from runner.core.errors import FileAccessError
from runner.git.signing import generate_key
from runner.git.ssh_keys import PublicKey


def new(path: Path, *, comment: str) -> PublicKey:
    """Write an ed25519 key; an existing one is never overwritten."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FileAccessError(f"making {path.parent}: {error.strerror}") from error
    return generate_key(path, comment)
