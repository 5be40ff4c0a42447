"""The facts of the simulator in the shapes of GitHub's REST API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runner.simulator import shapes_fields
from runner.simulator.state import (
    Account,
    Check,
    Comment,
    Event,
    Pull,
    Push,
    Review,
    State,
    Thread,
)

_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_ASSOCIATION = {"admin": "OWNER", "write": "MEMBER", "read": "CONTRIBUTOR", "none": "NONE"}


class Shapes:
    """Writes addresses as of the server at `address`."""

    def __init__(self, state: State, address: str) -> None:
        self._state = state
        self._api = f"{address}/repos/{state.repository}"
        self._page = f"{address}/{state.repository}"
        self._address = address

    def account(self, who: Account | None) -> dict[str, Any] | None:
        if who is None:
            return None
        api = f"{self._address}/users/{who.login}"
        names = (
            *("followers", "following", "gists", "starred", "subscriptions", "organizations"),
            *("repos", "events", "received_events"),
        )
        return {
            "login": who.login,
            "id": who.id,
            "node_id": f"U_{who.id}",
            "avatar_url": f"{self._address}/avatars/{who.id}",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self._address}/{who.login}",
            "type": who.kind,
            "site_admin": False,
            **{f"{name}_url": f"{api}/{name}" for name in names},
        }

    def repository(self) -> dict[str, Any]:
        owner, _, name = self._state.repository.partition("/")
        return {
            **shapes_fields.of_repository(self._api, self._page),
            "id": 1,
            "node_id": "R_1",
            "name": name,
            "full_name": self._state.repository,
            "owner": self.account(self._state.accounts[owner]),
            "private": True,
            "html_url": self._page,
            "url": self._api,
            "fork": False,
            "default_branch": self._state.settings.get("default_branch", "main"),
            "allow_merge_commit": True,
            "allow_squash_merge": True,
            "allow_rebase_merge": True,
        }

    def pull(self, thread: Thread, pull: Pull) -> dict[str, Any]:
        number = thread.number
        base = self._state.refs.get(f"refs/heads/{pull.base}", "0" * 40)
        return {
            **shapes_fields.of_pull(self._api, self._page, number, pull.head),
            "id": 10_000 + number,
            "node_id": f"PR_{number}",
            "number": number,
            "url": f"{self._api}/pulls/{number}",
            "html_url": f"{self._page}/pull/{number}",
            "state": "open" if thread.is_open else "closed",
            "locked": False,
            "draft": False,
            "title": thread.title,
            "body": thread.body,
            "user": self.account(thread.author),
            "labels": [],
            "author_association": _ASSOCIATION[thread.author.permission],
            "created_at": when(thread.created_at),
            "updated_at": when(thread.created_at),
            "closed_at": None,
            "merged_at": when(thread.created_at) if pull.is_merged else None,
            "merged": pull.is_merged,
            "head": self._tip(pull.repository, pull.branch, pull.head),
            "base": self._tip(self._state.repository, pull.base, base),
        }

    def _tip(self, repository: str, branch: str, commit: str) -> dict[str, Any]:
        owner, _, name = repository.partition("/")
        repo = {**self.repository(), "name": name, "full_name": repository}
        repo["fork"] = repository != self._state.repository
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": commit,
            "user": self.account(self._state.accounts.get(owner)),
            "repo": repo if repository else None,
        }

    def review(self, thread: Thread, review: Review) -> dict[str, Any]:
        number = thread.number
        page = f"{self._page}/pull/{number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.account(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": f"{self._api}/pulls/{number}",
            "_links": {
                "html": {"href": page},
                "pull_request": {"href": f"{self._api}/pulls/{number}"},
            },
            "submitted_at": when(review.submitted_at),
            "commit_id": review.commit,
            "author_association": _ASSOCIATION[review.author.permission],
        }

    def comment(self, thread: Thread, comment: Comment) -> dict[str, Any]:
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": f"{self._api}/issues/comments/{comment.id}",
            "html_url": f"{self._page}/issues/{thread.number}#issuecomment-{comment.id}",
            "issue_url": f"{self._api}/issues/{thread.number}",
            "body": comment.body,
            "user": self.account(comment.author),
            "created_at": when(comment.created_at),
            "updated_at": when(comment.updated_at),
            "author_association": _ASSOCIATION[comment.author.permission],
        }

    def issue(self, thread: Thread) -> dict[str, Any]:
        number = thread.number
        api = f"{self._api}/issues/{number}"
        found: dict[str, Any] = {
            "id": 20_000 + number,
            "node_id": f"I_{number}",
            "number": number,
            "url": api,
            "repository_url": self._api,
            "labels_url": f"{api}/labels{{/name}}",
            "comments_url": f"{api}/comments",
            "events_url": f"{api}/events",
            "html_url": f"{self._page}/issues/{number}",
            "title": thread.title,
            "body": thread.body,
            "user": self.account(thread.author),
            "state": "open" if thread.is_open else "closed",
            "locked": False,
            "labels": [self._label(each) for each in thread.labels],
            "assignee": None,
            "milestone": None,
            "comments": len(thread.comments),
            "created_at": when(thread.created_at),
            "updated_at": when(thread.created_at),
            "closed_at": None,
            "author_association": _ASSOCIATION[thread.author.permission],
        }
        if thread.pull:
            found["pull_request"] = {"url": f"{self._api}/pulls/{number}"}
        return found

    def _label(self, name: str) -> dict[str, Any]:
        return {
            "id": 1,
            "node_id": "LA_1",
            "url": f"{self._api}/labels/{name}",
            "name": name,
            "color": "ededed",
            "default": False,
            "description": None,
        }

    def event(self, event: Event) -> dict[str, Any]:
        found: dict[str, Any] = {"event": event.name, **event.more}
        if event.at is not None:
            name = "submitted_at" if event.name == "reviewed" else "created_at"
            found |= {name: when(event.at), "actor": self.account(event.actor)}
        return found

    def push(self, push: Push) -> dict[str, Any]:
        return {
            "id": push.id,
            "node_id": f"PSH_{push.id}",
            "before": push.before,
            "after": push.after,
            "ref": push.ref,
            "timestamp": when(push.at),
            "activity_type": push.kind,
            "actor": self.account(push.actor),
        }

    def check(self, check: Check) -> dict[str, Any]:
        output = {
            **check.output,
            "text": None,
            "annotations_count": len(check.output["annotations"]),
            "annotations_url": f"{self._api}/check-runs/{check.id}/annotations",
        }
        return {
            **shapes_fields.of_check(self._api, self._page, check.id),
            "id": check.id,
            "node_id": f"CR_{check.id}",
            "head_sha": check.commit,
            "name": check.name,
            "status": "completed",
            "conclusion": check.conclusion,
            "output": output,
            "html_url": f"{self._page}/runs/{check.id}",
        }


def reaction(number: int, who: dict[str, Any] | None, content: str) -> dict[str, Any]:
    return {
        "id": number,
        "node_id": f"REA_{number}",
        "user": who,
        "content": content,
        "created_at": shapes_fields.THEN,
    }


def state_of(event: str) -> str:
    """What a review submitted so is listed as."""
    return _STATES[event]


def when(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
