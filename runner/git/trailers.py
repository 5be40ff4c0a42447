"""Commit messages with trailers, as `git interpret-trailers` reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

Trailer = tuple[str, str]
LINE = re.compile(r"^([A-Z][A-Za-z-]*): (.*)$")


def message(subject: str, trailers: Sequence[Trailer], body: str = "") -> str:
    """Write a message; line breaks in values are folded, so no value can add a trailer."""
    lines = [one_line(subject), ""]
    if body:
        lines += [body, ""]
    lines += [f"{name}: {one_line(value)}" for name, value in trailers if value]
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    return " ".join(text.split())


def read(text: str) -> list[Trailer]:
    """Give the trailers of the last paragraph; none where a line of it is not a trailer."""
    last = text.strip().split("\n\n")[-1]
    found = [LINE.match(line) for line in last.splitlines()]
    if "\n\n" not in text.strip():
        return []
    return [(each[1], each[2]) for each in found if each] if all(found) else []


def first(text: str, name: str) -> str | None:
    return next((value for key, value in read(text) if key == name), None)
