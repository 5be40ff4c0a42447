"""What a workflow is told of its event: hints where to look, of which none is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

KNOWN: Final = frozenset(
    {
        *("pull_request", "pull_request_review", "issue_comment", "issues"),
        *("pull_request_target", "merge_group", "workflow_run", "workflow_dispatch"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """`number` is of an issue or pull request, `comment` of a comment, `commit` of a merge group."""

    kind: str
    action: str = ""
    number: int | None = None
    comment: int | None = None
    branch: str | None = None
    commit: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)


def read_event(kind: str, payload: Any) -> Event | None:
    """Take out of a payload what points somewhere; None for events that we do not heed."""
    if kind not in KNOWN or not isinstance(payload, dict):
        return None
    about = payload.get("pull_request") or payload.get("issue")
    run = payload.get("workflow_run")
    inputs = payload.get("inputs")
    action = payload.get("action")
    return Event(
        kind=kind,
        action=action if isinstance(action, str) else "",
        number=_number(about, "number"),
        comment=_number(payload.get("comment"), "id") if kind == "issue_comment" else None,
        branch=_text(run, "head_branch"),
        commit=_text(payload.get("merge_group"), "head_sha"),
        inputs={
            name: value
            for name, value in (inputs if isinstance(inputs, dict) else {}).items()
            if isinstance(name, str) and isinstance(value, str)
        },
    )


def _number(value: Any, name: str) -> int | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def _text(value: Any, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
