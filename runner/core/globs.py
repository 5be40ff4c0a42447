"""Path globs: `*` and `?` within a name, `**` for any number of folders.

A rule is held against a path, or against a glob that a command declares. The answer has
three values, since a glob may touch a rule's paths in part, and a path may equal one only
on a file system that ignores case.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache

WILD = re.compile(r"[*?]")


class Hit(Enum):
    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


def is_glob(text: str) -> bool:
    return WILD.search(text) is not None


def matches(pattern: str, path: str) -> bool:
    """Whether the glob `pattern` matches the plain path, case-sensitively."""
    return _segments_meet(tuple(pattern.split("/")), tuple(path.split("/")), literal=True)


def overlaps(first: str, second: str) -> bool:
    """Whether some path could match both globs."""
    return _segments_meet(tuple(first.split("/")), tuple(second.split("/")), literal=False)


def hit(pattern: str, target: str) -> Hit:
    """Tell how a rule's `pattern` meets a path or a declared glob."""
    if not is_glob(target) and matches(pattern, target):
        return Hit.YES
    if _covers(pattern, target):
        return Hit.YES
    return Hit.MAYBE if overlaps(pattern.casefold(), target.casefold()) else Hit.NO


def _covers(pattern: str, target: str) -> bool:
    if pattern in {target, "**"}:
        return True
    # `docs**` is a name beginning with docs; only `docs/**` takes all that lies below docs
    return pattern.endswith("/**") and not is_glob(pattern[:-3]) and target.startswith(pattern[:-2])


@cache
def _segments_meet(first: tuple[str, ...], second: tuple[str, ...], *, literal: bool) -> bool:
    if not first or not second:
        return all(part == "**" for part in first + second) and not (literal and second)
    if first[0] == "**":
        return _segments_meet(first[1:], second, literal=literal) or _segments_meet(
            first, second[1:], literal=literal
        )
    if second[0] == "**" and not literal:
        return _segments_meet(first, second[1:], literal=literal) or _segments_meet(
            first[1:], second, literal=literal
        )
    return _names_meet(first[0], second[0], literal=literal) and _segments_meet(
        first[1:], second[1:], literal=literal
    )


@cache
def _names_meet(first: str, second: str, *, literal: bool) -> bool:
    if not first or not second:
        rest = first if literal else first + second
        return not rest.strip("*") and not (literal and second)
    if first[0] == "*":
        return _names_meet(first[1:], second, literal=literal) or _names_meet(
            first, second[1:], literal=literal
        )
    if second[0] == "*" and not literal:
        return _names_meet(first, second[1:], literal=literal) or _names_meet(
            first[1:], second, literal=literal
        )
    same = first[0] == second[0] or first[0] == "?" or (second[0] == "?" and not literal)
    return same and _names_meet(first[1:], second[1:], literal=literal)
