"""Making SSH signatures: with a person's key through ssh-keygen, or with a runner's own key.

What goes wrong is raised as KeyNotFound, ToolNotFound, SigningError or FileAccessError.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import (
    FileAccessError,
    KeyNotFound,
    Refused,
    SigningError,
    ToolNotFound,
    UsageError,
)
from runner.git import sshsig
from runner.git.sshsig import BadSignature, PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SshSigner:
    """A person's key: what git's `user.signingKey` takes, so a key file or a public key's text.

    The private half lies beside the public file, or an agent has it.
    """

    def __init__(self, key: str | Path, *, env: Mapping[str, str] | None = None) -> None:
        self._key = key
        self._env = env

    @cached_property
    def public_key(self) -> PublicKey:
        literal = _literal(self._key)
        text = _public_text(_path(self._key)) if literal is None else literal
        try:
            return PublicKey.from_text(text)
        except ValueError as error:
            raise SigningError(f"reading public key {self._key}: {error}") from error

    def sign(self, message: bytes, *, namespace: str) -> bytes:
        """Return an armored signature; may ask for a passphrase on the terminal."""
        key = self.public_key
        if not key.can_verify:
            raise SigningError(
                f"signing with key {key.fingerprint}: key type {key.type} is not supported yet",
                hint="ssh-keygen -t ed25519",
            )
        try:
            armored = self._signature(message, namespace)
        except OSError as error:
            raise FileAccessError(f"signing with key {self._key}: {error}") from error
        return _checked(armored, message, namespace=namespace, key=key)

    def _signature(self, message: bytes, namespace: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="planlock-sign-") as folder:
            file = Path(folder, "message")
            file.write_bytes(message)
            self._ssh_keygen("-n", namespace, "-f", str(self._key_file(folder)), str(file))
            return file.with_suffix(".sig").read_bytes()

    def _key_file(self, folder: str) -> Path:
        if _literal(self._key) is None:
            return _path(self._key)
        file = Path(folder, "key.pub")
        file.write_text(f"{self.public_key.text}\n")
        return file

    def _ssh_keygen(self, *arguments: str) -> None:
        argv = ["ssh-keygen", "-q", "-Y", "sign", *arguments]
        try:
            # standard input stays the caller's: that is where a passphrase may be asked
            done = subprocess.run(argv, env=self._env, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise ToolNotFound(
                "signing: ssh-keygen is not installed", hint="apt-get install openssh-client"
            ) from error
        except OSError as error:
            raise SigningError(f"starting ssh-keygen: {error.strerror}") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()
            raise SigningError(
                f"signing with key {self._key}: {words or f'ssh-keygen exit {done.returncode}'}",
                hint="ssh-add -l",
            )


class FileSigner:
    """A runner's own key: an ed25519 private key file that nobody else can read."""

    def __init__(self, path: Path) -> None:
        self._private_key = _private_key(path)
        self.public_key = sshsig.public_key_of(self._private_key)

    def sign(self, message: bytes, *, namespace: str) -> bytes:
        return sshsig.sign_in_process(self._private_key, message, namespace=namespace)


def generate_key(path: Path, comment: str) -> PublicKey:
    """Write an ed25519 key to `path` and `path`.pub, neither of which may exist; the folder must."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not comment.isprintable():
        raise UsageError(f"generating key {path}: comment {comment!r} is not one printable line")
    private_key = Ed25519PrivateKey.generate()
    public_key = sshsig.public_key_of(private_key)
    data = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    _create(path, data, mode=0o600)
    try:
        _create(_pub(path), f"{public_key.text} {comment}".rstrip().encode() + b"\n", mode=0o644)
    except (Refused, FileAccessError):
        path.unlink()
        raise
    return public_key


def usable_key(candidates: Sequence[str | Path]) -> str | Path | None:
    """Return the first candidate that SshSigner can take: a key file or a key in text."""
    for candidate in candidates:
        if _literal(candidate) is not None:
            return candidate
        path = _path(candidate)
        if _is_file(path) or _is_file(_pub(path)):
            return path
    return None


def _literal(key: str | Path) -> str | None:
    """Return the public key of `key::TEXT` or `ssh-…`, as git reads its setting."""
    if isinstance(key, Path):
        return None
    if key.startswith("key::"):
        return key.removeprefix("key::")
    return key if key.startswith("ssh-") else None


def _path(key: str | Path) -> Path:
    try:
        return Path(key).expanduser()
    except RuntimeError:
        # no home is known for `~NAME`: it then stands for itself, and is not found
        return Path(key)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _pub(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _public_text(path: Path) -> str:
    """Return the public key where ssh-keygen looks: the file, its .pub, inside the private key."""
    data = _read(path)
    if data is None or data.startswith(b"-----BEGIN "):
        public = _read(_pub(path))
        if public is None:
            raise _no_key(path) if data is None else _no_public_key(path)
        data = public
    return data.decode(errors="replace")


def _no_public_key(path: Path) -> KeyNotFound:
    return KeyNotFound(
        f"reading public key {_pub(path)}: no such file",
        hint=f"ssh-keygen -y -f {shlex.quote(str(path))} > {shlex.quote(str(_pub(path)))}",
    )


def _read(path: Path) -> bytes | None:
    """Return None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileAccessError(f"reading key {path}: {error.strerror}") from error


def _no_key(path: Path) -> KeyNotFound:
    return KeyNotFound(
        f"reading key {path}: no such file",
        hint=f"ssh-keygen -t ed25519 -f {shlex.quote(str(path))}",
    )


def _checked(armored: bytes, message: bytes, *, namespace: str, key: PublicKey) -> bytes:
    # a public key file that lies beside another private key would sign as somebody else
    try:
        signed_by = sshsig.verify(armored, message, namespace=namespace)
    except BadSignature as error:
        raise SigningError(f"checking the new signature: {error.reason}") from error
    if signed_by != key:
        raise SigningError(
            f"signing with key {key.fingerprint}: ssh-keygen signed with {signed_by.fingerprint}"
        )
    return armored


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        key = load_ssh_private_key(_read_private(path), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(
            f"reading key {path}: not an unencrypted OpenSSH private key",
            hint=f"ssh-keygen -p -f {shlex.quote(str(path))}",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(
            f"reading key {path}: not an ed25519 key",
            hint="ssh-keygen -t ed25519",
        )
    return key


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read()
    except FileNotFoundError as error:
        raise _no_key(path) from error
    except OSError as error:
        raise FileAccessError(f"reading key {path}: {error.strerror}") from error
    if mode & 0o077:
        raise SigningError(
            f"reading key {path}: mode {mode:04o} lets others use it",
            hint=f"chmod 600 {shlex.quote(str(path))}",
        )
    return data


def _create(path: Path, data: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise Refused(
            f"generating key {path}: it exists, and a key is never overwritten",
            hint=f"ssh-keygen -lf {shlex.quote(str(path))}",
        ) from error
    except OSError as error:
        raise FileAccessError(f"generating key {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        raise FileAccessError(f"generating key {path}: {error.strerror}") from error
