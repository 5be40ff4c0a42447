"""Sound signatures to begin with, of which tests change a part."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ssh_keys import TYPES, Certifying, SoftKey, certified, signature_of, soft_key

ADA, BOB = "ada@example.com", "bob@example.com"
NAMESPACES = ("git", "planlock-approval", "planlock-run")
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Did `principal` sign `message` in `namespace` at `at`, by what `allowed` says?"""

    kind: str
    signature: bytes
    message: bytes
    namespace: str
    allowed: str
    at: datetime = NOW
    principal: str = ADA


@dataclass(kw_only=True)
class Draft:
    """What a case is made of; each maker changes a part of it."""

    source: random.Random
    key: SoftKey
    authority: SoftKey
    message: bytes
    namespace: str
    hash_name: str
    sign: Callable[[bytes], bytes]
    blob: bytes
    lines: list[str]

    def case(self, kind: str, **changes: Any) -> Case:
        made = signature_of(
            self.blob, self.sign, self.message, namespace=self.namespace, hash_name=self.hash_name
        )
        case = Case(
            kind=kind,
            signature=made,
            message=self.message,
            namespace=self.namespace,
            allowed="".join(self.lines),
        )
        return replace(case, **changes)

    def line(self, options: str = "", *, who: str = ADA, key: SoftKey | None = None) -> str:
        return f'{who} namespaces="{self.namespace}"{options} {(key or self.key).text}\n'

    def vouching(self, who: str = "*@example.com", options: str = "") -> str:
        return self.line(f",cert-authority{options}", who=who, key=self.authority)

    def certify(
        self, what: Certifying | None = None, *, sign: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Let the signature show a certificate, which its authority's line makes count."""
        self.blob = certified(self.key, self.authority, what or Certifying(), sign=sign)
        self.lines = [self.vouching()]

    def by(self, key_type: str, *, bits: int = 2048) -> None:
        self.key = soft_key(key_type, 1 if bits == 2048 else 3, bits=bits)
        self.blob, self.sign, self.lines = self.key.blob, self.key.sign, [self.line()]


def draft(source: random.Random) -> Draft:
    """Start with a sound signature by a listed key of any type."""
    key = soft_key(source.choice(TYPES))
    made = Draft(
        source=source,
        key=key,
        authority=soft_key(source.choice(TYPES), 2),
        message=source.randbytes(source.randrange(40)),
        namespace=source.choice(NAMESPACES),
        hash_name=source.choice(["sha256", "sha512"]),
        sign=key.sign,
        blob=key.blob,
        lines=[],
    )
    made.lines = [made.line()]
    return made


def either(source: random.Random) -> Draft:
    """Start with a key or a certificate."""
    made = draft(source)
    if source.random() < 0.5:
        made.certify()
    return made


def wire_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))
