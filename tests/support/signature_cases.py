"""Thousands of signatures, sound and otherwise, each with the question that is asked of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from signature_drafts import ADA, BOB, NAMESPACES, NOW, Case, draft, either, wire_of
from ssh_keys import (
    SK_ECDSA,
    TYPES,
    Certifying,
    certified,
    packed,
    signature_of,
    soft_key,
    text_of,
    webauthn,
)

from runner.git import sshsig

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FIDO = tuple(each for each in TYPES if each.startswith("sk-"))
ECDSA = tuple(each for each in TYPES if "ecdsa" in each)


def sound(source: random.Random) -> Case:
    return either(source).case("sound")


def other_message(source: random.Random) -> Case:
    made = either(source).case("other message")
    return replace(made, message=made.message + b"\0")


def other_namespace(source: random.Random) -> Case:
    made = either(source).case("other namespace")
    return replace(made, namespace=source.choice([*NAMESPACES, "plan", "git2"]))


def not_listed(source: random.Random) -> Case:
    made = either(source)
    made.lines = [source.choice([made.line(key=soft_key(source.choice(TYPES), 2)), "# nobody\n"])]
    return made.case("not listed")


def cut(source: random.Random) -> Case:
    made = either(source).case("cut")
    if source.random() < 0.3:
        return replace(made, signature=made.signature[: source.randrange(len(made.signature))])
    wire = wire_of(made.signature)
    return replace(made, signature=sshsig.armor(wire[: source.randrange(len(wire))]))


def flipped(source: random.Random) -> Case:
    made = either(source).case("flipped")
    wire = bytearray(wire_of(made.signature))
    wire[source.randrange(len(wire))] ^= 1 << source.randrange(8)
    return replace(made, signature=sshsig.armor(bytes(wire)))


def overwritten(source: random.Random) -> Case:
    """Put other bytes at any place, where a length may stand."""
    made = either(source).case("overwritten")
    wire = wire_of(made.signature)
    place, size = source.randrange(len(wire)), source.randrange(1, 5)
    other = source.choice([source.randbytes(size), bytes(size), b"\xff" * size])
    return replace(made, signature=sshsig.armor(wire[:place] + other + wire[place + size :]))


def inserted(source: random.Random) -> Case:
    made = either(source).case("inserted")
    wire = wire_of(made.signature)
    place = source.choice([len(wire), source.randrange(len(wire))])
    more = source.randbytes(source.randrange(1, 9))
    return replace(made, signature=sshsig.armor(wire[:place] + more + wire[place:]))


def armor_changed(source: random.Random) -> Case:
    made = either(source).case("armor changed")
    text = bytearray(made.signature)
    place = source.randrange(len(text))
    if source.random() < 0.5:
        text[place] = source.choice(b"\n \t=A/+-\0\xff")
    else:
        text[place:place] = source.choice([b"\n", b" ", b"\r", b"=", b"A"])
    return replace(made, signature=bytes(text))


def rewrapped(source: random.Random) -> Case:
    made = either(source).case("rewrapped")
    wire = wire_of(made.signature)
    return replace(made, signature=sshsig.armor(wire, width=source.choice([16, 64, 70, 76, 9999])))


def followed(source: random.Random) -> Case:
    made = either(source).case("followed")
    return replace(made, signature=made.signature + source.choice([b"\n", b"x", made.signature]))


def earlier_version(source: random.Random) -> Case:
    made = either(source).case("earlier version")
    wire = wire_of(made.signature).replace(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\0", 1)
    return replace(made, signature=sshsig.armor(wire))


def stamp(at: datetime, source: random.Random) -> str:
    shape = source.choice(["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S"])
    return at.strftime(shape) + "Z"


def near(source: random.Random) -> datetime:
    days = timedelta(days=source.randrange(-1, 2))
    return NOW + days + timedelta(seconds=source.choice([-1, 0, 1, 30]))


def window(source: random.Random) -> str:
    """Options that limit a line, at times around NOW; a window is never empty."""
    after, before = stamp(near(source), source), stamp(near(source), source)
    limits = {"valid-after": after, "VALID-BEFORE": before}
    most = 2 if after[:-1].ljust(14, "0") < before[:-1].ljust(14, "0") else 1
    names = source.sample(sorted(limits), source.randrange(most + 1))
    return "".join(f',{name}="{limits[name]}"' for name in names)


def limited_line(source: random.Random) -> Case:
    made = either(source)
    limits = [window(source) for _ in range(source.randrange(1, 3))]
    is_key = made.blob == made.key.blob
    made.lines = [made.line(each) if is_key else made.vouching(options=each) for each in limits]
    at = source.choice([near(source), NOW, datetime(2026, 11, 22, tzinfo=UTC)])
    return made.case("limited line", at=at + timedelta(seconds=source.randrange(-1, 2)))


def limited_certificate(source: random.Random) -> Case:
    made = draft(source)
    start = int(NOW.timestamp()) + source.randrange(-2, 3)
    ends = source.choice([start + source.randrange(4), 2**64 - 1, 2**63])
    made.certify(Certifying(valid_after=source.choice([0, start]), valid_before=ends))
    return made.case("limited certificate", at=NOW + timedelta(seconds=source.randrange(-3, 4)))


def certified_names(source: random.Random) -> Case:
    made = draft(source)
    every = [ADA, BOB, "ada@example.org", "ADA@example.com", "root", "*", "ada"]
    names = [name.encode() for name in source.choices(every, k=source.randrange(4))]
    made.certify(Certifying(principals=names))
    patterns = ["*@example.com", ADA, BOB, "a?a@example.*", "*", "[a]da@example.com", "*.org"]
    made.lines = [made.vouching(each) for each in source.sample(patterns, source.randrange(1, 3))]
    return made.case("certified names")


def unsound_certificate(source: random.Random) -> Case:
    """What neither side takes."""
    made = draft(source)
    changes: list[dict[str, Any]] = [{"kind": 2}, {"kind": 0}, {"principals": []}]
    made.certify(Certifying(**source.choice(changes)))
    return made.case("unsound certificate")


def of_another_authority(source: random.Random) -> Case:
    made = draft(source)
    stranger = soft_key("ssh-ed25519", 9)
    made.certify(sign=stranger.sign)
    if source.random() < 0.5:
        made.blob = certified(made.key, stranger, Certifying())
    return made.case("of another authority")


def certificate_beside_line(source: random.Random) -> Case:
    """The certified key has a line of its own, which may limit or contradict the certificate."""
    made = draft(source)
    made.certify()
    own = made.line(source.choice(["", ',valid-before="20200101Z"', ',valid-after="20200101Z"']))
    made.lines.append(source.choice([own, made.line(who=BOB)]))
    return made.case("certificate beside line")


def untouched(source: random.Random) -> Case:
    made = draft(source)
    made.by(source.choice(FIDO))
    made.sign = lambda data: made.key.sign(data, flags=source.choice([0, 4]))
    return made.case("untouched")


def untouched_authority(source: random.Random) -> Case:
    made = draft(source)
    made.authority = soft_key(source.choice(FIDO), 2)
    made.certify(sign=lambda data: made.authority.sign(data, flags=0))
    return made.case("untouched authority")


def padded(source: random.Random) -> Case:
    made = draft(source)
    made.by(source.choice(ECDSA))
    made.sign = lambda data: made.key.sign(data, pad=source.choice([b"\0", b"\0\0", b"\xff"]))
    return made.case("padded")


def short_rsa_key(source: random.Random) -> Case:
    made = draft(source)
    made.by("ssh-rsa", bits=1024)
    return made.case("short RSA key")


def short_rsa_signature(source: random.Random) -> Case:
    """Leave out the zero in front of a signature that happens to have one."""
    made = draft(source)
    made.by("ssh-rsa")
    made.namespace, made.hash_name, made.message = "git", "sha512", lucky_message()
    made.lines = [made.line()]
    made.sign = lambda data: packed(b"rsa-sha2-512", made.key.sign(data)[-256:].lstrip(b"\0"))
    return made.case("short RSA signature")


@cache
def lucky_message() -> bytes:
    key = soft_key("ssh-rsa")
    for number in count():
        message = b"%d" % number
        made = signature_of(key.blob, key.sign, message, namespace="git")
        if wire_of(made)[-256] == 0:
            return message
    raise AssertionError


def rsa_hashes(source: random.Random) -> Case:
    made = draft(source)
    made.by("ssh-rsa")
    name = source.choice([b"ssh-rsa", b"rsa-sha2-256", b"rsa-sha2-512"])
    made.sign = lambda data: made.key.sign(data, signature_type=name)
    return made.case("RSA hashes")


def sha1_authority(source: random.Random) -> Case:
    made = draft(source)
    made.authority = soft_key("ssh-rsa", 2)
    made.certify(sign=lambda data: made.authority.sign(data, signature_type=b"ssh-rsa"))
    return made.case("SHA-1 authority")


def second_form(source: random.Random) -> Case:
    """Add the group's order to the scalar of an ed25519 signature."""
    made = draft(source)
    made.by("ssh-ed25519")

    def sign(data: bytes) -> bytes:
        first = made.key.sign(data)
        scalar = int.from_bytes(first[-32:], "little") + GROUP_ORDER
        return first[:-32] + scalar.to_bytes(32, "little")

    made.sign = sign
    return made.case("second form")


