"""ULIDs from a given moment and given randomness (github.com/ulid/spec)."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_BYTES = 10


def ulid(milliseconds: int, randomness: bytes) -> str:
    """Give 26 characters that sort by time; `randomness` is 10 bytes."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a ULID takes {RANDOM_BYTES} random bytes, not {len(randomness)}")
    number = (milliseconds << 80) | int.from_bytes(randomness)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
