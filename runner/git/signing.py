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
from typing import TYPE_CHECKING, Final

from runner.core.errors import (
    FileAccessError,
    KeyNotFound,
    Refused,
    SigningError,
    ToolNotFound,
    UsageError,
)
from runner.git import ssh_keys, sshsig
from runner.git.certificates import Credential
from runner.git.signing_keys import (
    brief,
    certificate_beside,
    has_private_file,
    literal,
    no_key,
    path_of,
    pub,
    public_text,
)
from runner.git.ssh_keys import PublicKey
from runner.git.sshsig import BadSignature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SSH_KEYGEN: Final = "ssh-keygen"
_AGENT_SECONDS: Final = 10
# the authority's key is not filled in from the certificate: whoever hands one over could have
# made it with an authority of their own
_LIST_AUTHORITY: Final = (
    "list its authority in plans/allowed_signers: "
    '*@example.com cert-authority,namespaces="git,planlock-approval" <the authority\'s public key>'
)
_SHOW_PROGRAMS: Final = r"git config --show-origin --get-regexp '^gpg\.ssh\.'"


class SshSigner:
    """A person's key: what git's `user.signingKey` takes, so a key file or a public key's text.

    The private half lies beside the public file, or an agent or authenticator has it. `program`
    takes the arguments of ssh-keygen, as git's `gpg.ssh.program` does. `certificate` is the file
    of one that signatures are to show in the key's place.
    """

    def __init__(
        self,
        key: str | Path,
        *,
        certificate: Path | None = None,
        env: Mapping[str, str] | None = None,
        program: str = SSH_KEYGEN,
    ) -> None:
        self._key = key
        self.certificate_file = certificate
        self._shown = certificate or key
        self._env = env
        self._program = program

    @cached_property
    def credential(self) -> Credential:
        """What a signature will show: the key, or the certificate where that is named."""
        return _credential(self._shown)

    @property
    def public_key(self) -> PublicKey:
        return self.credential.key

    @property
    def listable_key(self) -> PublicKey:
        """The key as a line of its own names it; raises UsageError for a certificate."""
        named = _credential(self._key)
        if named.certificate:
            message = f"{brief(self._key)} is a certificate, which counts through its authority"
            raise UsageError(message, hint=_LIST_AUTHORITY)
        return named.key

    def certified(self) -> SshSigner | None:
        """The same key showing the certificate that lies beside it; None without a sound one."""
        file = certificate_beside(self._key)
        if file is None:
            return None
        key = self.public_key
        other = SshSigner(self._key, certificate=file, env=self._env, program=self._program)
        try:
            sound = other.credential.certificate is not None and other.public_key == key
        except (KeyNotFound, SigningError, FileAccessError):
            return None
        return other if sound else None

    def can_sign(self) -> bool:
        """Tell whether the private half is in reach, as far as one can without signing."""
        if self._program != SSH_KEYGEN:
            return True  # it may keep keys where nobody else can look
        return has_private_file(self._shown) or self.credential.text in _agent_keys(self._env)

    def sign(self, message: bytes, *, namespace: str) -> bytes:
        """Return an armored signature; may ask for a passphrase, PIN or touch."""
        credential = self.credential
        try:
            armored = self._signature(message, namespace)
        except OSError as error:
            raise FileAccessError(f"signing with key {brief(self._shown)}: {error}") from error
        return _checked(armored, message, namespace=namespace, by=credential)

    def _signature(self, message: bytes, namespace: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="planlock-sign-") as folder:
            file = Path(folder, "message")
            file.write_bytes(message)
            self._run("-Y", "sign", "-n", namespace, "-f", str(self._key_file(folder)), str(file))
            return file.with_suffix(".sig").read_bytes()

    def _key_file(self, folder: str) -> Path:
        if literal(self._shown) is None:
            return path_of(self._shown)
        file = Path(folder, "key.pub")
        file.write_text(f"{self.credential.text}\n")
        return file

    def _run(self, *arguments: str) -> None:
        # other programs know only the options that git gives them
        quiet = ["-q"] if self._program == SSH_KEYGEN else []
        # whoever must touch their authenticator has to see that they are asked to
        said = None if self.public_key.hardware else subprocess.PIPE
        argv = [_command(self._program), *quiet, *arguments]
        done = _started(argv, self._env, stderr=said)
        if done.returncode:
            words = (done.stderr or b"").decode(errors="replace").strip()
            words = words or f"{self._program} exit {done.returncode}"
            message = f"signing with key {brief(self._shown)}: {words}"
            raise SigningError(message, hint="ssh-add -l")


