from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from github_server import Answers

from runner.core.errors import ForgeDenied, ForgeError, ForgeLimited, ForgeUnclear
from runner.github import wire
from runner.github.auth import App, Token

PATH = "/repos/acme/shop/pulls/1"


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_that_stumbles_is_asked_again(self, answers: Answers, status: int) -> None:
        """A few times, with growing pauses."""
        answers.say(status).say(status).say(body={"number": 1})
        assert answers.wire().get(PATH) == {"number": 1}
        assert answers.slept == list(wire.WAITS)

    def test_a_connection_that_breaks_is_tried_again(self, answers: Answers) -> None:
        """Where the request changes nothing."""
        answers.hang_up().say(body={})
        assert answers.wire().get(PATH) == {}

    def test_a_server_that_stays_down_is_given_up(self, answers: Answers) -> None:
        """With what it said, and what was asked."""
        answers.say(502)
        with pytest.raises(ForgeError, match="HTTP 502") as caught:
            answers.wire().get(PATH)
        assert caught.value.code == "forge_failed"
        assert len(answers.came) == 1 + len(wire.WAITS)

    @pytest.mark.parametrize("broken", [True, False])
    def test_what_creates_is_not_sent_twice(self, answers: Answers, *, broken: bool) -> None:
        """It may have arrived, though no answer came."""
        (answers.hang_up() if broken else answers.say(502)).say(201, {"id": 1})
        with pytest.raises(ForgeError):
            answers.wire().send("POST", f"{PATH}/comments", {"body": "x"})
        assert len(answers.came) == 1

    def test_what_brings_up_to_date_is(self, answers: Answers) -> None:
        """Doing it twice is doing it once."""
        answers.say(502).say(body={"id": 1})
        assert answers.wire().send("PATCH", PATH, {"body": "x"}) == {"id": 1}


class TestLimits:
    def test_retry_after_is_obeyed(self, answers: Answers) -> None:
        """A POST too: it was refused, so it did not arrive."""
        answers.say(429, retry_after="7").say(201, {"id": 1})
        assert answers.wire().send("POST", PATH, {}) == {"id": 1}
        assert answers.slept == [7.0]

    def test_the_primary_limit_is_waited_out_if_short(self, answers: Answers) -> None:
        """Until the moment that the server names."""
        reset = str(int(answers.now) + 30)
        answers.say(403, x_ratelimit_remaining="0", x_ratelimit_reset=reset).say(body={})
        answers.wire().get(PATH)
        assert answers.slept == [31.0]

    def test_a_long_limit_is_an_error_of_its_own(self, answers: Answers) -> None:
        """Nobody waits an hour in a job."""
        reset = str(int(answers.now) + 3000)
        answers.say(403, x_ratelimit_remaining="0", x_ratelimit_reset=reset)
        with pytest.raises(ForgeLimited):
            answers.wire().get(PATH)
        assert answers.slept == []

    def test_a_secondary_limit_is_known_by_its_words(self, answers: Answers) -> None:
        """GitHub tells of it in the message alone."""
        said = {"message": "You have exceeded a secondary rate limit"}
        answers.say(403, said).say(body={})
        answers.wire().get(PATH)
        assert answers.slept == [60.0]

    def test_limits_are_not_waited_for_ever(self, answers: Answers) -> None:
        """After a few the job ends."""
        answers.say(429, retry_after="1")
        with pytest.raises(ForgeLimited):
            answers.wire().get(PATH)
        assert len(answers.slept) == wire.MOST_LIMITS


class TestAnswers:
    def test_unchanged_answers_are_remembered(self, answers: Answers) -> None:
        """A 304 gives what came before."""
        answers.say(body={"number": 1}, etag='"one"').say(304)
        asked = answers.wire()
        assert asked.get(PATH) == asked.get(PATH) == {"number": 1}
        assert "if-none-match" not in answers.came[0].headers
        assert answers.came[1].headers["if-none-match"] == '"one"'

    @pytest.mark.parametrize("body", [b"{", b"<html>", b"\xff", b"[" * 100_000])
    def test_what_is_no_json_is_unclear(self, answers: Answers, body: bytes) -> None:
        """Cut, of another kind, or made to break the parser."""
        answers.say(200, body)
        with pytest.raises(ForgeUnclear):
            answers.wire().get(PATH)

    def test_an_enormous_answer_is_unclear(self, answers: Answers) -> None:
        """No more is read than anybody needs."""
        answers.say(200, b" " * (wire.MAX_BODY + 1))
        with pytest.raises(ForgeUnclear, match="more than"):
            answers.wire().get(PATH)

    def test_a_token_that_nobody_knows(self, answers: Answers) -> None:
        """Permissions would not help it."""
        answers.say(401, {"message": "Bad credentials"}, x_accepted_github_permissions="a=read")
        with pytest.raises(ForgeDenied, match="Bad credentials") as caught:
            answers.wire().get(PATH)
        assert "wrong or has expired" in caught.value.hint

    @pytest.mark.parametrize("status", [403, 404])
    def test_what_is_hidden_or_forbidden(self, answers: Answers, status: int) -> None:
        """With the permission that the server asks for."""
        answers.say(
            status,
            {"message": "Resource not accessible"},
            x_accepted_github_permissions="checks=write",
        )
        with pytest.raises(ForgeDenied, match="not accessible") as caught:
            answers.wire().get(PATH)
        assert caught.value.hint == "the token needs: checks=write"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, answers: Answers, status: int) -> None:
        """The token would go along."""
        answers.say(status, location="http://elsewhere.example/")
        with pytest.raises(ForgeError, match="moved or renamed"):
            answers.wire().get(PATH)
        assert len(answers.came) == 1

    def test_the_token_is_in_no_message(self, answers: Answers) -> None:
        """Whatever the server repeats."""
        answers.say(
            422, {"message": "Bad t0ken-that-is-secret \x1b[31m", "errors": [{"code": "x"}]}
        )
        with pytest.raises(ForgeError) as caught:
            answers.wire().get(PATH)
        assert "t0ken" not in caught.value.message
        assert "\x1b" not in caught.value.message


