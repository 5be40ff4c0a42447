"""The JSON Schemas that ship with the package; in a checkout they stand beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from runner.core.errors import NotFound

NAMES = ("plan", "policy", "approval", "run", "record", "models")


@cache
def load(name: str) -> Mapping[str, Any]:
    """Give the schema of a kind of file, one of NAMES; raises NotFound."""
    schema: Mapping[str, Any] = json.loads(text(name))
    return schema


def text(name: str) -> str:
    """Give the schema as it is published; raises NotFound."""
    if name not in NAMES:
        raise NotFound(f"no schema {name!r}; there are: {', '.join(NAMES)}")
    return _folder().joinpath(f"{name}.v1.json").read_text(encoding="utf-8")


def _folder() -> Path:
    shipped = Path(__file__).with_name("schemas")
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / "schemas"
