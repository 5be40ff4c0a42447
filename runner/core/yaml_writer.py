"""Writing records as YAML that the strict reader, and any other, reads back as the same value."""

from __future__ import annotations

import re
from typing import Any

from runner.core.canonical import check_integer
from runner.core.text import find_hidden
from runner.core.yaml_nodes import Limits
from runner.core.yaml_scalars import plain_flaw, plain_value

_MAX_DEPTH = Limits().max_depth

_PLAIN = re.compile(
    r"(?!\.\.\.)[A-Za-z0-9_./](?:[A-Za-z0-9_./@+=,;()'!?*-]|:(?=[^ ])| (?=[^ #]))*",
)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})

# Beyond 1,024 characters parsers stop looking for the colon after a key.
_LONGEST_SIMPLE_KEY = 512


def dump(value: Any) -> bytes:
    """Write block style, keys in their order, long texts as literal blocks.

    Raises ValueError for hidden characters, a key `<<`, an integer beyond ±(2^53-1) or too much
    nesting; TypeError for a type that our documents cannot hold.
    """
    is_collection = isinstance(value, dict | list)
    lines = _lines(value, 1) if is_collection else [_inline(value)]
    return "".join(f"{line}\n" if line else "\n" for line in lines).encode()


def _lines(value: Any, depth: int) -> list[str]:
    """Write one value; its first line can follow `- ` or `: `, the others are to be indented."""
    if depth > _MAX_DEPTH and isinstance(value, dict | list):
        raise ValueError(f"a value is nested more than {_MAX_DEPTH} levels")
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in _entry(key, item, depth)]
    if isinstance(value, list) and value:
        return [line for item in value for line in _after("-", _lines(item, depth + 1))]
    if isinstance(value, str) and _fits_literal(value):
        return ["|" if value.endswith("\n") else "|-", *value.removesuffix("\n").split("\n")]
    return [_inline(value)]


def _entry(key: Any, item: Any, depth: int) -> list[str]:
    written = _key(key)
    lines = _lines(item, depth + 1)
    if len(written) > _LONGEST_SIMPLE_KEY:
        return [f"? {written}", *_after(":", lines)]
    if isinstance(item, dict | list) and item:
        return [f"{written}:", *_indented(lines)]
    return _after(f"{written}:", lines)


def _after(indicator: str, lines: list[str]) -> list[str]:
    return [f"{indicator} {lines[0]}", *_indented(lines[1:])]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__} cannot be written as YAML")
    if key == "<<":
        raise ValueError("the key << is a merge key to some YAML parsers, even quoted")
    return _string(key)


def _inline(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(check_integer(value))
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as YAML")


def _string(text: str) -> str:
    _check_characters(text)
    if _PLAIN.fullmatch(text) and plain_flaw(text) is None and plain_value(text) == text:
        return text
    return f'"{text.translate(_ESCAPES)}"'


def _fits_literal(text: str) -> bool:
    """Allow literal blocks that need no indentation indicator and hide no blank at an end."""
    _check_characters(text)
    if "\n" not in text or text[0] in " \t\n" or text.endswith("\n\n"):
        return False
    return all(line == line.rstrip() for line in text.split("\n"))


def _check_characters(text: str) -> None:
    hidden = next(find_hidden(text), None)
    if hidden is not None:
        raise ValueError(f"a text holds {hidden.name} at offset {hidden.offset}")
