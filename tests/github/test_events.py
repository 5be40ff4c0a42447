from __future__ import annotations

import json
from functools import cache
from typing import Any

import github_npm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.github import events
from runner.github.events import KNOWN, Event

WANTED: dict[str, set[str]] = {
    "pull_request": {"number"},
    "pull_request_target": {"number"},
    "merge_group": {"commit"},
    "pull_request_review": {"number"},
    "issue_comment": {"number", "comment"},
    "issues": {"number"},
    "workflow_run": {"branch"},
    "workflow_dispatch": set(),
}


@cache
def examples() -> dict[str, list[Any]]:
    """Payloads that GitHub really sent, by the event's name."""
    path = github_npm.folder() / "@octokit/webhooks-examples/api.github.com/index.json"
    return {each["name"]: each["examples"] for each in json.loads(path.read_bytes())}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_real_payloads_point_somewhere(name: str) -> None:
    """What we look for is in each payload that GitHub sends."""
    payloads = examples()[name.removesuffix("_target")]
    assert payloads
    for payload in payloads:
        found = events.read_event(name, payload)
        assert found is not None
        assert WANTED[name] <= {
            field for field in ("number", "comment", "branch", "commit") if getattr(found, field)
        }


def test_inputs_are_texts() -> None:
    """Of a dispatched workflow's inputs only texts are taken."""
    payload = {"inputs": {"plan": "job", "deep": {"x": 1}, "none": None}}
    found = events.read_event("workflow_dispatch", payload)
    assert found == Event(kind="workflow_dispatch", inputs={"plan": "job"})


def test_other_events_are_not_heeded() -> None:
    """Whatever they say."""
    assert events.read_event("push", {"number": 1}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("pull_request", "issue", "comment", "workflow_run", "merge_group"),
                    *("inputs", "number", "head_sha"),
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(name=st.sampled_from(sorted(KNOWN)), payload=JSON)
def test_no_payload_breaks_it(name: str, payload: Any) -> None:
    """A payload may be anything: what is no number or text is not taken for one."""
    found = events.read_event(name, payload)
    if found is not None:
        assert found.number is None or found.number > 0
        assert found.branch is None or isinstance(found.branch, str)
        assert found.commit is None or isinstance(found.commit, str)
