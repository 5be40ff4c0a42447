"""RFC 8785 canonical JSON of the values that our documents can hold, and digests over it."""

from __future__ import annotations

import json
from typing import Any

MAX_INTEGER = 2**53 - 1


def canonical_json(value: Any) -> bytes:
    """Raise TypeError for a type, ValueError for an integer or string, that JSON cannot carry."""
    ordered = _ordered(value)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def sha256_text(data: bytes) -> str:
    from hashlib import sha256  # OpenSSL's; reading a document does without

    return f"sha256:{sha256(data).hexdigest()}"


def chain(label: str, value: Any, previous: str | None = None) -> str:
    r"""Digest `label \n [previous \n] C(value)`; `previous` is a digest as it is written."""
    head = f"{label}\n" if previous is None else f"{label}\n{previous}\n"
    return sha256_text(head.encode() + canonical_json(value))


def check_integer(value: int) -> int:
    """Raise ValueError for an integer that a JSON reader elsewhere would round."""
    if abs(value) > MAX_INTEGER:
        raise ValueError("an integer is outside the range of exact JSON numbers")
    return value


def _ordered(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return check_integer(value)
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=_utf16)}
    raise TypeError(f"a value of type {type(value).__name__} has no canonical form")


def _utf16(key: Any) -> bytes:
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__} has no canonical form")
    return key.encode("utf-16-be")
