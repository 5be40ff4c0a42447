"""OpenSSH certificates: an authority says for a while whose a key is (PROTOCOL.certkeys)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from runner.git import ssh_keys
from runner.git.ssh_keys import KEY_TYPES, PublicKey, blob_of
from runner.git.ssh_wire import Reader, packed

_SUFFIX: Final = "-cert-v01@openssh.com"
_PLAIN: Final = {name.removesuffix("@openssh.com") + _SUFFIX: name for name in KEY_TYPES}
_USER: Final = 1
_FOREVER: Final = 2**64 - 1
_LAST_DATE: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_MOST_PRINCIPALS: Final = 256

Assurance = Literal["key", "hardware"]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A user certificate whose authority's signature was verified; times in seconds since 1970.

    It holds from `valid_after` until right before `valid_before`.
    """

    blob: bytes
    key: PublicKey
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    authority: PublicKey

    @classmethod
    def from_blob(cls, blob: bytes) -> Certificate:
        """Raise ValueError if the blob is not exactly one certificate that could ever count."""
        reader = Reader(blob, "certificate")
        key = _certified_key(reader)
        serial = reader.number(8)
        if reader.number(4) != _USER:
            raise ValueError("certificate is for hosts, not for people")
        key_id = reader.text("certificate's key id")
        principals = _principals(reader.string())
        valid_after, valid_before = reader.number(8), reader.number(8)
        _check_options(*reader.strings(3))
        authority = _authority(reader.string())
        _check_signature(reader, authority)
        return cls(
            blob=blob,
            key=key,
            serial=serial,
            key_id=key_id,
            principals=principals,
            valid_after=valid_after,
            valid_before=valid_before,
            authority=authority,
        )

    @property
    def window(self) -> str:
        after = f"valid from {_iso(self.valid_after)}" if self.valid_after else "valid"
        return f"{after} until {_iso(self.valid_before)}"

    def is_valid(self, at: datetime) -> bool:
        return self.valid_after <= int(at.timestamp()) < self.valid_before

    def __str__(self) -> str:
        name = f"certificate {self.key_id!r} (serial {self.serial})"
        return f"{name} of key {self.key.fingerprint}"


@dataclass(frozen=True)
class Credential:
    """What a person shows: a key, or a certificate of it."""

    key: PublicKey
    certificate: Certificate | None = None

    @classmethod
    def from_blob(cls, blob: bytes) -> Credential:
        """Raise ValueError if the blob is neither a sound key nor a sound certificate."""
        if Reader(blob, "public key").text("key type") not in _PLAIN:
            return cls(PublicKey.from_blob(blob))
        certificate = Certificate.from_blob(blob)
        return cls(certificate.key, certificate)

    @classmethod
    def from_text(cls, line: str) -> Credential:
        """Read `TYPE BASE64 [COMMENT]`, one line; raise ValueError if it is not that."""
        return cls.from_blob(blob_of(line))

    @property
    def assurance(self) -> Assurance:
        """What a signature by it would be worth."""
        return "hardware" if self.key.hardware else "key"

    @property
    def blob(self) -> bytes:
        return self.certificate.blob if self.certificate else self.key.blob

    @property
    def text(self) -> str:
        name = Reader(self.blob, "public key").text("key type")
        return f"{name} {base64.b64encode(self.blob).decode()}"

    def __str__(self) -> str:
        return str(self.certificate or f"key {self.key.fingerprint}")


def _certified_key(reader: Reader) -> PublicKey:
    name = reader.text("certificate type")
    if name not in _PLAIN:
        raise ValueError(f"certificate type {name!r} is not known")
    reader.string()  # a nonce, which only makes what is signed unpredictable
    plain = _PLAIN[name]
    fields = reader.strings(KEY_TYPES[plain].size)
    return PublicKey.from_blob(packed(plain.encode(), *fields))


def _principals(data: bytes) -> tuple[str, ...]:
    reader = Reader(data, "certificate's list of principals")
    names = []
    while reader.more:
        names.append(reader.text("certificate's principal"))
    if not names:
        raise ValueError("certificate names no principal, so it would be everybody's")
    if len(names) > _MOST_PRINCIPALS:
        raise ValueError(f"certificate names more than {_MOST_PRINCIPALS} principals")
    return tuple(names)


def _check_options(critical: bytes, extensions: bytes, reserved: bytes) -> None:
    """Refuse every critical option, as one must that is not known; extensions permit nothing."""
    names = ", ".join(_option_names(critical, "certificate's critical options"))
    if names:
        raise ValueError(f"certificate has critical options that are not known: {names}")
    every = list(_option_names(extensions, "certificate's extensions"))
    if every != sorted(set(every)):
        raise ValueError("certificate's extensions are not in order, each once")
    if reserved:
        raise ValueError("certificate has a reserved field that is not empty")


def _option_names(data: bytes, what: str) -> Iterator[str]:
    reader = Reader(data, what)
    while reader.more:
        yield reader.text(what)
        reader.string()


def _authority(blob: bytes) -> PublicKey:
    try:
        return PublicKey.from_blob(blob)
    except ValueError as error:
        raise ValueError(f"certificate's authority: {error}") from error


def _check_signature(reader: Reader, authority: PublicKey) -> None:
    signed = reader.data[: reader.position]
    signature = reader.string()
    reader.end()
    try:
        ssh_keys.verify(authority, signature, signed)
    except ValueError as error:
        raise ValueError(f"certificate's authority: {error}") from error


def _iso(second: int) -> str:
    if second == _FOREVER:
        return "forever"
    # a time that no calendar holds is still compared as it is
    moment = datetime.fromtimestamp(min(second, _LAST_DATE), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
