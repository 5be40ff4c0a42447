"""The one JSON value in what a model said, which may stand in a fence or between words.

Fences inside of strings are content. What could be read in two ways is not read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

MAX_DEPTH: Final = 100
MOST_BRACKETS: Final = 20
_FENCED: Final = re.compile(r"```[\w-]*[ \t]*\r?\n(.*)\n```", re.DOTALL)
_OPENING: Final = re.compile(r"[\[{]")


def parse(text: str) -> Any:
    """Read the value; raises ValueError saying in one line why there is none."""
    try:
        value = _value(text.strip().removeprefix("\ufeff").strip())
        if too_deep(value, MAX_DEPTH):
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        # half a character can be written in JSON, and in no file
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeEncodeError:
        raise ValueError("a string in it holds half a character") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"it is no JSON: {error.msg} ({where})") from None
    return value


def _value(text: str) -> Any:
    """Take the whole text for the value, else what a fence holds, else what a bracket begins."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        fenced = _FENCED.fullmatch(text)
        opening = _OPENING.search(text)
        if fenced is None and opening is None:
            raise
    if fenced is not None:
        try:
            return _DECODER.decode(fenced[1])
        except json.JSONDecodeError:
            if opening is None:
                raise
    return _among_words(text, opening.start()) if opening else None


def _among_words(text: str, start: int) -> Any:
    """Read what begins at the first bracket; inside of a broken value no other is looked for."""
    value, end = _DECODER.raw_decode(text, start)
    for number, bracket in enumerate(_OPENING.finditer(text, end)):
        if number == MOST_BRACKETS or _is_value(text, bracket.start()):
            raise ValueError("it holds more than one JSON value")
    return value


def _is_value(text: str, start: int) -> bool:
    try:
        _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        return False
    return True


def too_deep(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!r} stands in it twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} in it is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > 100:
        raise ValueError(f"the number {text[:40]}… in it is too large")
    return int(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} in it is no number of JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_finite,
    parse_int=_whole,
    parse_constant=_no_constant,
)
