"""How a person's SSH key is named: a file, a public key's text, or a certificate of either."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runner.core.errors import FileAccessError, KeyNotFound

# `planlock key new` writes the first, and it asks for nothing; then what an authenticator holds,
# which counts for more; RSA last, whose signatures are ten times as long
DEFAULTS: Final = ("id_ed25519", "id_ed25519_sk", "id_ecdsa_sk", "id_ecdsa", "id_rsa")
_PRIVATE: Final = b"-----BEGIN "
_LONG: Final = 48
_LITERAL: Final = re.compile(r"ssh-|(?:ecdsa|sk)-\S+\s+\S")


def literal(key: str | Path) -> str | None:
    """Return the public key in `key::TEXT` or `ssh-…`, as git reads its setting."""
    if isinstance(key, Path):
        return None
    if key.startswith("key::"):
        return key.removeprefix("key::")
    return key if _LITERAL.match(key) else None


def path_of(key: str | Path, *, folder: Path | None = None) -> Path:
    """Return the file, of which a relative one lies in `folder`."""
    try:
        path = Path(key).expanduser()
    except RuntimeError:
        # no home is known for `~NAME`: it then stands for itself, and is not found
        path = Path(key)
    return folder / path if folder else path


def pub(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def certificate_beside(key: str | Path) -> Path | None:
    """Return the certificate NAME-cert.pub of a key file NAME or NAME.pub, where ssh looks too."""
    if literal(key) is not None:
        return None
    path = path_of(key)
    found = path.with_name(f"{path.name.removesuffix('.pub')}-cert.pub")
    return found if _is_file(found) else None


def has_private_file(key: str | Path) -> bool:
    """Tell whether ssh-keygen finds a private key, or a FIDO key's handle, where it looks."""
    if literal(key) is not None:
        return False
    path = path_of(key)
    name = path.name.removesuffix(".pub").removesuffix("-cert")
    try:
        data = _read(path.with_name(name) if path.name.endswith(".pub") else path)
    except FileAccessError:
        return False
    return data is not None and data.startswith(_PRIVATE)


def brief(key: str | Path) -> str:
    """Return a file as it is, and a public key's text with the middle of its long words left out.

    The ends are what people compare: most keys of a type begin alike.
    """
    if literal(key) is None:
        return str(key)
    words = str(key).split(" ")
    return " ".join(f"{each[:12]}…{each[-12:]}" if len(each) > _LONG else each for each in words)


def usable_key(
    candidates: Sequence[str | Path], *, folder: Path | None = None
) -> str | Path | None:
    """Return the first candidate that SshSigner can take: a key file or a key in text."""
    for candidate in candidates:
        if literal(candidate) is not None:
            return candidate
        path = path_of(candidate, folder=folder)
        if _is_file(path) or _is_file(pub(path)):
            return path
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def public_text(path: Path) -> str:
    """Return the public key where ssh-keygen looks: the file, its .pub, inside the private key."""
    data = _read(path)
    if data is None or data.startswith(_PRIVATE):
        public = _read(pub(path))
        if public is None:
            raise no_key(path) if data is None else _no_public_key(path)
        data = public
    return data.decode(errors="replace")


def no_key(path: Path) -> KeyNotFound:
    return KeyNotFound(
        f"reading key {path}: no such file",
        hint=f"ssh-keygen -t ed25519 -f {shlex.quote(str(path))}",
    )


def _no_public_key(path: Path) -> KeyNotFound:
    return KeyNotFound(
        f"reading public key {pub(path)}: no such file",
        hint=f"ssh-keygen -y -f {shlex.quote(str(path))} > {shlex.quote(str(pub(path)))}",
    )


def _read(path: Path) -> bytes | None:
    """Return None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileAccessError(f"reading key {path}: {error.strerror}") from error
