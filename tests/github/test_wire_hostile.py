"""Answers that are none, and links that lead astray: an error of the forge, never another one."""

from __future__ import annotations

import gzip

import pytest
from github_app_key import PEM
from github_server import Answers

from runner.core.errors import ForgeError, ForgeLimited, ForgeUnclear
from runner.github import wire
from runner.github.auth import App, Token
from runner.github.wire import Wire

PATH = "/repos/acme/shop/pulls"


class TestBodies:
    def test_a_compressed_answer_is_not_unpacked(self, answers: Answers) -> None:
        """It was not asked for, and a small one can be a huge one."""
        bomb = gzip.compress(b"[" + b" " * (wire.MAX_BODY + 1) + b"]")
        assert len(bomb) < wire.MAX_BODY
        answers.say(200, bomb, content_encoding="gzip")
        with pytest.raises(ForgeUnclear, match="encoded"):
            answers.wire().get(PATH)

    @pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": "\\ud800"}', b"9" * 5000])
    def test_what_json_has_not_is_unclear(self, answers: Answers, body: bytes) -> None:
        """Numbers that are none, half characters, and more digits than anybody reads."""
        answers.say(200, body)
        with pytest.raises(ForgeUnclear):
            answers.wire().get(PATH)

    def test_whole_characters_may_be_written_as_two_halves(self, answers: Answers) -> None:
        """As JSON does it beyond the first 65,536."""
        answers.say(200, b'{"a": "\\ud83d\\ude00"}')
        assert answers.wire().get(PATH) == {"a": "\N{GRINNING FACE}"}

    def test_unchanged_since_never_is_unclear(self, answers: Answers) -> None:
        """There is no answer that a 304 could stand for."""
        answers.say(304)
        with pytest.raises(ForgeUnclear, match="never"):
            answers.wire().get(PATH)

    def test_an_answer_that_trickles_is_given_up(self, answers: Answers) -> None:
        """Each piece comes in time, all of them together do not."""
        answers.trickle = wire.LONGEST_ANSWER_S / 2
        answers.say(200, b"[" + b" " * 40 + b"]")
        with pytest.raises(ForgeError, match="in time"):
            answers.wire().get(PATH)
        assert len(answers.came) == 1 + len(wire.WAITS)


class TestLinks:
    @pytest.mark.parametrize(
        "about", ["rel=next", 'foo="b"; rel="next"', 'rel="last next"', 'REL="Next"']
    )
    def test_A24_a_next_page_is_found_however_it_is_told(
        self, answers: Answers, about: str
    ) -> None:
        """RFC 8288 has many ways; a page that nobody asks for would be missing unseen."""
        answers.say(body=[{"id": 1}], link=f"<{answers.address}{PATH}?page=2>; {about}")
        answers.say(body=[{"id": 2}])
        assert list(answers.wire().pages(PATH)) == [{"id": 1}, {"id": 2}]

    def test_an_address_may_be_relative(self, answers: Answers) -> None:
        """To the page that it stands on."""
        answers.say(body=[{"id": 1}], link=f'<{PATH}?page=2>; rel="next"').say(body=[])
        assert list(answers.wire().pages(PATH)) == [{"id": 1}]
        assert answers.came[1].path == f"{PATH}?page=2"

    @pytest.mark.parametrize(
        "link", ["next", '<a>; rel="next", <b>; rel="next"', '<http://[::1>; rel="next"']
    )
    def test_A24_a_next_page_that_cannot_be_read_is_unclear(
        self, answers: Answers, link: str
    ) -> None:
        """Not the end of the list."""
        answers.say(body=[{"id": 1}], link=link)
        with pytest.raises(ForgeUnclear):
            list(answers.wire().pages(PATH))

    def test_the_word_in_an_address_is_no_relation(self, answers: Answers) -> None:
        """A branch may be called next."""
        answers.say(body=[{"id": 1}], link=f'<{answers.address}/x?head=a:next>; rel="last"')
        assert list(answers.wire().pages(PATH)) == [{"id": 1}]
        assert len(answers.came) == 1

    def test_a_name_in_the_address_is_another_server(self, answers: Answers) -> None:
        """It would take the place of the token."""
        place = answers.address.replace("//", "//mallory:x@")
        answers.say(body=[], link=f'<{place}{PATH}?page=2>; rel="next"')
        with pytest.raises(ForgeUnclear, match="another server"):
            list(answers.wire().pages(PATH))

    def test_a_circle_is_noticed_at_once(self, answers: Answers) -> None:
        """No page is asked for twice."""
        address = f"{answers.address}{PATH}?page=2"
        answers.say(body=[{"id": 1}], link=f'<{address}>; rel="next"')
        with pytest.raises(ForgeUnclear, match="no end"):
            list(answers.wire().pages(PATH))
        assert len(answers.came) == 2

    def test_A24_lists_are_never_remembered(self, answers: Answers) -> None:
        """A page that did not change may go on elsewhere by now."""
        link = f'<{answers.address}{PATH}?page=2>; rel="next"'
        answers.say(body=[{"id": 1}], etag='"x"').say(body=[{"id": 1}], etag='"x"', link=link)
        answers.say(body=[{"id": 2}])
        asked = answers.wire()
        assert len(list(asked.pages(PATH))) == 1
        assert len(list(asked.pages(PATH))) == 2
        assert not any("if-none-match" in each.headers for each in answers.came)


