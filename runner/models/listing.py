"""What providers list: names of models, coordinates of a text."""

from __future__ import annotations

import math
from typing import Any, Final

from runner.models.contract import Failure

MAX_NAMES: Final = 5000
MAX_NAME: Final = 300
MAX_COORDINATES: Final = 65_536


def names(value: Any, key: str) -> list[str]:
    """The names in a list of objects; what is no printable name is left out."""
    if not isinstance(value, list):
        raise Failure("malformed", "a list of models that is none")
    found = [each.get(key) for each in value[:MAX_NAMES] if isinstance(each, dict)]
    return [name for name in found if isinstance(name, str) and _is_name(name)]


def vector(value: Any) -> list[float]:
    """An embedding: finite numbers."""
    sound = isinstance(value, list) and 0 < len(value) <= MAX_COORDINATES
    if not sound or not all(_is_number(each) for each in value):
        raise Failure("malformed", "an embedding that is no list of numbers")
    return [float(each) for each in value]


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e300 and math.isfinite(value)
