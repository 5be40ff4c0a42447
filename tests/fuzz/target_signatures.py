"""The reader of SSH signatures, against what it read."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

from runner.git import sshsig
from runner.git.sshsig import BadSignature, Signature

MAX_LENGTH = 700
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"\n-----END SSH SIGNATURE-----"
TOKENS = (
    *(
        _BEGIN,
        _END,
        b"U1NIU0lH",
        b"AAAA",
        b"AAAAAQ",
        b"AAAAC3NzaC1lZDI1NTE5",
        b"c2hhNTEy",
        b"c2hhMjU2",
    ),
    *(
        b"\0\0\0\x0bssh-ed25519",
        b"\0\0\0\x20",
        b"\0\0\0\x06sha512",
        b"\0\0\0\x03git",
        b"SSHSIG\0\0\0\x01",
    ),
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\n", b"=", b"\0\0\0\x53"),
)


def check(data: bytes, *, parse: Callable[[bytes], Signature] = sshsig.parse) -> None:
    """Armor or its content is refused in one way, or has one form and nothing left over."""
    if not data.startswith(b"-"):
        data = sshsig.armor(b"SSHSIG\0\0\0\1" + data)
    try:
        signature = parse(data)
    except BadSignature:
        return
    blob = base64.b64decode(data.removeprefix(_BEGIN).rstrip(b"\n").removesuffix(_END))
    assert data.rstrip(b"\n") in {sshsig.armor(blob, width=each).rstrip(b"\n") for each in (70, 76)}
    key, namespace, reserved, hashed, signed = _strings(blob[10:])
    assert namespace.decode() == signature.namespace
    assert signature.namespace
    assert not reserved
    assert hashed.decode() == signature.hash_algorithm
    assert signed == signature.blob
    assert key


def _strings(blob: bytes) -> list[bytes]:
    found = []
    while blob:
        (size,) = struct.unpack(">I", blob[:4])
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return found
