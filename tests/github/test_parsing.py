"""GitHub's JSON as facts: what cannot be read is an error, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import ForgeUnclear
from runner.github import parsing

WHEN = "2030-01-01T00:00:00Z"
USER = {"id": 7, "login": "bob", "type": "User"}
REVIEW = {
    "id": 5,
    "user": USER,
    "state": "APPROVED",
    "body": "Fine",
    "commit_id": "a" * 40,
    "submitted_at": WHEN,
    "html_url": "https://github.example/5",
}
COMMENT = {
    "id": 6,
    "user": USER,
    "body": "Hm",
    "created_at": WHEN,
    "updated_at": WHEN,
    "issue_url": "https://github.example/issues/12",
    "html_url": "https://github.example/6",
}
TIP = {"repo": {"full_name": "acme/shop"}, "ref": "main", "sha": "a" * 40}
PULL = {
    "number": 3,
    "title": "T",
    "html_url": "https://github.example/3",
    "user": USER,
    "head": TIP,
    "base": TIP,
    "state": "open",
    "merged_at": None,
}
PUSH = {
    "actor": USER,
    "timestamp": WHEN,
    "activity_type": "push",
    "before": "a" * 40,
    "after": "b" * 40,
}
EVENT = {"event": "labeled", "created_at": WHEN, "actor": USER, "label": {"name": "planlock"}}
ISSUE = {**PULL, "body": "B", "labels": [{"name": "planlock"}, "other"]}
READERS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "pull request": (PULL, parsing.pull_request),
    "push": (PUSH, parsing.push),
    "event": (EVENT, parsing.timeline_event),
    "comment": (COMMENT, parsing.comment),
    "issue": (ISSUE, parsing.issue),
    "review": (REVIEW, lambda value: parsing.review(value, {})),
    "rights": ({"user": USER, "permission": "write"}, lambda value: parsing.permission(value, 7)),
}


class TestReviews:
    @pytest.mark.parametrize(
        "state", ["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"]
    )
    def test_states_are_those_that_are_known(self, state: str) -> None:
        """In lower case."""
        assert parsing.review({**REVIEW, "state": state}, {}).state == state.lower()

    @pytest.mark.parametrize(
        "more",
        [
            *({"state": "approved"}, {"state": "APPROVED_BY_MAGIC"}, {"state": None}),
            *({"id": None}, {"id": "5"}, {"id": True}, {"id": 0}, {"html_url": None}),
            *({"submitted_at": "yesterday"}, {"submitted_at": 5}, {"submitted_at": ""}),
            *({"user": "bob"}, {"user": {"login": "bob"}}, {"user": {"id": 7}}),
        ],
    )
    def test_what_cannot_be_read_is_unclear(self, more: dict[str, object]) -> None:
        """Unknown states, numbers that are none, times that are none, people without a number."""
        with pytest.raises(ForgeUnclear):
            parsing.review({**REVIEW, **more}, {})

    def test_what_is_not_told_is_not_guessed(self) -> None:
        """An account that is gone, no time, and nobody who says whether it was edited."""
        told = parsing.review({**REVIEW, "user": None, "submitted_at": None}, {6: False})
        assert (told.author, told.submitted_at, told.edited) == (None, None, None)


class TestPeople:
    @pytest.mark.parametrize(
        "more,is_person",
        [
            ({}, True),
            ({"type": "Bot"}, False),
            ({"type": "Organization"}, False),
            ({"type": None}, False),
            ({"login": "helpful[bot]"}, False),
        ],
    )
    def test_bots_are_no_people(self, more: dict[str, object], *, is_person: bool) -> None:
        """By their type or by their name; one of both is enough."""
        found = parsing.account({**USER, **more})
        assert found is not None
        assert found.is_person is is_person


class TestTimes:
    def test_times_are_in_utc_to_the_second(self) -> None:
        """Whatever zone the server tells them in."""
        found = parsing.moment("2030-01-01T02:00:00.75+02:00", "x")
        assert found == datetime(2030, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "told",
        [
            *("2030-13-45T00:00:00Z", "2030-01-01T24:61:00Z", "0001-01-01T00:00:00+14:00"),
            *("2030-01-01T00:00:00+99:99", "\u0662\u0660\u0663\u0660-01-01T00:00:00Z"),
            *("2030-01-01T00:00:00", "2030-01-01", "", f"{WHEN}\n", None, 5),
        ],
    )
    def test_times_that_are_none_are_unclear(self, told: object) -> None:
        """Days that do not exist, before the first year, without a zone, in other digits."""
        with pytest.raises(ForgeUnclear, match="no time"):
            parsing.moment(told, "x")


class TestComments:
    def test_a_comment_knows_its_issue(self) -> None:
        """By the end of its address."""
        assert parsing.comment(COMMENT).number == 12

    def test_another_time_means_edited(self) -> None:
        """The server keeps both."""
        assert not parsing.comment(COMMENT).edited
        assert parsing.comment({**COMMENT, "updated_at": "2030-01-01T00:00:01Z"}).edited

    @pytest.mark.parametrize("end", ["", "x", "0", "\u00b2", "-1", "9" * 5000, "12?x"])
    def test_a_comment_on_no_issue_is_unclear(self, end: str) -> None:
        """Its number would be a guess."""
        with pytest.raises(ForgeUnclear, match="no issue"):
            parsing.comment({**COMMENT, "issue_url": f"https://github.example/issues/{end}"})


ODD_TEXTS = ("2030-99-99T00:00:00Z", "0001-01-01T00:00:00+14:00", "x/\u00b2", "[bot]", "")
ODD = st.sampled_from(ODD_TEXTS) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "login", "type", "name", "repo", "ref", "sha", "full_name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_nothing_odd_breaks_a_reader(kind: str, data: st.DataObject) -> None:
    """Whatever stands in a server's fields, it becomes a fact or an error of the forge."""
    whole, read = READERS[kind]
    assert read(whole) is not None
    odd = data.draw(st.dictionaries(st.sampled_from(sorted(whole)), ODD, min_size=1, max_size=2))
    with suppress(ForgeUnclear):
        read({**whole, **odd})
