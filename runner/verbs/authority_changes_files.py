"""Policy and keys along the trusted branch: each version read once, held against the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from runner import schemas
from runner.core import policy_diff, validation
from runner.core.errors import InvalidDocument
from runner.core.policy import POLICY_PATH, SIGNERS_PATH, Policy
from runner.core.policy_diff import Difference
from runner.git import signers
from runner.git.signers import AllowedSigners
from runner.verbs import authority_changes_keys

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A commit, and the time that it says."""

    commit: str
    when: datetime | None


@dataclass(kw_only=True)
class Followed(Generic[T]):
    """One file along the branch; `last` is what it said when it last was valid."""

    path: str
    parse: Callable[[bytes], T]
    contents: Callable[[T, datetime | None], Iterable[Difference]]
    differences: Callable[[T, T, datetime | None], Iterable[Difference]]
    last: T | None = None
    last_commit: str = ""
    _read: dict[bytes, T | InvalidDocument] = field(default_factory=dict)
    _had: dict[bytes, str] = field(default_factory=dict)

    def value(self, data: bytes | None) -> T | None:
        """What the file says; None where it is absent or not valid."""
        found = self._parsed(data) if data is not None else None
        return None if isinstance(found, InvalidDocument) else found

    def _parsed(self, data: bytes) -> T | InvalidDocument:
        if data not in self._read:
            try:
                self._read[data] = self.parse(data)
            except InvalidDocument as error:
                self._read[data] = error
        return self._read[data]

    def step(self, before: bytes | None, after: bytes | None, at: Moment) -> Iterator[Difference]:
        """Say what a commit made of the file, and go on from there."""
        if before == after:
            return
        if after is None:
            yield Difference(what=f"{self.path} removed, so nothing may run")
            return
        found = self._parsed(after)
        if isinstance(found, InvalidDocument):
            what = f"{self.path} not valid, so nothing may run: {found.message}"
            yield Difference(what=what)
        else:
            yield from self._compared(found, at.when, gap=self.value(before) is None)
            self.last, self.last_commit = found, at.commit
        yield from self._again(after, at)

    def _compared(self, found: T, when: datetime | None, *, gap: bool) -> Iterator[Difference]:
        if self.last is None:
            yield from self.contents(found, when)
            return
        if gap:  # else two steps could hide what one would show
            what = f"{self.path} valid again, compared with {self.last_commit[:12]}"
            yield Difference(what=what)
        same = Difference(what=f"{self.path}: nothing but comments, order or layout")
        yield from tuple(self.differences(self.last, found, when)) or (same,)

    def _again(self, data: bytes, at: Moment) -> Iterator[Difference]:
        if data in self._had:
            yield Difference(what=f"{self.path} is again as in {self._had[data][:12]}")
        self._had[data] = at.commit


def policy_file() -> Followed[Policy]:
    schema = schemas.load("policy")

    def parse(data: bytes) -> Policy:
        return validation.read_policy(data, file=POLICY_PATH, schema=schema)[1].policy

    return Followed(
        path=POLICY_PATH,
        parse=parse,
        contents=lambda new, _: policy_diff.contents(new),
        differences=lambda old, new, _: policy_diff.differences(old, new),
    )


def signers_file() -> Followed[AllowedSigners]:
    return Followed(
        path=SIGNERS_PATH,
        parse=lambda data: signers.parse(data, file=SIGNERS_PATH),
        contents=authority_changes_keys.contents,
        differences=authority_changes_keys.differences,
    )
