"""What the client makes of a server's answers: whole lists, the right people, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from github_server import Answers

from runner.core.errors import ForgeDenied, ForgeError, ForgeUnclear
from runner.core.forge import Account, Annotation, CheckRun
from runner.github import client
from runner.github.auth import Token
from runner.github.client import GitHub

BOB = Account(id=7, login="bob", is_person=True)
BIG = 3_000_000_000


@pytest.fixture
def forge(answers: Answers) -> Iterator[GitHub]:
    made = GitHub(
        "acme/shop",
        auth=Token("t"),
        url=answers.address,
        now=lambda: answers.now,
        sleep=answers.slept.append,
    )
    with closing(made):
        yield made


def review(number: int, **more: object) -> dict[str, object]:
    return {
        "id": number,
        "user": {"id": 7, "login": "bob", "type": "User"},
        "state": "APPROVED",
        "body": "",
        "commit_id": "a" * 40,
        "submitted_at": "2030-01-01T00:00:00Z",
        "html_url": "https://github.example/review",
        **more,
    }


def edits(*numbers: object, more: str = "", **fields: object) -> dict[str, Any]:
    """What GraphQL says of reviews; `more` is where the next page begins."""
    nodes = [{"fullDatabaseId": each, "lastEditedAt": None, **fields} for each in numbers]
    page = {"hasNextPage": bool(more), "endCursor": more}
    found = {"nodes": nodes, "pageInfo": page}
    return {"data": {"repository": {"pullRequest": {"reviews": found}}}}


class TestReviews:
    def test_A24_thirty_one_reviews_on_two_pages_of_both_kinds(
        self, answers: Answers, forge: GitHub
    ) -> None:
        """Every one is there, and its number may be larger than 32 bits."""
        numbers = range(BIG, BIG + 31)
        first, last = numbers[:30], numbers[30:]
        answers.say(body=edits(*map(str, first), more="x")).say(body=edits(*map(str, last)))
        link = f'<{answers.address}/repos/acme/shop/pulls/1/reviews?page=2>; rel="next"'
        answers.say(body=[review(each) for each in first], link=link)
        answers.say(body=[review(each) for each in last])
        found = forge.reviews(1)
        assert [each.id for each in found] == list(numbers)
        assert {each.edited for each in found} == {False}

    def test_an_edited_review_is_known(self, answers: Answers, forge: GitHub) -> None:
        """REST does not tell, GraphQL does."""
        answers.say(body=edits("1", lastEditedAt="2030-01-02T00:00:00Z")).say(body=[review(1)])
        assert forge.reviews(1)[0].edited is True

    @pytest.mark.parametrize(
        "rest,told", [([1], ["1", "2"]), ([1, 2], ["1"]), ([], ["1"]), ([1, 1], ["1"])]
    )
    def test_A24_two_lists_that_differ_are_unclear(
        self, answers: Answers, forge: GitHub, *, rest: list[int], told: list[str]
    ) -> None:
        """One of them is not whole, or has one twice."""
        answers.say(body=edits(*told)).say(body=[review(each) for each in rest])
        with pytest.raises(ForgeUnclear, match="differ"):
            forge.reviews(1)

    @pytest.mark.parametrize("number", [None, 5, "x", "-1", "", "\u0661", "9" * 5000])
    def test_a_review_without_a_number_is_unclear(
        self, answers: Answers, forge: GitHub, number: object
    ) -> None:
        """Nobody could say which review it is about."""
        answers.say(body=edits(number)).say(body=[review(5)])
        with pytest.raises(ForgeUnclear, match="number"):
            forge.reviews(1)

    def test_pending_reviews_need_no_twin(self, answers: Answers, forge: GitHub) -> None:
        """Only their authors see them."""
        answers.say(body=edits("1", state="PENDING")).say(body=[review(2, state="PENDING")])
        assert [each.state for each in forge.reviews(1)] == ["pending"]

    def test_a_list_that_is_none_is_unclear(self, answers: Answers, forge: GitHub) -> None:
        """Not an empty one."""
        found = edits()
        found["data"]["repository"]["pullRequest"]["reviews"]["nodes"] = None
        answers.say(body=found).say(body=[])
        with pytest.raises(ForgeUnclear, match="no list"):
            forge.reviews(1)


class TestTimeline:
    def events(self, *, first: int = 0) -> list[dict[str, object]]:
        every: Iterator[Mapping[str, object]] = (
            {"event": "commented", "id": each} for each in range(first, client.SHORTEST_PAGE)
        )
        return [dict(each) for each in every]

    def test_A06_one_that_changes_while_it_is_read_is_unclear(
        self, answers: Answers, forge: GitHub
    ) -> None:
        """Whoever deletes a comment moves the change of base to a page that was read before."""
        moved = [{"event": "base_ref_changed"}]
        link = f'<{answers.address}/repos/acme/shop/issues/1/timeline?page=2>; rel="next"'
        answers.say(body=self.events(), link=link).say(body=[])
        answers.say(body=self.events(first=1) + moved)
        with pytest.raises(ForgeUnclear, match="changed meanwhile"):
            forge.timeline(1)

    def test_a_long_one_that_stays_is_read(self, answers: Answers, forge: GitHub) -> None:
        """Twice the same is the whole."""
        answers.say(body=self.events())
        assert len(forge.timeline(1)) == client.SHORTEST_PAGE
        assert len(answers.came) == 2

    def test_a_short_one_is_asked_for_once(self, answers: Answers, forge: GitHub) -> None:
        """It came on one page."""
        answers.say(body=self.events(first=1))
        forge.timeline(1)
        assert len(answers.came) == 1


class TestRights:
    def test_a_login_that_is_somebody_else_s_by_now_has_none(
        self, answers: Answers, forge: GitHub
    ) -> None:
        """Logins can be taken over; the number is who it is."""
        user = {"id": 8, "login": "bob", "type": "User"}
        answers.say(body={"permission": "admin", "user": user})
        assert forge.rights(BOB).permission == "none"

    def test_the_same_number_has_them(self, answers: Answers, forge: GitHub) -> None:
        """Whatever it is called now."""
        user = {"id": 7, "login": "robert", "type": "User"}
        answers.say(body={"permission": "write", "user": user})
        assert forge.rights(BOB).permission == "write"

    @pytest.mark.parametrize("more", [{"permission": "owner"}, {"permission": None}, {}])
    def test_unknown_rights_are_unclear(
        self, answers: Answers, forge: GitHub, more: dict[str, object]
    ) -> None:
        """They are not guessed from their names."""
        answers.say(body={"user": {"id": 7, "login": "bob", "type": "User"}, **more})
        with pytest.raises(ForgeUnclear):
            forge.rights(BOB)

    def test_somebody_unknown_has_none(self, answers: Answers, forge: GitHub) -> None:
        """Where the repository itself is seen."""
        answers.say(404).say(body={})
        assert forge.rights(BOB).permission == "none"

    def test_a_token_that_may_not_ask_is_told(self, answers: Answers, forge: GitHub) -> None:
        """Everybody's review would seem to be without rights, and nobody would know why."""
        answers.say(403, {"message": "no"}, x_accepted_github_permissions="metadata=read")
        answers.say(body={})
        with pytest.raises(ForgeDenied) as caught:
            forge.rights(BOB)
        assert caught.value.hint == "the token needs: metadata=read"

    @pytest.mark.parametrize("state,known", [("active", True), ("pending", False)])
    def test_members_of_a_team_are_active(
        self, answers: Answers, forge: GitHub, *, state: str, known: bool
    ) -> None:
        """Whoever is only invited is none yet."""
        answers.say(body={"state": state})
        assert forge.is_in_team("acme/core", BOB) is known

    def test_a_hidden_team_has_no_members(self, answers: Answers, forge: GitHub) -> None:
        """What cannot be read does not count."""
        answers.say(404)
        assert not forge.is_in_team("acme/core", BOB)