class TestRenamed:
    @pytest.mark.parametrize("status", [301, 307, 308])
    def test_the_new_name_is_told(self, answers: Answers, status: int) -> None:
        """As the same server tells it; the request itself is not sent on."""
        answers.say(status, location=f"{answers.address}/repositories/7/pulls")
        answers.say(body={"full_name": "acme/store"})
        with pytest.raises(ForgeError, match="acme/store") as caught:
            answers.wire().get(PATH)
        assert caught.value.hint == "export PLANLOCK_FORGE=acme/store"
        assert [each.path for each in answers.came] == [PATH, "/repositories/7"]

    @pytest.mark.parametrize("place", ["http://elsewhere.example/repositories/7", "http://[", ""])
    def test_another_server_is_not_asked_for_it(self, answers: Answers, place: str) -> None:
        """The token would go along."""
        answers.say(301, location=place).say(body={"full_name": "acme/store"})
        with pytest.raises(ForgeError) as caught:
            answers.wire().get(PATH)
        assert len(answers.came) == 1
        assert caught.value.hint == "export PLANLOCK_FORGE=owner/name"

    def test_a_name_that_is_a_command_stays_a_word(self, answers: Answers) -> None:
        """The hint is there to be pasted."""
        answers.say(301, location="/repositories/7").say(body={"full_name": "a/b; reboot"})
        with pytest.raises(ForgeError) as caught:
            answers.wire().get(PATH)
        assert caught.value.hint == "export PLANLOCK_FORGE='a/b; reboot'"


class TestTokensOfApps:
    def test_a_limit_is_waited_out_and_a_stumble_forgiven(self, answers: Answers) -> None:
        """As for everything else."""
        answers.say(429, retry_after="3").say(502).say(body={"id": 5})
        answers.say(502).say(201, {"token": "of-the-app"}).say(body={})
        assert answers.wire(App("12", PEM)).get(PATH) == {}
        assert answers.came[-1].headers["authorization"] == "Bearer of-the-app"
        assert answers.slept == [3.0, wire.WAITS[0], wire.WAITS[0]]

    @pytest.mark.parametrize("number", ["../../x", 0, None, [5]])
    def test_an_installation_without_a_number_is_unclear(
        self, answers: Answers, number: object
    ) -> None:
        """It would become part of an address."""
        answers.say(body={"id": number})
        with pytest.raises(ForgeUnclear, match="no id"):
            answers.wire(App("12", PEM)).get(PATH)
        assert len(answers.came) == 1

    @pytest.mark.parametrize("token", ["a b", "a\nx: y", "é", "", 7])
    def test_a_token_that_is_no_word_is_unclear(self, answers: Answers, token: object) -> None:
        """It would become part of a header."""
        answers.say(body={"id": 5}).say(201, {"token": token}).say(body={})
        with pytest.raises(ForgeUnclear, match="no token"):
            answers.wire(App("12", PEM)).get(PATH)


def test_a_query_that_is_limited_is_told_as_that(answers: Answers) -> None:
    """GraphQL says 200 to this too."""
    answers.say(body={"errors": [{"type": "RATE_LIMITED", "message": "exceeded"}]})
    with pytest.raises(ForgeLimited):
        answers.wire().graphql("query {}", {})


@pytest.mark.parametrize(
    "url", ["http://[::1", "nowhere", "ftp://x", "http://x\n", f"http://{'a' * 70}.example"]
)
def test_an_address_that_is_none_is_told(url: str) -> None:
    """It comes from a setting, which may be wrong."""
    asked = Wire(url, "acme/shop", Token("x"), sleep=lambda _: None)
    with pytest.raises(ForgeError):
        asked.get(PATH)
    asked.close()
