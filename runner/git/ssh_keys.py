"""Public keys of SSH: their types, how each is written, and how its signatures are verified.

Formats: RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f. Whatever is
not exactly right raises ValueError with the reason.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from runner.git.ssh_wire import Reader, decoded, packed, positive, text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

TOUCHED: Final = 0x01
_RSA_BITS: Final = range(2048, 16384 + 1)
# PuTTY made keys with exponent 37; large ones only cost time
_RSA_EXPONENTS: Final = range(3, 2**64, 2)
_MISMATCH: Final = "the signature does not match what was signed"

Fields = Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """y² = x³ - 3x + `b` over the integers modulo `p`; `hash_name` is what signatures use."""

    name: str
    hash_name: str
    p: int
    b: int

    def check(self, name: bytes, point: bytes) -> None:
        size = (self.p.bit_length() + 7) // 8
        if name != self.name.encode():
            raise ValueError(f"public key does not name its curve {self.name}")
        if len(point) != 1 + 2 * size or point[0] != 4:
            raise ValueError("public key is not an uncompressed point")
        x, y = (int.from_bytes(half, "big") for half in (point[1 : 1 + size], point[1 + size :]))
        if max(x, y) >= self.p or (y * y - x * x * x + 3 * x - self.b) % self.p:
            raise ValueError(f"public key is not a point of curve {self.name}")


_P256: Final = _Curve(
    name="nistp256",
    hash_name="SHA256",
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
)
_P384: Final = _Curve(
    name="nistp384",
    hash_name="SHA384",
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=int(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8ed"
        "d3ec2aef",
        16,
    ),
)
_P521: Final = _Curve(
    name="nistp521",
    hash_name="SHA512",
    p=2**521 - 1,
    b=int(
        "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652"
        "c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
        16,
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Signature:
    """`type` is that of the signature, which for RSA tells the hash."""

    type: str
    value: bytes
    data: bytes


@dataclass(frozen=True, kw_only=True)
class _KeyType:
    """`size` counts the strings after the type's name; `hardware` is a FIDO key."""

    size: int
    check: Callable[[Fields], None]
    verify: Callable[[Fields, _Signature], None]
    signature_types: tuple[str, ...]
    hardware: bool = False


def _check_ed25519(fields: Fields) -> None:
    if len(fields[0]) != 32:
        raise ValueError(f"public key has {len(fields[0])} bytes, not 32")


def _verify_ed25519(fields: Fields, made: _Signature) -> None:
    if len(made.value) != 64:
        raise ValueError(f"signature has {len(made.value)} bytes, not 64")
    _ed25519_key(fields[0]).verify(made.value, made.data)


@lru_cache(maxsize=64)
def _ed25519_key(point: bytes) -> Ed25519PublicKey:
    # cryptography takes tens of milliseconds to import, and most commands verify nothing
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(point)


def _check_ecdsa(curve: _Curve, fields: Fields) -> None:
    curve.check(fields[0], fields[1])


def _verify_ecdsa(curve: _Curve, fields: Fields, made: _Signature) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    reader = Reader(made.value, "signature")
    r, s = (positive(part, "a part of the signature") for part in reader.strings(2))
    reader.end()
    groups = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
    group = next(each for each in groups if each.key_size == curve.p.bit_length())
    key = ec.EllipticCurvePublicKey.from_encoded_point(group, fields[1])
    key.verify(encode_dss_signature(r, s), made.data, ec.ECDSA(getattr(hashes, curve.hash_name)()))


def _rsa_numbers(fields: Fields) -> tuple[int, int]:
    """Return exponent and modulus."""
    return positive(fields[0], "RSA exponent"), positive(fields[1], "RSA modulus")


def _check_rsa(fields: Fields) -> None:
    exponent, modulus = _rsa_numbers(fields)
    bits = modulus.bit_length()
    if bits not in _RSA_BITS:
        raise ValueError(f"RSA key has {bits} bits, not {_RSA_BITS[0]} to {_RSA_BITS[-1]}")
    if exponent not in _RSA_EXPONENTS:
        raise ValueError("RSA exponent is even, 1 or longer than 64 bits")
    if modulus % 2 == 0:
        raise ValueError("RSA modulus is even")


def _verify_rsa(fields: Fields, made: _Signature) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    exponent, modulus = _rsa_numbers(fields)
    size = (modulus.bit_length() + 7) // 8
    if len(made.value) != size:
        raise ValueError(f"signature has {len(made.value)} bytes, not {size}")
    how = hashes.SHA512() if made.type == "rsa-sha2-512" else hashes.SHA256()
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    key.verify(made.value, made.data, padding.PKCS1v15(), how)


