"""One repository on GitHub: its pull requests as facts, and what we write there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

from runner.core.errors import ForgeDenied, ForgeUnclear
from runner.core.forge import (
    Account,
    Annotation,
    CheckRun,
    Comment,
    Conversation,
    Issue,
    PullRequest,
    Push,
    Review,
    Rights,
    TimelineEvent,
)
from runner.github import parsing, queries
from runner.github.auth import Auth
from runner.github.wire import NOT_FOUND, Wire

# A list of fewer items came on one page, whatever a server makes of our wish.
SHORTEST_PAGE: Final = 30
# GitHub takes so many a call.
_ANNOTATIONS: Final = 50
# What a check run's summary may hold.
_LONGEST_SUMMARY: Final = 65_000


class GitHub:
    """Every method asks the server; raises ForgeError or one of its kinds.

    Lists are whole, or an error. `now` gives seconds since 1970.
    """

    def __init__(
        self,
        repository: str,
        *,
        auth: Auth,
        url: str = "https://api.github.com",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.repository = repository
        self.wire = Wire(url, repository, auth, now=now, sleep=sleep)
        self._base = f"/repos/{repository}"

    def close(self) -> None:
        self.wire.close()

    def whoami(self) -> Account:
        return queries.viewer(self.wire)

    # Reading

    def pull_request(self, number: int) -> PullRequest:
        return parsing.pull_request(self._get(f"/pulls/{number}"))

    def pull_requests(self, *, branch: str, state: str = "open") -> tuple[PullRequest, ...]:
        """Those of a branch of this very repository, newest first."""
        owner = self.repository.partition("/")[0]
        found = self._pages("/pulls", head=f"{owner}:{branch}", state=state)
        every = (parsing.pull_request(each) for each in found)
        # a server that does not know the filter would list all
        return tuple(
            each
            for each in every
            if each.head.branch == branch and each.head.repository == self.repository
        )

    def reviews(self, number: int) -> tuple[Review, ...]:
        """All reviews, oldest first, each knowing whether its text was edited."""
        edits = queries.review_edits(self.wire, number)
        values = self._pages(f"/pulls/{number}/reviews")
        found = tuple(parsing.review(each, edits) for each in values)
        if sorted(each.id for each in found if each.state != "pending") != sorted(edits):
            message = f"asking GitHub for reviews of {number}: two lists of them differ"
            raise ForgeUnclear(message, hint="try again")
        return found

    def pushes(self, branch: str, *, since: datetime | None = None) -> tuple[Push, ...]:
        """What the server saw of a branch, newest first, down to the last one before `since`."""
        found = []
        path = f"{self._base}/activity"
        for value in self.wire.pages(path, ref=f"refs/heads/{branch}"):
            each = parsing.push(value)
            found.append(each)
            if since is not None and each.at < since:
                break
        if any(old.at > new.at for new, old in pairwise(found)):
            raise ForgeUnclear(f"asking GitHub for pushes of {branch}: not newest first")
        return tuple(found)

    def timeline(self, number: int) -> tuple[TimelineEvent, ...]:
        """Everything that happened, oldest first; raises ForgeUnclear where it changed meanwhile.

        Whoever deletes a comment moves what comes after it to an earlier page, which may be read
        by then.
        """
        path = f"/issues/{number}/timeline"
        values = self._pages(path)
        if len(values) >= SHORTEST_PAGE and self._pages(path) != values:
            raise ForgeUnclear(f"the timeline of {number} changed meanwhile", hint="try again")
        return tuple(parsing.timeline_event(each) for each in values)

    def rights(self, account: Account) -> Rights:
        """What an account may do here; nothing where the login is somebody else's by now."""
        path = f"/collaborators/{quote(account.login, safe='')}/permission"
        try:
            permission = parsing.permission(self._get(path), account.id)
        except ForgeDenied as error:
            # somebody whom GitHub does not know has no rights, a token without any is told of
            if error.status != NOT_FOUND:
                raise
            self._get("")
            permission = "none"
        return Rights(account=account, permission=permission)

    def is_in_team(self, team: str, account: Account) -> bool:
        """Whether an account is an active member of `org/team`; False where that is hidden."""
        organisation, _, name = team.partition("/")
        parts = [quote(each, safe="") for each in (organisation, name, account.login)]
        try:
            found = self.wire.get("/orgs/{}/teams/{}/memberships/{}".format(*parts))
        except ForgeDenied:
            return False
        return parsing.mapping(found, "a membership").get("state") == "active"

    def conversation(self, number: int) -> Conversation:
        """Everything that decides whose review counts; the pull request is read last, and twice.

        Raises ForgeUnclear where it moved meanwhile.
        """
        before = self.pull_request(number)
        reviews = self.reviews(number)
        authors = {each.author.id: each.author for each in reviews if each.author}
        times = [each.submitted_at for each in reviews if each.submitted_at]
        found = Conversation(
            pull_request=before,
            reviews=reviews,
            pushes=self.pushes(before.head.branch) if not before.is_from_fork else (),
            base_pushes=self.pushes(before.base.branch, since=min(times)) if times else (),
            timeline=self.timeline(number),
            rights={number: self.rights(each) for number, each in authors.items()},
        )
        if self.pull_request(number) != before:
            raise ForgeUnclear(f"pull request {number} changed while it was read", hint="try again")
        return found

    def comment(self, comment_id: int) -> Comment:
        return parsing.comment(self._get(f"/issues/comments/{comment_id}"))

    def comments(self, number: int) -> tuple[Comment, ...]:
        return tuple(parsing.comment(each) for each in self._pages(f"/issues/{number}/comments"))

    def issue(self, number: int) -> Issue:
        return parsing.issue(self._get(f"/issues/{number}"))

    def issue_edit(self, number: int) -> tuple[datetime, str] | None:
        """When an issue's text was edited last, and by which login; None where it never was."""
        return queries.issue_edit(self.wire, number)

    def setting(self, path: str, key: str = "") -> Any:
        """A setting below the repository's path: an object, or with `key` the list in it.

        None where there is none; raises ForgeDenied where the token may not look.
        """
        try:
            if key:
                return list(self.wire.pages(f"{self._base}{path}", key=key))
            return self.wire.get(f"{self._base}{path}")
        except ForgeDenied as error:
            if error.status == NOT_FOUND:
                return None
            raise

    # Writing

    def add_comment(self, number: int, body: str) -> Comment:
        return parsing.comment(self._send("POST", f"/issues/{number}/comments", {"body": body}))

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        path = f"/issues/comments/{comment_id}"
        return parsing.comment(self._send("PATCH", path, {"body": body}))

    def react(self, comment_id: int, content: str) -> None:
        self._send("POST", f"/issues/comments/{comment_id}/reactions", {"content": content})

    def put_check(self, check: CheckRun) -> None:
        """Tell of a commit; the newest run of a name is the one that counts."""
        head, *more = _chunks(check.annotations)
        made = self._send(
            "POST",
            "/check-runs",
            {
                "name": check.name,
                "head_sha": check.commit,
                "status": "completed",
                "conclusion": check.conclusion,
                "output": _output(check, head),
            },
        )
        for each in more:
            path = f"/check-runs/{parsing.number(made, 'id')}"
            self._send("PATCH", path, {"output": _output(check, each)})

    def open_pull_request(self, *, branch: str, base: str, title: str, body: str) -> PullRequest:
        fields = {"head": branch, "base": base, "title": title, "body": body}
        return parsing.pull_request(self._send("POST", "/pulls", fields))

    def edit_pull_request(self, number: int, *, title: str, body: str) -> PullRequest:
        path = f"/pulls/{number}"
        return parsing.pull_request(self._send("PATCH", path, {"title": title, "body": body}))

    def _get(self, path: str) -> parsing.Value:
        return parsing.mapping(self.wire.get(f"{self._base}{path}"), path)

    def _pages(self, path: str, **params: str) -> list[dict[str, Any]]:
        return list(self.wire.pages(f"{self._base}{path}", **params))

    def _send(self, method: str, path: str, body: dict[str, Any]) -> parsing.Value:
        return parsing.mapping(self.wire.send(method, f"{self._base}{path}", body), path)


def _chunks(every: tuple[Annotation, ...]) -> list[tuple[Annotation, ...]]:
    """At least one, which may be empty."""
    starts = range(0, max(1, len(every)), _ANNOTATIONS)
    return [every[start : start + _ANNOTATIONS] for start in starts]


def _output(check: CheckRun, annotations: tuple[Annotation, ...]) -> dict[str, Any]:
    return {
        "title": check.title,
        "summary": check.text[:_LONGEST_SUMMARY],
        "annotations": [
            {
                "path": each.path,
                "start_line": each.line,
                "end_line": each.line,
                "annotation_level": "failure",
                "title": each.title,
                "message": each.message,
            }
            for each in annotations
        ],
    }
