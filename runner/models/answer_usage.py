"""Tokens and money as providers tell them, which may be missing, mistaken or a lie."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runner.core.model_call import Usage
from runner.models.contract import Ask
from runner.models.json_answer import too_deep

BYTES_PER_TOKEN: Final = 4
# Text is never so sparse: whoever counts fewer tokens for so many bytes counted a part, or lies.
SPARSE: Final = 8
# A word or two may be sparser than text.
FEW_BYTES: Final = 64
MAX_TOKENS: Final = 10**9
MAX_USD: Final = Decimal(10**6)
MAX_RAW: Final = 4096
MAX_RAW_DEPTH: Final = 20


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Tokens as a provider told them: anything at all; totals hold their parts."""

    read: Any
    written: Any
    cached: Any = None
    created: Any = None
    reasoning: Any = None


def count(value: Any) -> int | None:
    """A number of tokens, or None for what cannot be one."""
    sound = isinstance(value, int) and not isinstance(value, bool)
    return value if sound and 0 <= value <= MAX_TOKENS else None


def fields(value: Any) -> Mapping[str, Any]:
    """An object, empty where there is none."""
    return value if isinstance(value, Mapping) else {}


def usage_of(ask: Ask, text: str, counted: Counted) -> Usage:
    """What the provider counted; estimated where its count cannot be true."""
    read, written = count(counted.read), count(counted.written)
    if not read or written is None or _too_few(read, asked_bytes(ask)):
        return estimated(ask, text)
    if (text and not written) or _too_few(written, len(text.encode())):
        return estimated(ask, text)
    hits = min(count(counted.cached) or 0, read)
    return Usage(
        input_tokens=read,
        cache_read_input_tokens=hits,
        cache_creation_input_tokens=min(count(counted.created) or 0, read - hits),
        output_tokens=written,
        reasoning_output_tokens=min(count(counted.reasoning) or 0, written),
        source="provider",
    )


def _too_few(tokens: int, size: int) -> bool:
    return size > SPARSE * tokens + FEW_BYTES


def estimated(ask: Ask, text: str) -> Usage:
    """Tokens by the bytes."""
    return Usage(
        input_tokens=math.ceil(asked_bytes(ask) / BYTES_PER_TOKEN),
        output_tokens=math.ceil(len(text.encode()) / BYTES_PER_TOKEN),
        source="estimated",
    )


def at_most(ask: Ask) -> Usage:
    """As many tokens as there can be: none is smaller than a byte."""
    return Usage(input_tokens=asked_bytes(ask), output_tokens=ask.max_tokens, source="estimated")


def asked_bytes(ask: Ask) -> int:
    return sum(len(each.content.encode("utf-8", "replace")) for each in ask.messages)


def raw(value: Any) -> dict[str, Any]:
    """The provider's account as it wrote it, unless it is too long or deep to keep."""
    try:
        known = isinstance(value, dict) and not too_deep(value, MAX_RAW_DEPTH)
        known = known and len(json.dumps(value)) <= MAX_RAW
    except RecursionError:
        known = False
    return dict(value) if known else {}


def money(value: Any) -> Decimal | None:
    """A price in USD that the provider named, or None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(str(value))
    return abs(round(amount, 9)) if amount.is_finite() and 0 <= amount <= MAX_USD else None
