"""Plans from their bytes, those of the last few remembered: the same are asked for again and again."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from runner import schemas
from runner.core import validation
from runner.core.documents import Document
from runner.core.errors import InvalidDocument
from runner.core.plan import PlanFile


def read(data: bytes, *, file: str) -> tuple[Document, PlanFile]:
    """Read a plan; raises InvalidDocument."""
    try:
        document, plan = _read(data)
    except InvalidDocument:
        return validation.read_plan(data, file=file, schema=schemas.load("plan"))
    return replace(document, file=file), plan


@lru_cache(maxsize=8)
def _read(data: bytes) -> tuple[Document, PlanFile]:
    return validation.read_plan(data, file="plan.yaml", schema=schemas.load("plan"))