def by_browser(source: random.Random) -> Case:
    made = draft(source)
    made.by(SK_ECDSA)
    made.sign = lambda data: webauthn(made.key, data)
    return made.case("by browser")


def odd_certificate(source: random.Random) -> Case:
    """Certificates that OpenSSH takes and planlock does not."""
    made = draft(source)
    odd: list[dict[str, Any]] = [
        {"critical": {b"force-command": b"ls"}},
        {"extensions": [b"permit-pty", b"no-touch-required"]},
        {"reserved": b"x"},
        {"key_id": b"\xff"},
        {"principals": [ADA.encode(), BOB.encode()]},
    ]
    made.certify(Certifying(**source.choice(odd)))
    return made.case("odd certificate")


def odd_name(source: random.Random) -> Case:
    made = draft(source)
    name = source.choice(["ada smith", "a,b", "*", "ad\u00e4"])
    made.certify(Certifying(principals=[name.encode()]))
    made.lines = [made.vouching("*")]
    return made.case("odd name", principal=name)


def odd_certificate_text(source: random.Random) -> Case:
    """A certificate where allowed_signers wants a key."""
    made = draft(source)
    made.certify()
    made.lines = [f'{ADA} namespaces="{made.namespace}" {text_of(made.blob)}\n']
    return made.case("certificate listed")


