"""Strict YAML: documents that every parser reads as the same value, with the place of each part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from runner.core.errors import InvalidDocument, Problem
from runner.core.text import Character, find_hidden
from runner.core.yaml_nodes import Limits, Node, NodePath, Place, path_text, place_at
from runner.core.yaml_reader import MAX_PROBLEMS, read
from runner.core.yaml_writer import dump

__all__ = ["Document", "Limits", "NodePath", "Place", "dump", "parse", "path_text"]

_BYTE_ORDER_MARK = 0xFEFF
_CARRIAGE_RETURN = 0x0D


@dataclass(frozen=True)
class Document:
    """A value as written, and where in `text` each part of it stands."""

    file: str
    text: str
    root: Node

    @property
    def value(self) -> Any:
        return self.root.value

    def place(self, path: NodePath) -> Place:
        """Find the value, or its nearest ancestor that exists."""
        return place_at(self.text, self._trail(path)[-1].start)

    def key_place(self, path: NodePath) -> Place:
        """Find the key of the value; that of a list's item, or of nothing, is its own place."""
        trail = self._trail(path)
        if len(trail) <= len(path) or not path:
            return self.place(path)
        node = trail[-1]
        key = path[-1]
        start = trail[-2].key_starts[key] if isinstance(key, str) else node.start
        return place_at(self.text, start)

    def span(self, path: NodePath) -> tuple[int, int]:
        """Give start and end of the value in `text`, in characters; raises KeyError."""
        node = self._node(path)
        return node.start, node.end

    def is_flow(self, path: NodePath) -> bool:
        """Tell whether a collection is written with braces or brackets; raises KeyError."""
        return self._node(path).flow

    def _node(self, path: NodePath) -> Node:
        trail = self._trail(path)
        if len(trail) <= len(path):
            raise KeyError(path_text(path))
        return trail[-1]

    def _trail(self, path: NodePath) -> list[Node]:
        """List the nodes from the root along the path, as far as it exists."""
        trail = [self.root]
        for part in path:
            child = trail[-1].children.get(part)
            if child is None:
                break
            trail.append(child)
        return trail


_DEFAULT_LIMITS = Limits()


def parse(data: bytes, *, file: str, limits: Limits = _DEFAULT_LIMITS) -> Document:
    """Read one document; raises InvalidDocument with every problem that could be found."""
    if len(data) > limits.max_bytes:
        message = f"{len(data)} bytes are more than the limit of {limits.max_bytes}"
        raise InvalidDocument(
            [
                Problem(file=file, code="too_large", message=message, fix="split the document"),
            ]
        )
    text = _decode(data, file)
    _check_characters(text, file)
    return Document(file, text, read(text, file=file, limits=limits))


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # What stands before the first bad byte is valid UTF-8.
        before = data[: error.start].decode()
        line, column = place_at(before, len(before))
        problem = Problem(
            file=file,
            line=line,
            column=column,
            code="not_utf8",
            message=f"the byte 0x{data[error.start]:02x} is not UTF-8",
            fix="save the file as UTF-8",
        )
        raise InvalidDocument([problem]) from error


def _check_characters(text: str, file: str) -> None:
    found = list(islice(_hidden(text), MAX_PROBLEMS))
    if found:
        raise InvalidDocument([_hidden_problem(text, file, it) for it in found])


def _hidden(text: str) -> Iterator[Character]:
    """Yield one carriage return for all: a file with CRLF line ends has one in each line."""
    first_return = text.find("\r")
    for found in find_hidden(text):
        if found.code_point != _CARRIAGE_RETURN or found.offset == first_return:
            yield found


def _hidden_problem(text: str, file: str, found: Character) -> Problem:
    line, column = place_at(text, found.offset)
    code, fix = _hidden_kind(found)
    return Problem(
        file=file,
        line=line,
        column=column,
        code=code,
        message=f"{found.name} (U+{found.code_point:04X}) is not allowed",
        fix=fix,
    )


def _hidden_kind(found: Character) -> tuple[str, str]:
    if found.code_point == _CARRIAGE_RETURN:
        return "carriage_return", "use LF line ends"
    if found.code_point == _BYTE_ORDER_MARK and found.offset == 0:
        return "byte_order_mark", "save the file as UTF-8 without a byte order mark"
    return "hidden_character", "remove the character"
