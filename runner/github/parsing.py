"""GitHub's JSON as facts; what cannot be read raises ForgeUnclear, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from runner.core.errors import ForgeUnclear
from runner.core.forge import (
    Account,
    Comment,
    Issue,
    Permission,
    PullRequest,
    Push,
    PushKind,
    Review,
    ReviewState,
    TimelineEvent,
    Tip,
)

_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_STATES: Final[Mapping[str, ReviewState]] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
    "DISMISSED": "dismissed",
    "PENDING": "pending",
}
_PUSHES: Final[Mapping[str, PushKind]] = {
    "push": "push",
    "force_push": "force_push",
    "branch_creation": "creation",
    "branch_deletion": "deletion",
}
_PERMISSIONS: Final = frozenset({"admin", "write", "read", "none"})
_ISSUE: Final = re.compile(r".*/([1-9][0-9]{0,17})/?", re.DOTALL)
_NO_COMMIT: Final = re.compile(r"0*")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

Value = Mapping[str, Any]


def unclear(what: str) -> ForgeUnclear:
    return ForgeUnclear(f"reading GitHub's answer: {what}")


def mapping(value: Any, what: str) -> Value:
    if not isinstance(value, dict):
        raise unclear(f"{what} is no object")
    return value


def text(value: Value, name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise unclear(f"{name} is no text")
    return found


def number(value: Value, name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise unclear(f"{name} is no number")
    return found


def moment(found: Any, name: str) -> datetime:
    """A time of the server, in UTC, to the second: what is below does not decide anything."""
    if not isinstance(found, str) or not _TIME.fullmatch(found):
        raise unclear(f"{name} is no time")
    try:
        return datetime.fromisoformat(found).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise unclear(f"{name} is no time") from None


def account(value: Any) -> Account | None:
    """Somebody, or None for an account that is gone."""
    if value is None:
        return None
    found = mapping(value, "an account")
    login = text(found, "login")
    is_person = found.get("type") == "User" and not login.endswith("[bot]")
    return Account(id=number(found, "id"), login=login, is_person=is_person)


def tip(value: Any) -> Tip:
    found = mapping(value, "a branch")
    repository = found.get("repo")
    name = text(mapping(repository, "a repository"), "full_name") if repository else ""
    return Tip(repository=name, branch=text(found, "ref"), commit=commit(found, "sha"))


def commit(value: Value, name: str) -> str:
    found = text(value, name)
    if not _COMMIT.fullmatch(found):
        raise unclear(f"{name} is no commit")
    return found


def pull_request(value: Value) -> PullRequest:
    return PullRequest(
        number=number(value, "number"),
        title=text(value, "title"),
        url=text(value, "html_url"),
        author=account(value.get("user")),
        head=tip(value.get("head")),
        base=tip(value.get("base")),
        is_open=text(value, "state") == "open",
        is_merged=value.get("merged_at") is not None,
    )


def review(value: Value, edits: Mapping[int, bool]) -> Review:
    """A review; whether it was edited is told elsewhere, by number."""
    state = _STATES.get(text(value, "state"))
    if state is None:
        raise unclear(f"a review of state {value['state']!r}")
    found, submitted = number(value, "id"), value.get("submitted_at")
    return Review(
        id=found,
        author=account(value.get("user")),
        state=state,
        body=value["body"] if isinstance(value.get("body"), str) else "",
        commit=value["commit_id"] if isinstance(value.get("commit_id"), str) else "",
        submitted_at=moment(submitted, "submitted_at") if submitted is not None else None,
        edited=edits.get(found),
        url=text(value, "html_url"),
    )


def push(value: Value) -> Push:
    return Push(
        actor=account(value.get("actor")),
        at=moment(value.get("timestamp"), "timestamp"),
        kind=_PUSHES.get(text(value, "activity_type"), "other"),
        before=_commit_or_none(value, "before"),
        after=_commit_or_none(value, "after"),
    )


def _commit_or_none(value: Value, name: str) -> str:
    return "" if _NO_COMMIT.fullmatch(text(value, name)) else commit(value, name)


def timeline_event(value: Value) -> TimelineEvent:
    """An event, whose time may be told under several names, or not at all."""
    at = value.get("created_at") or value.get("submitted_at")
    actor = value.get("actor") or value.get("user")
    label = value.get("label")
    return TimelineEvent(
        name=text(value, "event"),
        at=moment(at, "created_at") if at is not None else None,
        actor=account(actor) if isinstance(actor, dict) and "id" in actor else None,
        label=str(label.get("name", "")) if isinstance(label, dict) else "",
    )


def comment(value: Value) -> Comment:
    about = _ISSUE.fullmatch(text(value, "issue_url"))
    if about is None:
        raise unclear("a comment on no issue")
    created, updated = text(value, "created_at"), text(value, "updated_at")
    return Comment(
        id=number(value, "id"),
        number=int(about[1]),
        author=account(value.get("user")),
        body=value["body"] if isinstance(value.get("body"), str) else "",
        created_at=moment(created, "created_at"),
        edited=created != updated,
        url=text(value, "html_url"),
    )


def issue(value: Value) -> Issue:
    labels = value.get("labels")
    every = labels if isinstance(labels, list) else []
    names = [each.get("name") if isinstance(each, dict) else each for each in every]
    return Issue(
        number=number(value, "number"),
        title=text(value, "title"),
        body=value["body"] if isinstance(value.get("body"), str) else "",
        author=account(value.get("user")),
        labels=tuple(each for each in names if isinstance(each, str)),
        is_open=text(value, "state") == "open",
        url=text(value, "html_url"),
    )


def permission(value: Value, account_id: int) -> Permission:
    """What an account may do; none where the answer is about somebody else."""
    who = account(value.get("user"))
    found = text(value, "permission")
    if found not in _PERMISSIONS:
        raise unclear(f"a permission {found!r}")
    return cast("Permission", found) if who is not None and who.id == account_id else "none"
