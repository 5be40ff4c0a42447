"""What a run tells while it goes on; provisional until the step is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "run_started",
    "step_started",
    "asking",
    "tick",
    "output",
    "step_finished",
    "waiting",
    "note",
    "run_finished",
]


@dataclass(frozen=True, kw_only=True)
class Event:
    kind: Kind
    plan: str
    run: int
    step: str = ""
    number: int = 0
    total: int = 0
    status: str = ""
    text: str = ""


Listener = Callable[[Event], None]
