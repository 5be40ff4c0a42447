"""What a forge tells of a pull request: facts as its server states them, each an immutable value.

Times are the server's own, in UTC, to the second; git's dates appear nowhere. What the forge does
not tell, or tells in a way that cannot be read, is None and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

ReviewState = Literal["approved", "changes_requested", "commented", "dismissed", "pending"]
PushKind = Literal["push", "force_push", "creation", "deletion", "other"]
Permission = Literal["admin", "write", "read", "none"]
CheckConclusion = Literal["success", "neutral", "failure"]
WRITERS: Final[frozenset[Permission]] = frozenset({"admin", "write"})


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account of the forge: the number is who it is, the login only what it is called now."""

    id: int
    login: str
    is_person: bool


@dataclass(frozen=True, kw_only=True)
class Tip:
    """A branch of a repository (`owner/name`, empty where it was deleted) and its commit."""

    repository: str
    branch: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    number: int
    title: str
    url: str
    author: Account | None
    head: Tip
    base: Tip
    is_open: bool
    is_merged: bool

    @property
    def is_from_fork(self) -> bool:
        return self.head.repository != self.base.repository


@dataclass(frozen=True, kw_only=True)
class Review:
    """`edited` is None where the forge does not tell whether the text was changed later."""

    id: int
    author: Account | None
    state: ReviewState
    body: str
    commit: str
    submitted_at: datetime | None
    edited: bool | None
    url: str


@dataclass(frozen=True, kw_only=True)
class Push:
    """A move of a branch that the server observed; commit ids are empty where there is none."""

    actor: Account | None
    at: datetime
    kind: PushKind
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class TimelineEvent:
    """Something that happened to a pull request or issue, as the forge names it."""

    name: str
    at: datetime | None
    actor: Account | None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment under an issue or pull request."""

    id: int
    number: int
    author: Account | None
    body: str
    created_at: datetime
    edited: bool
    url: str


@dataclass(frozen=True, kw_only=True)
class Issue:
    number: int
    title: str
    body: str
    author: Account | None
    labels: tuple[str, ...]
    is_open: bool
    url: str


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark on lines of a file, for the page that shows the change; lines count from 1."""

    path: str
    line: int
    title: str
    message: str


@dataclass(frozen=True, kw_only=True)
class CheckRun:
    """The answer of a check about one commit; `text` is Markdown."""

    name: str
    commit: str
    conclusion: CheckConclusion
    title: str
    text: str
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What a person may do in the repository, and of which of its teams (`org/team`) they are."""

    account: Account
    permission: Permission
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """All that the forge tells of a pull request that decides whose approval counts.

    `pushes` are those of the head branch, `base_pushes` those of the base since the first review
    and the one before it, both newest first; `rights` has everybody who reviewed it, by number.
    """

    pull_request: PullRequest
    reviews: tuple[Review, ...]
    pushes: tuple[Push, ...]
    base_pushes: tuple[Push, ...]
    timeline: tuple[TimelineEvent, ...]
    rights: Mapping[int, Rights]
