"""Reading what `dump` wrote, fast.

A careless reader guesses the value, and only bytes that are exactly what `dump` makes of the guess
count: of those the strict reader gives the same value. Anything else is left to the strict reader.
"""

from __future__ import annotations

import re
from typing import Any

from runner.core.yaml_writer import dump

# The strict reader's limits are further off: each node takes two bytes at least.
_MOST_BYTES = 250_000
_DEEPEST = 20
_ENTRY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?: (.+))?")
_INTEGER = re.compile(r"-?[0-9]{1,16}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}
_WORDS = {"null": None, "true": True, "false": False}
_BLOCKS = {"|": "\n", "|-": ""}


class _Odd(Exception):
    """Not what `dump` writes, or not what this reader knows of it."""


def read_canonical(data: bytes) -> dict[str, Any] | None:
    """Give the value of a mapping that is written as `dump` writes it; None for anything else."""
    if len(data) > _MOST_BYTES:
        return None
    try:
        lines = data.decode().split("\n")
        value, end = _mapping(lines, 0, 0)
        same = end == len(lines) - 1 and dump(value) == data
    except (_Odd, ValueError, IndexError):
        return None
    return value if same else None


def _mapping(lines: list[str], at: int, indent: int) -> tuple[dict[str, Any], int]:
    """Read the entries that begin at a column; gives the number of the line after them."""
    value: dict[str, Any] = {}
    blanks = " " * indent
    while lines[at].startswith(blanks):
        entry = _ENTRY.fullmatch(lines[at], indent)
        if entry is None:
            break
        key, text = entry.groups()
        if text is None:
            value[key], at = _collection(lines, at + 1, indent + 2)
        elif text in _BLOCKS:
            value[key], at = _block(lines, at + 1, indent + 2, end=_BLOCKS[text])
        else:
            value[key], at = _scalar(text), at + 1
    if not value:
        raise _Odd
    return value, at


def _collection(lines: list[str], at: int, indent: int) -> tuple[Any, int]:
    if indent > 2 * _DEEPEST:
        raise _Odd
    reader = _items if lines[at].startswith("- ", indent) else _mapping
    return reader(lines, at, indent)


def _items(lines: list[str], at: int, indent: int) -> tuple[list[Any], int]:
    value: list[Any] = []
    start = " " * indent + "- "
    deeper = indent + 2
    while lines[at].startswith(start):
        text = lines[at][deeper:]
        if text.startswith("- ") or _ENTRY.fullmatch(text):
            # What stands behind the dash reads like the first line of a block of its own.
            lines[at] = " " * deeper + text
            item, at = _collection(lines, at, deeper)
        elif text in _BLOCKS:
            item, at = _block(lines, at + 1, deeper, end=_BLOCKS[text])
        else:
            item, at = _scalar(text), at + 1
        value.append(item)
    return value, at


def _block(lines: list[str], at: int, indent: int, *, end: str) -> tuple[str, int]:
    """Read the lines of a literal block, whose last one is never empty."""
    blanks, first = " " * indent, at
    while at < len(lines) and (not lines[at] or lines[at].startswith(blanks)):
        at += 1
    while at > first and not lines[at - 1]:
        at -= 1
    return "\n".join(line[indent:] for line in lines[first:at]) + end, at


def _scalar(text: str) -> Any:
    if text.startswith('"'):
        inner = text[1:-1]
        return _ESCAPE.sub(_escaped, inner) if "\\" in inner else inner
    if text in _WORDS:
        return _WORDS[text]
    if text in {"[]", "{}"}:
        return [] if text == "[]" else {}
    return int(text) if _INTEGER.fullmatch(text) else text


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[1])
