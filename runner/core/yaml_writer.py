"""Writing records as YAML that the strict reader, and any other, reads back as the same value."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from runner.core.canonical import check_integer
from runner.core.text import find_hidden
from runner.core.yaml_nodes import Limits
from runner.core.yaml_scalars import has_one_meaning

_MAX_DEPTH = Limits().max_depth
_COLLECTION = (dict, list)

_PLAIN = re.compile(
    r"(?!\.\.\.)[A-Za-z0-9_./](?:[A-Za-z0-9_./@+=,;()'!?*-]++|:(?=[^ ])| (?=[^ #]))*",
)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})

# Beyond 1,024 characters parsers stop looking for the colon after a key.
_LONGEST_SIMPLE_KEY = 512
_SHORT = 80


def dump(value: Any) -> bytes:
    """Write block style, keys in their order, long texts as literal blocks.

    Raises ValueError for hidden characters, a key `<<`, an integer beyond ±(2^53-1) or too much
    nesting; TypeError for a type that our documents cannot hold.
    """
    if not isinstance(value, _COLLECTION):
        return f"{_inline(value)}\n".encode()
    lines: list[str] = []
    _write(lines, value, 1, first="", rest="")
    lines.append("")
    return "\n".join(lines).encode()


def _write(lines: list[str], value: Any, depth: int, *, first: str, rest: str) -> None:
    """Add the lines of a value: `first` comes before the first one, `rest` before the others."""
    if isinstance(value, str):
        if "\n" in value and _fits_literal(value):
            _write_block(lines, value, first=first, rest=rest)
        else:
            lines.append(first + _string(value))
    elif isinstance(value, _COLLECTION):
        if depth > _MAX_DEPTH:
            raise ValueError(f"a value is nested more than {_MAX_DEPTH} levels")
        if not value:
            lines.append(first + _inline(value))
        elif isinstance(value, dict):
            _write_entries(lines, value, depth, first=first, rest=rest)
        else:
            for item in value:
                _write(lines, item, depth + 1, first=f"{first}- ", rest=f"{rest}  ")
                first = rest
    else:
        lines.append(first + _inline(value))


def _write_entries(
    lines: list[str], value: dict[Any, Any], depth: int, *, first: str, rest: str
) -> None:
    deeper = f"{rest}  "
    for key, item in value.items():
        written = _key(key)
        if len(written) > _LONGEST_SIMPLE_KEY:
            lines.append(f"{first}? {written}")
            _write(lines, item, depth + 1, first=f"{rest}: ", rest=deeper)
        elif item and isinstance(item, _COLLECTION):
            lines.append(f"{first}{written}:")
            _write(lines, item, depth + 1, first=deeper, rest=deeper)
        else:
            _write(lines, item, depth + 1, first=f"{first}{written}: ", rest=deeper)
        first = rest


def _write_block(lines: list[str], text: str, *, first: str, rest: str) -> None:
    lines.append(f"{first}|" if text.endswith("\n") else f"{first}|-")
    lines += [rest + line if line else "" for line in text.removesuffix("\n").split("\n")]


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
    if isinstance(value, _COLLECTION):
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as YAML")


def _string(text: str) -> str:
    return _short(text) if len(text) <= _SHORT else _quoted_if_needed(text)


# Records have the same few keys, names and moments over and over.
@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return _quoted_if_needed(text)


def _quoted_if_needed(text: str) -> str:
    _check_characters(text)
    if _PLAIN.fullmatch(text) and has_one_meaning(text):
        return text
    return f'"{text.translate(_ESCAPES)}"'


def _fits_literal(text: str) -> bool:
    """Allow literal blocks that need no indentation indicator and hide no blank at an end."""
    _check_characters(text)
    if text[0] in " \t\n" or text.endswith("\n\n"):
        return False
    return all(line == line.rstrip() for line in text.split("\n"))


def _check_characters(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    hidden = next(find_hidden(text), None)
    if hidden is not None:
        raise ValueError(f"a text holds {hidden.name} at offset {hidden.offset}")
