"""SSH signatures, read strictly and verified in process; a runner's are made in process too.

Format: OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from runner.git import ssh_keys
from runner.git.certificates import Assurance, Credential
from runner.git.ssh_wire import Reader, decoded, packed, text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_HEADER: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_FOOTER: Final = b"\n-----END SSH SIGNATURE-----"
_OPENSSH_WIDTH: Final = 70
_LINE_WIDTHS: Final = (_OPENSSH_WIDTH, 76)
_HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class BadSignature(ValueError):
    """A signature that does not count; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One parsed signature, not verified; `blob` is that of the key, in wire form."""

    credential: Credential
    namespace: str
    hash_algorithm: str
    blob: bytes


@dataclass(frozen=True)
class Signed(Credential):
    """Who made a verified signature; `touched` when a FIDO key saw a person do it."""

    touched: bool = False

    @property
    def assurance(self) -> Assurance:
        """What the signature is worth: a FIDO key counts for more where it was touched."""
        return "hardware" if self.key.hardware and self.touched else "key"


def parse(armored: bytes) -> Signature:
    """Read an armored signature; raise BadSignature."""
    try:
        return _parse_blob(_dearmored(armored))
    except ValueError as error:
        raise BadSignature(str(error)) from error


def verify(armored: bytes, message: bytes, *, namespace: str) -> Signed:
    """Return who signed `message` in `namespace`; raise BadSignature.

    A certificate in it is sound, but may be out of its time.
    """
    signature = parse(armored)
    if signature.namespace != namespace:
        raise BadSignature(f"signed in namespace {signature.namespace!r}, not {namespace!r}")
    signer = signature.credential
    data = _signed_data(message, namespace, signature.hash_algorithm)
    try:
        touched = ssh_keys.verify(signer.key, signature.blob, data)
    except ValueError as error:
        raise BadSignature(str(error)) from error
    return Signed(signer.key, signer.certificate, touched)


def sign_in_process(private_key: Ed25519PrivateKey, message: bytes, *, namespace: str) -> bytes:
    """Return the armored signature, byte for byte as ssh-keygen makes it (sha512)."""
    if not namespace:
        raise ValueError("a signature needs a namespace")
    signature = private_key.sign(_signed_data(message, namespace, "sha512"))
    blob = packed(
        ssh_keys.public_key_of(private_key).blob,
        namespace.encode(),
        b"",
        b"sha512",
        packed(b"ssh-ed25519", signature),
    )
    return armor(_MAGIC + _VERSION + blob)


def armor(blob: bytes, *, width: int = _OPENSSH_WIDTH) -> bytes:
    encoded = base64.b64encode(blob)
    lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
    return _HEADER + b"\n".join(lines) + _FOOTER + b"\n"


def _dearmored(armored: bytes) -> bytes:
    if not armored.startswith(_HEADER):
        raise ValueError("signature does not start with its header line")
    body, footer, rest = armored.removeprefix(_HEADER).partition(_FOOTER)
    if not footer:
        raise ValueError("signature does not end with its footer line")
    if rest not in {b"", b"\n"}:
        raise ValueError("trailing bytes after the signature's footer")
    blob = decoded(body.replace(b"\n", b""), "signature")
    exact = _HEADER + body + _FOOTER + b"\n"
    if all(armor(blob, width=width) != exact for width in _LINE_WIDTHS):
        raise ValueError("signature is not wrapped as ssh-keygen wraps it")
    return blob


def _parse_blob(blob: bytes) -> Signature:
    preamble = _MAGIC + _VERSION
    if not blob.startswith(preamble):
        raise ValueError("signature is not SSHSIG version 1")
    reader = Reader(blob, "signature", len(preamble))
    key_blob, namespace, reserved, hash_name, signature = reader.strings(5)
    reader.end()
    if not namespace or reserved:
        raise ValueError("signature has no namespace, or a reserved field that is not empty")
    hash_algorithm = text(hash_name, "hash algorithm")
    if hash_algorithm not in _HASHES:
        raise ValueError(f"hash algorithm {hash_algorithm!r} is not sha256 or sha512")
    return Signature(
        credential=_credential(key_blob),
        namespace=text(namespace, "namespace"),
        hash_algorithm=hash_algorithm,
        blob=signature,
    )


# A key, and what its authority signed, is what its bytes say; a runner's has signed every commit.
_credential: Final = lru_cache(maxsize=256)(Credential.from_blob)


def _signed_data(message: bytes, namespace: str, hash_algorithm: str) -> bytes:
    digest = _HASHES[hash_algorithm](message).digest()
    return _MAGIC + packed(namespace.encode(), b"", hash_algorithm.encode(), digest)