def _credential(key: str | Path) -> Credential:
    text = literal(key)
    try:
        return Credential.from_text(public_text(path_of(key)) if text is None else text)
    except ValueError as error:
        raise SigningError(f"reading public key {brief(key)}: {error}") from error


def _agent_keys(env: Mapping[str, str] | None) -> list[str]:
    """The keys and certificates in the agent, without comments; none where none can be asked."""
    argv = ["ssh-add", "-L"]
    try:
        done = subprocess.run(
            argv, env=env, capture_output=True, timeout=_AGENT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.decode(errors="replace").splitlines()
    return [" ".join(line.split()[:2]) for line in lines]


def first_key(command: str, *, env: Mapping[str, str] | None = None) -> str:
    """Return the key that `gpg.ssh.defaultKeyCommand` prints first; it is not run by a shell."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise _no_default_key(command, str(error)) from error
    if not argv:
        raise _no_default_key(command, "it is empty")
    done = _started([_command(argv[0]), *argv[1:]], env, stderr=subprocess.PIPE)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise _no_default_key(command, words or f"exit {done.returncode}")
    line = done.stdout.decode(errors="replace").partition("\n")[0].strip()
    if literal(line) is None:
        raise _no_default_key(command, f"its first line is no public key: {line!r}")
    return line


def _no_default_key(command: str, trouble: str) -> SigningError:
    message = f"asking gpg.ssh.defaultKeyCommand ({command}) for your key: {trouble}"
    return SigningError(message, hint="git config --global user.signingkey ~/.ssh/id_ed25519.pub")


def _command(program: str) -> str:
    """Return a program as it is started; one that the repository could bring along is refused."""
    path = str(path_of(program)) if program.startswith("~") else program
    if "/" in path and not path.startswith("/"):
        message = f"starting {program}: a relative path could name a file of the repository"
        raise SigningError(message, hint=_SHOW_PROGRAMS)
    return path


def _started(
    argv: Sequence[str], env: Mapping[str, str] | None, *, stderr: int | None
) -> subprocess.CompletedProcess[bytes]:
    # standard input stays the caller's: that is where a passphrase may be asked
    try:
        return subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=stderr, check=False)
    except FileNotFoundError as error:
        hint = "apt-get install openssh-client" if argv[0] == SSH_KEYGEN else ""
        message = f"signing: {argv[0]} is not installed"
        raise ToolNotFound(message, hint=hint or _SHOW_PROGRAMS) from error
    except OSError as error:
        raise SigningError(f"starting {argv[0]}: {error.strerror}") from error


class FileSigner:
    """A runner's own key: an ed25519 private key file that nobody else can read."""

    def __init__(self, path: Path) -> None:
        self._private_key = _private_key(path)
        self.public_key = ssh_keys.public_key_of(self._private_key)

    def sign(self, message: bytes, *, namespace: str) -> bytes:
        return sshsig.sign_in_process(self._private_key, message, namespace=namespace)


def generate_key(path: Path, comment: str) -> PublicKey:
    """Write an ed25519 key to `path` and `path`.pub, neither of which may exist; the folder must."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not comment.isprintable():
        raise UsageError(f"generating key {path}: comment {comment!r} is not one printable line")
    private_key = Ed25519PrivateKey.generate()
    public_key = ssh_keys.public_key_of(private_key)
    data = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    _create(path, data, mode=0o600)
    try:
        _create(pub(path), f"{public_key.text} {comment}".rstrip().encode() + b"\n", mode=0o644)
    except (Refused, FileAccessError):
        path.unlink()
        raise
    return public_key


def _checked(armored: bytes, message: bytes, *, namespace: str, by: Credential) -> bytes:
    # a public key file that lies beside another private key would sign as somebody else
    try:
        signed = sshsig.verify(armored, message, namespace=namespace)
    except BadSignature as error:
        trouble = f"checking the new signature: {error.reason}"
        raise SigningError(trouble, hint="ssh-add -l") from error
    if signed.blob != by.blob:
        raise SigningError(f"signing with {by}: the signature is by {signed}", hint="ssh-add -l")
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
        raise no_key(path) from error
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