MAKERS: tuple[Callable[[random.Random], Case], ...] = (
    *(sound, sound, sound, sound),
    *(flipped, flipped, flipped, flipped, flipped),
    *(cut, cut, overwritten, overwritten, inserted, inserted, armor_changed, armor_changed),
    *(
        other_message,
        other_namespace,
        other_namespace,
        not_listed,
        rewrapped,
        followed,
        earlier_version,
    ),
    *(limited_line, limited_line, limited_line, limited_certificate, limited_certificate),
    *(certified_names, certified_names, certified_names, certificate_beside_line),
    *(unsound_certificate, of_another_authority, untouched, untouched_authority, padded),
    *(short_rsa_key, short_rsa_signature, rsa_hashes, sha1_authority, second_form, by_browser),
    *(odd_certificate, odd_certificate, odd_name, odd_certificate_text),
)

# Where planlock refuses what ssh-keygen takes: kinds of cases, and what the reason says.
STRICTER: Mapping[str, tuple[str, ...]] = {
    "is not SSHSIG version 1": ("earlier version",),
    "the FIDO key was not touched": ("untouched", "untouched authority"),
    "has superfluous leading zeros": ("padded",),
    "RSA key has 1024 bits": ("short RSA key",),
    "signature has 255 bytes, not 256": ("short RSA signature",),
    "'ssh-rsa' does not count": ("SHA-1 authority",),
    "does not match what was signed": ("second form",),
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com' does not count": ("by browser",),
    "critical options that are not known": ("odd certificate",),
    "extensions are not in order": ("odd certificate",),
    "reserved field": ("odd certificate",),
    "key id is not UTF-8": ("odd certificate",),
    "names several people": ("odd certificate", "certified names"),
    "which is no exact name": ("odd name",),
    "but its key is listed as valid": ("certificate beside line",),
    "but its key is listed for": ("certificate beside line",),
    "key type '": ("certificate listed",),
    "is not wrapped": ("rewrapped",),
    "is not base64": ("armor changed",),
    "after the signature's footer": ("followed",),
}

# The same, where it takes luck to change just that.
ACCIDENTAL: Mapping[str, tuple[str, ...]] = {
    "is not SSHSIG version 1": ("flipped", "overwritten", "armor changed"),
    "is not wrapped": ("armor changed",),
    "after the signature's footer": ("armor changed",),
}


def cases(how_many: int) -> Iterator[Case]:
    """The same cases each time, every kind in turn."""
    for number in range(how_many):
        source = random.Random(number)  # noqa: S311 - a fixed sequence, nothing secret
        yield MAKERS[number % len(MAKERS)](source)
