"""What a forge remembers: accounts, pull requests, reviews, comments, checks, all in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = timedelta(seconds=1)
# GitHub's numbers are beyond 32 bits by now.
FIRST_ID = 3_000_000_000


class Refusal(Exception):
    """An answer that is an error, as HTTP has it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Account:
    id: int
    login: str
    kind: str = "User"
    permission: str = "none"
    teams: set[str] = field(default_factory=set)
    reads_only: bool = False

    @property
    def token(self) -> str:
        return f"simulated-{self.login}"


@dataclass
class Review:
    id: int
    author: Account
    state: str
    body: str
    commit: str
    submitted_at: datetime
    edited_at: datetime | None = None


@dataclass
class Event:
    """One entry of a timeline; `more` are fields of its kind."""

    name: str
    at: datetime | None
    actor: Account | None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Comment:
    id: int
    author: Account
    body: str
    created_at: datetime
    updated_at: datetime
    reactions: list[tuple[Account, str]] = field(default_factory=list)


@dataclass
class Thread:
    """An issue, or with `pull` a pull request: both are numbered together."""

    number: int
    author: Account
    title: str
    body: str
    created_at: datetime
    is_open: bool = True
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    pull: Pull | None = None
    edited_at: datetime | None = None
    editor: Account | None = None


@dataclass
class Pull:
    """`repository` is that of the head, another one for a fork."""

    repository: str
    branch: str
    base: str
    head: str
    reviews: list[Review] = field(default_factory=list)
    is_merged: bool = False


@dataclass
class Push:
    id: int
    actor: Account
    at: datetime
    kind: str
    ref: str
    before: str
    after: str


@dataclass
class Check:
    id: int
    name: str
    commit: str
    conclusion: str
    output: dict[str, Any]
    author: Account


@dataclass
class Fault:
    """Answers that go wrong: the next `times` requests that fit, after `skip` that do not.

    With `is_done` what was asked for has happened, and only its answer is lost.
    """

    pattern: str
    times: int = 1
    skip: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    hangs_up: bool = False
    is_done: bool = False


class State:
    """The whole forge. Whoever reads or changes it holds `lock`; ids count up.

    No two events have the same second unless `together` is set, which holds the clock.
    """

    def __init__(self, repository: str, now: Callable[[], datetime]) -> None:
        self.repository = repository
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.threads: dict[int, Thread] = {}
        self.pushes: list[Push] = []
        self.checks: list[Check] = []
        self.faults: list[Fault] = []
        self.settings: dict[str, Any] = {}
        self.refs: dict[str, str] = {}
        self.together = False
        self._now = now
        self._last = now().astimezone(UTC).replace(microsecond=0)
        self._ids = FIRST_ID
        owner = self.account(repository.partition("/")[0], permission="admin")
        self.pusher = owner

    def tick(self) -> datetime:
        """The time of the next event, by this server's clock."""
        if not self.together:
            found = self._now().astimezone(UTC).replace(microsecond=0)
            self._last = max(found, self._last + SECOND)
        return self._last

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def account(self, login: str, **fields: Any) -> Account:
        """Somebody, who is there from now on."""
        found = self.accounts.get(login)
        if found is None:
            number = fields.pop("id", None) or 1000 + len(self.accounts)
            found = self.accounts[login] = Account(id=number, login=login)
        for name, value in fields.items():
            setattr(found, name, value)
        return found

    def of_token(self, token: str) -> Account:
        for account in self.accounts.values():
            if account.token == token:
                return account
        raise Refusal(401, "Bad credentials")

    def thread(self, number: int) -> Thread:
        if number not in self.threads:
            raise Refusal(404, "Not Found")
        return self.threads[number]

    def pull(self, number: int) -> tuple[Thread, Pull]:
        found = self.thread(number)
        if found.pull is None:
            raise Refusal(404, "Not Found")
        return found, found.pull

    def comment(self, number: int) -> tuple[Thread, Comment]:
        for thread in self.threads.values():
            for comment in thread.comments:
                if comment.id == number:
                    return thread, comment
        raise Refusal(404, "Not Found")

    def next_number(self) -> int:
        return max(self.threads, default=0) + 1
