"""Path globs: `*` and `?` within a name, `**` for any number of folders.

A rule is held against a path, or against a glob that a command declares. The answer has
three values, since a glob may touch a rule's paths in part, and a path may equal one only
on a file system that ignores case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

WILD = re.compile(r"[*?]")


class Same(Protocol):
    def __call__(self, first: str, second: str, *, literal: bool) -> bool: ...


class Hit(Enum):
    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


def is_glob(text: str) -> bool:
    return WILD.search(text) is not None


def matches(pattern: str, path: str) -> bool:
    """Whether the glob `pattern` matches the plain path, case-sensitively."""
    return sequences_meet(pattern.split("/"), path.split("/"), literal=True)


def overlaps(first: str, second: str) -> bool:
    """Whether some path could match both globs."""
    return sequences_meet(first.split("/"), second.split("/"), literal=False)


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


def sequences_meet(first: Sequence[str], second: Sequence[str], *, literal: bool) -> bool:
    """Whether two sequences of names can be equal; a `literal` second has no wildcards."""
    return _meet(first, second, wild="**", literal=literal, same=_names_meet)


def _names_meet(first: str, second: str, *, literal: bool) -> bool:
    if not is_glob(first) and (literal or not is_glob(second)):
        return first == second
    return _meet(first, second, wild="*", literal=literal, same=_letters_meet)


def _letters_meet(first: str, second: str, *, literal: bool) -> bool:
    return first in {second, "?"} or (second == "?" and not literal)


def _meet(
    first: Sequence[str], second: Sequence[str], *, wild: str, literal: bool, same: Same
) -> bool:
    """Whether two sequences can be equal, `wild` standing for any run of elements.

    A `literal` second has no wild elements. `row[j]` tells whether first[i:] meets second[j:];
    rows instead of recursion, since a path may have thousands of parts.
    """
    row: list[bool] = []
    for i in range(len(first), -1, -1):
        below, row = row, [False] * (len(second) + 1)
        for j in range(len(second), -1, -1):
            if i == len(first) and j == len(second):
                row[j] = True
            elif i < len(first) and first[i] == wild:
                row[j] = below[j] or (j < len(second) and row[j + 1])
            elif j < len(second) and second[j] == wild and not literal:
                row[j] = row[j + 1] or (i < len(first) and below[j])
            elif i < len(first) and j < len(second):
                row[j] = below[j + 1] and same(first[i], second[j], literal=literal)
    return row[0]
