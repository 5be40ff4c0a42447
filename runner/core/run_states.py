"""The states of steps and runs, the table of legal transitions, and how durable a run is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

StepStatus = Literal["completed", "failed", "interrupted", "skipped"]
RunStatus = Literal[
    "pending",
    "running",
    "awaiting_approval",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "rolled_back",
]

Durability = Literal["local", "remote"]
DURABILITIES: Mapping[str, Durability] = {"local": "local", "remote": "remote"}
DONE = frozenset({"completed", "skipped"})
FAILED = frozenset({"failed", "interrupted"})
STEP_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"running", "awaiting_approval", "skipped"}),
    "awaiting_approval": frozenset({"running", "skipped"}),
    "running": frozenset({"completed", "failed", "interrupted"}),
    "failed": frozenset({"running", "skipped", "rolled_back"}),
    "interrupted": frozenset({"running", "skipped", "rolled_back"}),
    "completed": frozenset({"rolled_back"}),
    "skipped": frozenset({"rolled_back"}),
    "rolled_back": frozenset(),
}


def check_transition(before: str, after: str) -> None:
    """Raise ValueError for a transition that the table does not list."""
    if after not in STEP_TRANSITIONS[before]:
        raise ValueError(f"a step cannot go from {before} to {after}")