class TestPages:
    def test_A24_all_pages_are_read(self, answers: Answers) -> None:
        """As long as there is a next one."""
        link = f'<{answers.address}{PATH}?page=2>; rel="next", <x>; rel="last"'
        answers.say(body=[{"id": 1}], link=link).say(body=[{"id": 2}])
        assert list(answers.wire().pages(PATH)) == [{"id": 1}, {"id": 2}]
        assert answers.came[0].path.endswith("per_page=100")

    def test_A24_an_error_on_page_two_is_an_error(self, answers: Answers) -> None:
        """Half a list is none."""
        link = f'<{answers.address}{PATH}?page=2>; rel="next"'
        answers.say(body=[{"id": 1}], link=link).say(404)
        with pytest.raises(ForgeDenied):
            list(answers.wire().pages(PATH))

    def test_a_next_page_elsewhere_is_not_asked(self, answers: Answers) -> None:
        """The token would go along."""
        answers.say(body=[{"id": 1}], link='<http://elsewhere.example/>; rel="next"')
        with pytest.raises(ForgeUnclear, match="another server"):
            list(answers.wire().pages(PATH))

    def test_pages_without_end_are_unclear(self, answers: Answers) -> None:
        """A server may lead in circles."""
        link = f'<{answers.address}{PATH}?page=2>; rel="next"'
        answers.say(body=[], link=link)
        with pytest.raises(ForgeUnclear, match="pages"):
            list(answers.wire().pages(PATH))

    @pytest.mark.parametrize("body", [{}, [1], "x", None])
    def test_what_is_no_list_is_unclear(self, answers: Answers, body: object) -> None:
        """Not an empty one."""
        answers.say(body=body)
        with pytest.raises(ForgeUnclear):
            list(answers.wire().pages(PATH))

    @pytest.mark.parametrize("body", [{"errors": [{"message": "no"}]}, {"data": None}, [], {}])
    def test_queries_that_failed_in_part_are_unclear(self, answers: Answers, body: object) -> None:
        """GraphQL says 200 all the same."""
        answers.say(body=body)
        with pytest.raises(ForgeUnclear):
            answers.wire().graphql("query {}", {})


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


class TestApp:
    def test_it_gets_a_token_for_its_installation(self, answers: Answers) -> None:
        """By a claim that its key signed, which the public key confirms."""
        answers.say(body={"id": 5}).say(201, {"token": "of-the-app"}).say(body={})
        answers.wire(App("12", pem(KEY))).get(PATH)
        first, second, third = answers.came
        assert first.path == "/repos/acme/shop/installation"
        assert second.path == "/app/installations/5/access_tokens"
        assert third.headers["authorization"] == "Bearer of-the-app"
        text, _, signature = first.headers["authorization"].removeprefix("Bearer ").rpartition(".")
        KEY.public_key().verify(
            _decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        claims = json.loads(_decoded(text.partition(".")[2]))
        assert claims["iss"] == "12"
        assert claims["iat"] <= answers.now < claims["exp"] <= claims["iat"] + 600

    def test_it_renews_the_token_in_time(self, answers: Answers) -> None:
        """Tokens last an hour."""
        answers.say(body={"id": 5}).say(201, {"token": "one"}).say(body={})
        asked = answers.wire(App("12", pem(KEY)))
        asked.get(PATH)
        asked.get(PATH)
        assert [each.headers["authorization"] for each in answers.came[2:]] == ["Bearer one"] * 2
        answers.now += 3400
        answers.script = []
        answers.say(body={"id": 5}).say(201, {"token": "two"}).say(body={})
        asked.get(PATH)
        assert answers.came[-1].headers["authorization"] == "Bearer two"

    def test_an_app_that_is_not_installed_is_told(self, answers: Answers) -> None:
        """As what it is: not allowed here."""
        answers.say(404, {"message": "Not Found"})
        with pytest.raises(ForgeDenied):
            answers.wire(App("12", pem(KEY))).get(PATH)

    @pytest.mark.parametrize("key", ["", "no key", pem(ec.generate_private_key(ec.SECP256R1()))])
    def test_a_key_that_cannot_sign_is_told(self, answers: Answers, key: str) -> None:
        """Without what is in it."""
        answers.say(body={})
        with pytest.raises(ForgeDenied, match="key") as caught:
            answers.wire(App("12", key)).get(PATH)
        assert "BEGIN" not in caught.value.message


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("text", ["a b", "a\nb", "é"])
def test_a_token_that_is_none_is_refused(text: str) -> None:
    """It would become another header."""
    with pytest.raises(ForgeDenied):
        Token(text)
