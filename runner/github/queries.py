"""The queries of GraphQL: what the REST API does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from runner.core.errors import ForgeUnclear
from runner.core.forge import Account
from runner.github import parsing
from runner.github.wire import MAX_PAGES, Wire

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
VIEWER: Final = "query planlockViewer { viewer { login databaseId } }"
EDITS: Final = """\
query planlockReviewEdits($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviews(first: 100, after: $after) {
        nodes { fullDatabaseId lastEditedAt state }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}"""


def viewer(wire: Wire) -> Account:
    """Whose token it is; a workflow's own token is the account of GitHub Actions."""
    found = _within(wire.graphql(VIEWER, {}), "viewer")
    login, number = found.get("login"), found.get("databaseId")
    if not isinstance(login, str) or not isinstance(number, int):
        raise ForgeUnclear("asking GitHub who we are: an answer without a number")
    return Account(id=number, login=login, is_person=not login.endswith("[bot]"))


def review_edits(wire: Wire, number: int) -> dict[int, bool]:
    """Whether the text of each review was edited, by the review's number; every page."""
    owner, name = wire.repository.split("/", 1)
    variables: dict[str, Any] = {"owner": owner, "name": name, "number": number, "after": None}
    edits: dict[int, bool] = {}
    for _ in range(MAX_PAGES):
        found = _within(wire.graphql(EDITS, variables), "repository", "pullRequest", "reviews")
        edits |= _edits(found.get("nodes"))
        page = _within(found, "pageInfo")
        if page.get("hasNextPage") is False:
            return edits
        variables["after"] = page.get("endCursor")
    raise ForgeUnclear(f"asking GitHub for reviews: more than {MAX_PAGES} pages")


def _edits(nodes: Any) -> dict[int, bool]:
    """Those of a page; pending reviews, which only their authors see, are left out."""
    if not isinstance(nodes, list):
        raise ForgeUnclear("asking GitHub for reviews: an answer that is no list")
    return {
        _big_number(each.get("fullDatabaseId")): each.get("lastEditedAt") is not None
        for each in (_within(node) for node in nodes)
        if each.get("state") != "PENDING"
    }


def _big_number(value: Any) -> int:
    """A BigInt, which GraphQL writes as text: numbers of reviews are beyond 32 bits."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ForgeUnclear("asking GitHub for reviews: one without a number")
    return int(value)


def _within(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise ForgeUnclear(f"asking GitHub: an answer without {'.'.join(names)}")
    return value


ISSUE: Final = """\
query planlockIssue($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) { lastEditedAt editor { login } }
  }
}"""


def issue_edit(wire: Wire, number: int) -> tuple[datetime, str] | None:
    """When the text of an issue was edited last, and the login of who did it; None where never."""
    owner, name = wire.repository.split("/", 1)
    data = wire.graphql(ISSUE, {"owner": owner, "name": name, "number": number})
    found = _within(data, "repository", "issue")
    if found.get("lastEditedAt") is None:
        return None
    editor = found.get("editor")
    login = editor.get("login") if isinstance(editor, dict) else None
    return parsing.moment(found["lastEditedAt"], "lastEditedAt"), str(login or "")