def _ecdsa(curve: _Curve, *, hardware: bool = False) -> _KeyType:
    name = f"ecdsa-sha2-{curve.name}"
    return _KeyType(
        size=3 if hardware else 2,
        check=partial(_check_ecdsa, curve),
        verify=partial(_verify_ecdsa, curve),
        signature_types=(f"sk-{name}@openssh.com" if hardware else name,),
        hardware=hardware,
    )


def _ed25519(*, hardware: bool = False) -> _KeyType:
    return _KeyType(
        size=2 if hardware else 1,
        check=_check_ed25519,
        verify=_verify_ed25519,
        signature_types=("sk-ssh-ed25519@openssh.com" if hardware else "ssh-ed25519",),
        hardware=hardware,
    )


KEY_TYPES: Final[Mapping[str, _KeyType]] = {
    "ssh-ed25519": _ed25519(),
    "ecdsa-sha2-nistp256": _ecdsa(_P256),
    "ecdsa-sha2-nistp384": _ecdsa(_P384),
    "ecdsa-sha2-nistp521": _ecdsa(_P521),
    # `ssh-rsa` as a type of signatures means SHA-1
    "ssh-rsa": _KeyType(
        size=2,
        check=_check_rsa,
        verify=_verify_rsa,
        signature_types=("rsa-sha2-512", "rsa-sha2-256"),
    ),
    "sk-ssh-ed25519@openssh.com": _ed25519(hardware=True),
    "sk-ecdsa-sha2-nistp256@openssh.com": _ecdsa(_P256, hardware=True),
}


@dataclass(frozen=True)
class PublicKey:
    """An SSH public key; `blob` is its wire form. Build it with `from_blob` or `from_text`."""

    type: str
    blob: bytes

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Raise ValueError if the blob is not exactly one sound key of a known type."""
        reader = Reader(blob, "public key")
        name = reader.text("key type")
        if name not in KEY_TYPES:
            raise ValueError(f"key type {name!r} is not known")
        fields = reader.strings(KEY_TYPES[name].size)
        reader.end()
        KEY_TYPES[name].check(fields)
        return cls(name, blob)

    @classmethod
    def from_text(cls, line: str) -> PublicKey:
        """Read `TYPE BASE64 [COMMENT]`, one line; raise ValueError if it is not that."""
        return cls.from_blob(blob_of(line))

    @property
    def text(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return f"SHA256:{digest.decode().rstrip('=')}"

    @property
    def hardware(self) -> bool:
        """Whether an authenticator holds the private half, as keys of type `sk-…` say."""
        return KEY_TYPES[self.type].hardware


def blob_of(line: str) -> bytes:
    """Read `TYPE BASE64 [COMMENT]`, where the blob must begin with the same type."""
    parts = line.strip().split(maxsplit=2)
    if len(parts) < 2 or "\n" in line.strip():
        raise ValueError("a public key is one line: type, base64, comment")
    blob = decoded(parts[1].encode(), "public key")
    name = text(Reader(blob, "public key").string(), "key type")
    if name != parts[0]:
        raise ValueError(f"key says that its type is {name!r}, its line {parts[0]!r}")
    return blob


def public_key_of(private_key: Ed25519PrivateKey) -> PublicKey:
    point = private_key.public_key().public_bytes_raw()
    return PublicKey("ssh-ed25519", packed(b"ssh-ed25519", point))


def verify(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Check a signature of `data` in wire form; whether an authenticator was touched for it."""
    key_type = KEY_TYPES[key.type]
    fields = _fields(key)
    reader = Reader(signature, "signature")
    name = reader.text("signature type")
    if name not in key_type.signature_types:
        raise ValueError(f"signature type {name!r} does not count for key type {key.type}")
    value = reader.string()
    if key_type.hardware:
        data = _seen_by_authenticator(reader.take(5), fields[-1], data)
    reader.end()
    _verify(key_type, fields, _Signature(type=name, value=value, data=data))
    return key_type.hardware


def _fields(key: PublicKey) -> list[bytes]:
    reader = Reader(key.blob, "public key")
    reader.string()
    return reader.strings(KEY_TYPES[key.type].size)


def _seen_by_authenticator(trailer: bytes, application: bytes, data: bytes) -> bytes:
    """Return what a FIDO key signs; `trailer` is a byte of flags and a counter."""
    if not trailer[0] & TOUCHED:
        raise ValueError("the FIDO key was not touched for this signature")
    return hashlib.sha256(application).digest() + trailer + hashlib.sha256(data).digest()


def _verify(key_type: _KeyType, fields: Fields, made: _Signature) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        key_type.verify(fields, made)
    except InvalidSignature:
        raise ValueError(_MISMATCH) from None
    except UnsupportedAlgorithm as error:
        raise ValueError(f"this machine cannot verify {made.type}: {error}") from error
