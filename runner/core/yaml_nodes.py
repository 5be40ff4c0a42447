"""Values of a document with their places, and how paths to them are written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

NodePath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NO_CHILDREN: Mapping[str | int, Node] = MappingProxyType({})
_NO_KEYS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Limits:
    """How big a document may be; `max_nodes` counts keys too."""

    max_bytes: int = 1_000_000
    max_depth: int = 20
    max_nodes: int = 200_000


class Place(NamedTuple):
    """A place in a text, in lines and characters from 1."""

    line: int
    column: int


class Node(NamedTuple):
    """A value with the character offsets of itself and its keys, and its children."""

    value: Any
    start: int
    end: int
    flow: bool = False
    children: Mapping[str | int, Node] = _NO_CHILDREN
    key_starts: Mapping[str, int] = _NO_KEYS


def place_at(text: str, offset: int) -> Place:
    line_start = text.rfind("\n", 0, offset) + 1
    return Place(text.count("\n", 0, offset) + 1, offset - line_start + 1)


def path_text(path: NodePath) -> str:
    """Write a path as `steps[2].input.path`; unusual keys become `env["a.b"]`."""
    return "".join(map(_part, path)).removeprefix(".")


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _BARE_KEY.fullmatch(part) else f"[{json.dumps(part)}]"