class TestPushes:
    def test_another_order_is_unclear(self, answers: Answers, forge: GitHub) -> None:
        """What comes after an older one would not be read."""
        times = ["2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"]
        every = [
            {
                "activity_type": "push",
                "actor": None,
                "timestamp": each,
                "before": "a" * 40,
                "after": "b" * 40,
            }
            for each in times
        ]
        answers.say(body=every)
        with pytest.raises(ForgeUnclear, match="newest first"):
            forge.pushes("main")


class TestChecks:
    def test_annotations_go_by_fifty(self, answers: Answers, forge: GitHub) -> None:
        """The first with the check, the others after it; none is lost."""
        every = tuple(
            Annotation(path="p", line=each, title="t", message="m") for each in range(1, 121)
        )
        answers.say(201, {"id": 3}).say(body={"id": 3})
        check = CheckRun(
            name="planlock",
            commit="a" * 40,
            conclusion="failure",
            title="t",
            text="s",
            annotations=every,
        )
        forge.put_check(check)
        assert [each.method for each in answers.came] == ["POST", "PATCH", "PATCH"]
        sent = [each.json()["output"]["annotations"] for each in answers.came]
        assert [len(each) for each in sent] == [50, 50, 20]
        assert [each["start_line"] for some in sent for each in some] == list(range(1, 121))

    def test_a_check_that_may_have_arrived_is_not_put_twice(
        self, answers: Answers, forge: GitHub
    ) -> None:
        """The next run puts a new one."""
        answers.hang_up()
        with pytest.raises(ForgeError):
            forge.put_check(
                CheckRun(name="p", commit="a" * 40, conclusion="neutral", title="t", text="s")
            )
        assert len(answers.came) == 1
