"""What a person asks the planner for, and how it tells of its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from runner.core import documents
from runner.core.errors import UsageError
from runner.core.model_call import CacheWish, Tier
from runner.core.redaction import redact
from runner.core.text import visible

LONGEST_SAID = 20_000
Progress = Callable[[Literal["phase", "text", "note"], str], None]


def check_said(what: str, text: str) -> None:
    """Raise UsageError for words that no plan can hold, or that look like a secret."""
    if not text.strip():
        raise UsageError(f"{what} is empty")
    if len(text) > LONGEST_SAID:
        raise UsageError(f"{what} has {len(text)} characters; at most {LONGEST_SAID}")
    try:
        documents.dump({what: text})
        text.encode()
    except ValueError as error:  # of which an encoding error is one
        raise UsageError(f"{what}: {visible(str(error))}", hint="type it again, plainly") from error
    found = redact(text).names
    if found:
        message = f"{what} holds what looks like a secret: {', '.join(found)}"
        raise UsageError(message, hint="name where the secret is kept, not the secret")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A goal, or a change to a plan (`change`), with what binds files and models.

    `author` asks for it and `prompter` wrote the goal, where that is not who signs.
    """

    goal: str
    change: str = ""
    project: str = ""
    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    model: str | None = None
    tier: Tier = "auto"
    timeout_s: int = 600
    cache: CacheWish = field(default_factory=CacheWish)
    author: str = ""
    prompter: str = ""

    @property
    def whole(self) -> str:
        """What a draft is told of the purpose."""
        return f"{self.goal}\nAnd now: {self.change}" if self.change else self.goal
