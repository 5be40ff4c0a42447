"""SSH signatures and public keys, read strictly; ed25519 is verified and made in process.

Formats: OpenSSH PROTOCOL.sshsig and PROTOCOL.u2f, RFC 4253 section 6.6, RFC 5656, RFC 8709.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_HEADER: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_FOOTER: Final = b"\n-----END SSH SIGNATURE-----"
_OPENSSH_WIDTH: Final = 70
_LINE_WIDTHS: Final = (_OPENSSH_WIDTH, 76)
_HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


@dataclass(frozen=True, kw_only=True)
class _KeyType:
    """Lengths in bytes; None where the length is free."""

    fields: tuple[int | None, ...]
    signature_types: tuple[str, ...]
    signature_length: int | None = None
    trailer_length: int = 0


_KEY_TYPES: Final[Mapping[str, _KeyType]] = {
    "ssh-ed25519": _KeyType(fields=(32,), signature_types=("ssh-ed25519",), signature_length=64),
    "sk-ssh-ed25519@openssh.com": _KeyType(
        fields=(32, None),
        signature_types=("sk-ssh-ed25519@openssh.com",),
        signature_length=64,
        trailer_length=5,
    ),
    "ecdsa-sha2-nistp256": _KeyType(fields=(8, 65), signature_types=("ecdsa-sha2-nistp256",)),
    "ecdsa-sha2-nistp384": _KeyType(fields=(8, 97), signature_types=("ecdsa-sha2-nistp384",)),
    "ecdsa-sha2-nistp521": _KeyType(fields=(8, 133), signature_types=("ecdsa-sha2-nistp521",)),
    "sk-ecdsa-sha2-nistp256@openssh.com": _KeyType(
        fields=(8, 65, None),
        signature_types=("sk-ecdsa-sha2-nistp256@openssh.com",),
        trailer_length=5,
    ),
    "ssh-rsa": _KeyType(fields=(None, None), signature_types=("rsa-sha2-512", "rsa-sha2-256")),
}


class BadSignature(ValueError):
    """A signature that does not count; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PublicKey:
    """An SSH public key; `blob` is its wire form. Build it with `from_blob` or `from_text`."""

    type: str
    blob: bytes

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Raise ValueError if the blob is not exactly one key of a known type."""
        name, rest = _first_string(blob, "public key")
        key_type = _text(name, "key type")
        if key_type not in _KEY_TYPES:
            raise ValueError(f"key type {key_type!r} is not known")
        lengths = _KEY_TYPES[key_type].fields
        fields = _strings(rest, len(lengths), "public key")
        for field, length in zip(fields, lengths, strict=True):
            if length is not None and len(field) != length:
                raise ValueError(f"public key has a field of {len(field)} bytes, not {length}")
        return cls(key_type, blob)

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read `TYPE BASE64 [COMMENT]`, one line; raise ValueError if it is not that."""
        parts = text.strip().split(maxsplit=2)
        if len(parts) < 2 or "\n" in text.strip():
            raise ValueError("a public key is one line: type, base64, comment")
        key = cls.from_blob(_decoded(parts[1].encode(), "public key"))
        if key.type != parts[0]:
            raise ValueError(f"key says that its type is {key.type!r}, its line {parts[0]!r}")
        return key

    @property
    def text(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return f"SHA256:{digest.decode().rstrip('=')}"

    @property
    def can_verify(self) -> bool:
        """Whether signatures of this key's type can be checked here."""
        return self.type in _VERIFIERS


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One parsed signature; `trailer` holds flags and counter of a FIDO key, else nothing."""

    public_key: PublicKey
    namespace: str
    hash_algorithm: str
    signature_type: str
    signature: bytes
    trailer: bytes = b""


def parse(armored: bytes) -> Signature:
    """Read an armored signature of any known key type; raise BadSignature."""
    try:
        return _parse_blob(_dearmored(armored))
    except ValueError as error:
        raise BadSignature(str(error)) from error


def verify(armored: bytes, message: bytes, *, namespace: str) -> PublicKey:
    """Return the key that signed `message` in `namespace`; raise BadSignature."""
    signature = parse(armored)
    if signature.namespace != namespace:
        raise BadSignature(f"signed in namespace {signature.namespace!r}, not {namespace!r}")
    key = signature.public_key
    if key.type not in _VERIFIERS:
        raise BadSignature(f"key {key.fingerprint}: key type {key.type} is not supported yet")
    _VERIFIERS[key.type](signature, _signed_data(message, namespace, signature.hash_algorithm))
    return key


def sign_in_process(private_key: Ed25519PrivateKey, message: bytes, *, namespace: str) -> bytes:
    """Return the armored signature, byte for byte as ssh-keygen makes it (sha512)."""
    if not namespace:
        raise ValueError("a signature needs a namespace")
    signature = private_key.sign(_signed_data(message, namespace, "sha512"))
    blob = _packed(
        public_key_of(private_key).blob,
        namespace.encode(),
        b"",
        b"sha512",
        _packed(b"ssh-ed25519", signature),
    )
    return armor(_MAGIC + _VERSION + blob)


def public_key_of(private_key: Ed25519PrivateKey) -> PublicKey:
    point = private_key.public_key().public_bytes_raw()
    return PublicKey("ssh-ed25519", _packed(b"ssh-ed25519", point))


def armor(blob: bytes, *, width: int = _OPENSSH_WIDTH) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    return _HEADER + b"\n".join(lines) + _FOOTER + b"\n"


def _dearmored(armored: bytes) -> bytes:
    if not armored.startswith(_HEADER):
        raise ValueError("signature does not start with its header line")
    body, footer, rest = armored.removeprefix(_HEADER).partition(_FOOTER)
    if not footer:
        raise ValueError("signature does not end with its footer line")
    if rest not in {b"", b"\n"}:
        raise ValueError("trailing bytes after the signature's footer")
    blob = _decoded(body.replace(b"\n", b""), "signature")
    exact = _HEADER + body + _FOOTER + b"\n"
    if all(armor(blob, width=width) != exact for width in _LINE_WIDTHS):
        raise ValueError("signature is not wrapped as ssh-keygen wraps it")
    return blob


def _parse_blob(blob: bytes) -> Signature:
    preamble = _MAGIC + _VERSION
    if not blob.startswith(preamble):
        raise ValueError("signature is not SSHSIG version 1")
    key_blob, namespace, reserved, hash_name, inner = _strings(
        blob.removeprefix(preamble), 5, "signature"
    )
    if not namespace or reserved:
        raise ValueError("signature has no namespace, or a reserved field that is not empty")
    hash_algorithm = _text(hash_name, "hash algorithm")
    if hash_algorithm not in _HASHES:
        raise ValueError(f"hash algorithm {hash_algorithm!r} is not sha256 or sha512")
    key = PublicKey.from_blob(key_blob)
    signature_type, signature, trailer = _parse_inner(inner, key.type)
    return Signature(
        public_key=key,
        namespace=_text(namespace, "namespace"),
        hash_algorithm=hash_algorithm,
        signature_type=signature_type,
        signature=signature,
        trailer=trailer,
    )


def _parse_inner(inner: bytes, key_type: str) -> tuple[str, bytes, bytes]:
    """Return type, signature and trailer."""
    shape = _KEY_TYPES[key_type]
    name, rest = _first_string(inner, "signature")
    signature_type = _text(name, "signature type")
    if signature_type not in shape.signature_types:
        raise ValueError(f"signature type {signature_type!r} is not one of key type {key_type}")
    signature, trailer = _first_string(rest, "signature")
    if shape.signature_length not in {None, len(signature)}:
        raise ValueError(f"signature has {len(signature)} bytes, not {shape.signature_length}")
    if len(trailer) != shape.trailer_length:
        raise ValueError(f"signature ends in {len(trailer)} bytes, not {shape.trailer_length}")
    return signature_type, signature, trailer


def _signed_data(message: bytes, namespace: str, hash_algorithm: str) -> bytes:
    digest = _HASHES[hash_algorithm](message).digest()
    return _MAGIC + _packed(namespace.encode(), b"", hash_algorithm.encode(), digest)


def _verify_ed25519(signature: Signature, data: bytes) -> None:
    # cryptography takes tens of milliseconds to import, and most commands verify nothing
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    _, point = _strings(signature.public_key.blob, 2, "public key")
    try:
        Ed25519PublicKey.from_public_bytes(point).verify(signature.signature, data)
    except (InvalidSignature, ValueError):
        raise BadSignature("the signature does not match what was signed") from None


_VERIFIERS: Final[Mapping[str, Callable[[Signature, bytes], None]]] = {
    "ssh-ed25519": _verify_ed25519,
}


def _packed(*strings: bytes) -> bytes:
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def _first_string(data: bytes, what: str) -> tuple[bytes, bytes]:
    """Return the first wire string and what follows it."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(4, end):
        raise ValueError(f"{what} is cut off")
    return data[4:end], data[end:]


def _strings(data: bytes, count: int, what: str) -> list[bytes]:
    """Return exactly `count` wire strings, with nothing after them."""
    strings = []
    for _ in range(count):
        string, data = _first_string(data, what)
        strings.append(string)
    if data:
        raise ValueError(f"{what} has {len(data)} trailing bytes")
    return strings


def _decoded(text: bytes, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"{what} is not base64") from None
    # two texts for one key or signature would let a reader and a record disagree
    if base64.b64encode(data) != text:
        raise ValueError(f"{what} is not canonical base64")
    return data


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8") from None
