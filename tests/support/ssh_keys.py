"""SSH keys of every type, made in software: FIDO ones too, certificates, and an agent."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from runner.git import sshsig

APPLICATION = b"ssh:"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
WEBAUTHN = b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    SK_ED25519,
    SK_ECDSA,
)
TOUCHED = 1
FOREVER = 2**64 - 1
_CURVES = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def packed(*strings: bytes) -> bytes:
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b""


@dataclass(frozen=True)
class SoftKey:
    """A private key with its public half in wire form; `application` is that of a FIDO key."""

    type: str
    private: Private
    fields: tuple[bytes, ...]

    @property
    def hardware(self) -> bool:
        return self.type.startswith("sk-")

    @property
    def blob(self) -> bytes:
        return packed(self.type.encode(), *self.fields)

    @property
    def text(self) -> str:
        return text_of(self.blob)

    def sign(
        self,
        data: bytes,
        *,
        flags: int = TOUCHED,
        signature_type: bytes = b"",
        pad: bytes = b"",
    ) -> bytes:
        """Sign in wire form; `pad` stands before each number of it, where it needs none."""
        trailer = bytes([flags]) + (7).to_bytes(4, "big") if self.hardware else b""
        if self.hardware:
            data = digest(self.fields[-1]) + trailer + digest(data)
        name = signature_type or self.type.encode()
        if isinstance(self.private, rsa.RSAPrivateKey):
            name = signature_type or b"rsa-sha2-512"
            how = {b"rsa-sha2-256": hashes.SHA256(), b"ssh-rsa": hashes.SHA1()}  # noqa: S303 - to be refused
            made = self.private.sign(data, padding.PKCS1v15(), how.get(name, hashes.SHA512()))
        elif isinstance(self.private, ed25519.Ed25519PrivateKey):
            made = self.private.sign(data)
        else:
            numbers = decode_dss_signature(self.private.sign(data, self._ecdsa))
            made = packed(*(pad + mpint(number) for number in numbers))
        return packed(name, made) + trailer

    @property
    def _ecdsa(self) -> ec.ECDSA:
        return ec.ECDSA(_CURVES[self.fields[0].decode()][1])

    def save(self, path: Path) -> Path:
        """Write the private half, where it is no FIDO key, and the public one beside it."""
        path.with_name(f"{path.name}.pub").write_text(f"{self.text} {path.name}\n")
        if not self.hardware:
            data = self.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            path.write_bytes(data)
            path.chmod(0o600)
        return path


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def text_of(blob: bytes) -> str:
    """Write a key or certificate as in a .pub file."""
    name = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
    return f"{name.decode()} {b64encode(blob).decode()}"


@cache
def soft_key(type_: str, seed: int = 1, *, bits: int = 2048) -> SoftKey:
    """Make the key of a type that a seed stands for."""
    application = (APPLICATION,) if type_.startswith("sk-") else ()
    if "ed25519" in type_:
        private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        return SoftKey(type_, private, (private.public_key().public_bytes_raw(), *application))
    if type_ == "ssh-rsa":
        key = _rsa(seed, bits)
        numbers = key.public_key().public_numbers()
        return SoftKey(type_, key, (mpint(numbers.e), mpint(numbers.n)))
    name = next(name for name in _CURVES if name in type_)
    curve = _CURVES[name][0]
    pair = ec.derive_private_key((seed << curve.key_size - 16) + 1, curve)
    point = pair.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return SoftKey(type_, pair, (name.encode(), point, *application))


def _rsa(seed: int, bits: int) -> rsa.RSAPrivateKey:
    source = random.Random(seed)  # noqa: S311 - the same key each time, and no secret
    p, q = (_prime(source, bits // 2) for _ in range(2))
    exponent = 65537
    d = pow(exponent, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(exponent, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public
    ).private_key()


def _prime(source: random.Random, bits: int) -> int:
    small = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
    while True:
        found = source.getrandbits(bits) | 3 << bits - 2 | 1
        if all(found % each for each in small) and pow(2, found - 1, found) == 1:
            return found


def signature_of(  # noqa: PLR0913 - each is a different part of a signature
    blob: bytes,
    sign: Callable[[bytes], bytes],
    message: bytes,
    *,
    namespace: str,
    hash_name: str = "sha512",
    reserved: bytes = b"",
) -> bytes:
    """Make a signature as `ssh-keygen -Y sign` does; `blob` is the key or certificate it shows."""
    context = (namespace.encode(), reserved, hash_name.encode())
    hashed = hashlib.new(hash_name, message).digest()
    made = sign(b"SSHSIG" + packed(*context, hashed))
    return sshsig.armor(b"SSHSIG\0\0\0\1" + packed(blob, *context, made))


@dataclass(frozen=True, kw_only=True)
class Certifying:
    """What a certificate says beside its key; the defaults make one that counts for ada."""

    principals: Sequence[bytes] = (b"ada@example.com",)
    valid_after: int = 0
    valid_before: int = FOREVER
    serial: int = 7
    kind: int = 1
    key_id: bytes = b"ada"
    critical: Mapping[bytes, bytes] = field(default_factory=dict)
    extensions: Sequence[bytes] = (b"permit-agent-forwarding", b"permit-pty")
    reserved: bytes = b""
    nonce: bytes = b"n" * 32


def certified(
    key: SoftKey,
    authority: SoftKey,
    what: Certifying,
    *,
    sign: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """Make the certificate of a key, in wire form."""
    name = key.type.removesuffix("@openssh.com") + "-cert-v01@openssh.com"
    critical = b"".join(packed(each, packed(value)) for each, value in what.critical.items())
    body = (
        packed(name.encode(), what.nonce, *key.fields)
        + what.serial.to_bytes(8, "big")
        + what.kind.to_bytes(4, "big")
        + packed(what.key_id, packed(*what.principals))
        + what.valid_after.to_bytes(8, "big")
        + what.valid_before.to_bytes(8, "big")
        + packed(critical, b"".join(packed(each, b"") for each in what.extensions))
        + packed(what.reserved, authority.blob)
    )
    return body + packed((sign or authority.sign)(body))


def webauthn(key: SoftKey, data: bytes) -> bytes:
    """Sign as a browser would make a FIDO key do it."""
    challenge = urlsafe_b64encode(data).rstrip(b"=")
    origin, trailer = b"https://example.com", b"\1\0\0\0\7"
    client = b'{"type":"webauthn.get","challenge":"%s","origin":"%s"}' % (challenge, origin)
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    seen = digest(key.fields[-1]) + trailer + digest(client)
    numbers = decode_dss_signature(key.private.sign(seen, ec.ECDSA(hashes.SHA256())))
    made = packed(*(mpint(number) for number in numbers))
    return packed(WEBAUTHN, made) + trailer + packed(origin, client, b"")


@contextmanager
def agent(path: Path, *keys: tuple[bytes, Callable[[bytes], bytes]]) -> Iterator[dict[str, str]]:
    """Serve keys as ssh-agent does: each a public blob and what signs for it."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_serve, args=(server, dict(keys)))
        thread.start()
        try:
            yield {"SSH_AUTH_SOCK": str(path)}
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, keys: Mapping[bytes, Callable[[bytes], bytes]]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, connection.makefile("rwb") as stream:
            while head := stream.read(4):
                answer = _answer(stream.read(int.from_bytes(head, "big")), keys)
                stream.write(packed(answer))
                stream.flush()


def _answer(request: bytes, keys: Mapping[bytes, Callable[[bytes], bytes]]) -> bytes:
    """Answer a request: 11 asks for the keys, 13 for a signature; 5 is a refusal."""
    if request[0] == 11:
        listed = b"".join(packed(blob, b"soft") for blob in keys)
        return b"\x0c" + len(keys).to_bytes(4, "big") + listed
    if request[0] == 13:
        size = int.from_bytes(request[1:5], "big")
        blob, rest = request[5 : 5 + size], request[5 + size :]
        data = rest[4 : 4 + int.from_bytes(rest[:4], "big")]
        return b"\x0e" + packed(keys[blob](data)) if blob in keys else b"\x05"
    return b"\x05"
