"""Differences in words, field by field, whatever the fields are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.text import visible


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that changed; `loosens` where more may pass than before, or nobody can tell."""

    what: str
    loosens: bool = False


def leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give what the mapping says by dotted name; lists stay whole, null counts as absent."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= leaves(item, f"{prefix}{key}.")
        elif item is not None:
            found[prefix + key] = item
    return found


def turned(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted name, old, new) for each leaf that differs; None where it is absent."""
    before, after = leaves(old), leaves(new)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def described(value: Mapping[str, Any]) -> str:
    """Say what a mapping holds, less what is empty."""
    held = {name: item for name, item in leaves(value).items() if item != []}
    return ", ".join(f"{name} {word(item)}" for name, item in held.items())


def turn(name: str, old: Any, new: Any) -> str:
    """`name: old -> new`; of lists, what came and what went."""
    if not isinstance(old, list) or not isinstance(new, list):
        return f"{name}: {word(old)} -> {word(new)}"
    came = [f"added {word(each)}" for each in new if each not in old]
    went = [f"removed {word(each)}" for each in old if each not in new]
    return f"{name}: {', '.join(came + went) or 'written in another order'}"


def word(value: Any) -> str:
    """Write a value so that it stays on its line and cannot pass for more than one."""
    if isinstance(value, list):
        return f"[{', '.join(map(word, value))}]"
    text = "none" if value is None else str(value)
    if isinstance(value, bool):
        text = text.lower()
    plain = text and text.isascii() and text.isprintable() and " " not in text
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    return visible(repr(text))
