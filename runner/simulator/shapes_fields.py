"""Fields that GitHub always sends and planlock never reads: whoever checks shapes misses none."""

from __future__ import annotations

from typing import Any

# Addresses below that of a repository, named `…_url`.
_ADDRESSES = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits"),
    *("compare", "contents", "contributors", "deployments", "downloads", "events", "forks"),
    *("git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues"),
    *("keys", "labels", "languages", "merges", "milestones", "notifications", "pulls", "releases"),
    *("stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees"),
)
_COUNTS = (
    *("forks", "forks_count", "network_count", "open_issues", "open_issues_count", "size"),
    *("stargazers_count", "subscribers_count", "watchers", "watchers_count"),
)
_ABILITIES = (
    *("archived", "disabled", "has_discussions", "has_downloads", "has_issues", "has_pages"),
    *("has_projects", "has_wiki"),
)
_NOTHING = ("description", "homepage", "language", "license", "mirror_url")
THEN = "2026-01-01T00:00:00Z"


def of_repository(api: str, page: str) -> dict[str, Any]:
    return {
        **{f"{name}_url": f"{api}/{name}" for name in _ADDRESSES},
        **dict.fromkeys(_COUNTS, 0),
        **dict.fromkeys(_ABILITIES, False),
        **dict.fromkeys(_NOTHING),
        **{f"{name}_url": f"{page}.git" for name in ("clone", "git", "ssh", "svn")},
        **{f"{name}_at": THEN for name in ("created", "pushed", "updated")},
        "visibility": "private",
        "permissions": {"admin": False, "push": True, "pull": True},
    }


def of_pull(api: str, page: str, number: int, commit: str) -> dict[str, Any]:
    own = f"{api}/pulls/{number}"
    addresses = {
        "html": f"{page}/pull/{number}",
        "self": own,
        "issue": f"{api}/issues/{number}",
        "comments": f"{api}/issues/{number}/comments",
        "commits": f"{own}/commits",
        "review_comments": f"{own}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "statuses": f"{api}/statuses/{commit}",
    }
    counts = ("additions", "changed_files", "comments", "commits", "deletions", "review_comments")
    nothing = (
        *("active_lock_reason", "assignee", "auto_merge", "merge_commit_sha", "mergeable"),
        *("merged_by", "milestone", "rebaseable"),
    )
    return {
        **{f"{name}_url": address for name, address in addresses.items() if name != "self"},
        "_links": {name: {"href": address} for name, address in addresses.items()},
        "diff_url": f"{page}/pull/{number}.diff",
        "patch_url": f"{page}/pull/{number}.patch",
        **dict.fromkeys(counts, 0),
        **dict.fromkeys(nothing),
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "mergeable_state": "unknown",
        "maintainer_can_modify": False,
    }


def of_check(api: str, page: str, number: int) -> dict[str, Any]:
    return {
        "url": f"{api}/check-runs/{number}",
        "details_url": f"{page}/runs/{number}",
        "external_id": "",
        "started_at": THEN,
        "completed_at": THEN,
        "check_suite": {"id": 1},
        "app": None,
        "pull_requests": [],
    }
