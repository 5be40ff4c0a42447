"""The engine's client of a router behind HTTP: its errors, its money, and odd answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from router_service import ATTEMPT, Book, answer, app_over, raw_server, remote_clock, serving

from runner.api.router_app import Bounds
from runner.core import errors
from runner.core.errors import ModelError, NoRoute, ProviderFailed
from runner.core.model_call import Answer, Attempt, Request, StructureRequest
from runner.models.contract import Want
from runner.models.remote import RemoteModels
from runner.verbs.router import Access

TOKEN = "0123456789abcdef-token"
ATTEMPTS = (Attempt.model_validate(ATTEMPT),)


def question(text: str = "2+2?", *, most: str | None = "0.05", timeout_s: int = 5) -> Request:
    return Request.model_validate(
        {
            "messages": [{"role": "user", "content": text}],
            "budget": {"max_cost_usd": most},
            "params": {"timeout_s": timeout_s, "max_tokens": 100},
        }
    )


@contextlib.contextmanager
def remote(
    url: str, *, token: str | None = None, slept: list[float] | None = None
) -> Iterator[RemoteModels]:
    models = RemoteModels(url, clock=remote_clock(slept), token=token)
    try:
        yield models
    finally:
        models.close()


def failing(request: Request) -> Answer:
    """Raise the error whose code is asked for, with attempts where the text ends in `!`."""
    text = request.messages[0].content
    if text.rstrip("!") not in BY_CODE:
        return answer(request)
    error = BY_CODE[text.rstrip("!")]("asking m1: no\x1b[2J", hint="planlock doctor")
    error.attempts = ATTEMPTS if text.endswith("!") else ()
    raise error


BY_CODE = {each.code: each for each in ModelError.__subclasses__()} | {
    "bad_schema": errors.BadSchema
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app_over(failing)) as where:
        yield where


def test_the_answer_is_the_routers(url: str) -> None:
    """What comes back is what the router behind HTTP gave, to the field."""
    with remote(f"{url}/") as models:
        assert models.complete(question()) == answer(question())


def test_data_comes_back_and_listeners_hear_the_whole() -> None:
    """`structure` gives data; a listener hears an answer once, when it is there."""
    heard: list[str] = []
    value = {**question().model_dump(), "schema": {"type": "object"}}
    asked = StructureRequest.model_validate(value)
    with (
        serving(app_over(lambda request: answer(request, data={"n": 4}))) as where,
        remote(where) as models,
    ):
        assert models.structure(asked, on_text=heard.append).data == {"n": 4}
        models.complete(question(), on_text=heard.append)
    assert heard == ['{"n": 4}', "four"]


@pytest.mark.parametrize("code", sorted(BY_CODE))
@pytest.mark.parametrize("attempts", [0, 1])
def test_errors_are_those_of_the_router(url: str, code: str, attempts: int) -> None:
    """Class, hint, attempts and what they cost come through; nothing hidden does."""
    book = Book()
    with remote(url) as models, pytest.raises(BY_CODE[code]) as caught:
        models.complete(question(code + "!" * attempts), purse=book)
    assert type(caught.value) is BY_CODE[code]
    assert caught.value.hint == "planlock doctor"
    assert "\x1b" not in caught.value.message
    assert caught.value.attempts == ATTEMPTS[:attempts]
    unsure = code in {"timeout", "provider_error"}
    worst = book.wants[0]
    nothing = (worst.usd, worst.tokens) if unsure else (Decimal(0), 0)
    assert book.settled == [(Decimal("0.002"), 15) if attempts else nothing]


def test_money_is_set_aside_and_settled(url: str) -> None:
    """The request's own bound is the worst case; what it was is what counts."""
    book = Book()
    with remote(url) as models:
        models.complete(question(), purse=book)
    assert book.wants == [Want(usd=Decimal("0.05"), tokens=104, model="the router")]
    assert book.settled == [(Decimal("0.002"), 15)]


def test_too_little_money_asks_nobody(url: str) -> None:
    """A purse that has less than the request's bound refuses, and a request without one too."""
    with remote(url) as models:
        with pytest.raises(errors.BudgetExceeded):
            models.complete(question(most="2.00"), purse=Book())
        unbound = Book(left=None)
        models.complete(question(most=None), purse=unbound)
    assert unbound.settled == [(Decimal("0.002"), 15)]


def test_an_unknown_price_stays_unknown() -> None:
    """A cost that the router does not know is settled as unknown, never as nothing."""
    unknown = {**ATTEMPT, "cost": {"amount": None, "status": "unknown"}}

    def act(request: Request) -> Answer:
        return Answer.model_validate({**answer(request).model_dump(), "attempts": [unknown]})

    book = Book()
    with serving(app_over(act)) as where, remote(where) as models:
        models.complete(question(), purse=book)
    assert book.settled == [(None, 15)]


def test_a_router_that_does_not_run_is_told_with_the_command_that_starts_it() -> None:
    """A refused connection costs nothing and names the address, without a password in it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    book = Book()
    with (
        remote(f"http://me:secret@127.0.0.1:{port}") as models,
        pytest.raises(ProviderFailed, match=f"127.0.0.1:{port}: it does not answer") as caught,
    ):
        models.complete(question(), purse=book)
    assert caught.value.hint == "planlock router serve"
    assert "secret" not in caught.value.message
    assert book.settled == [(Decimal(0), 0)]


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://[", "http://x:y"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    """A wrong setting is an error of the router's address, not a bug."""
    with remote(address) as models, pytest.raises(ProviderFailed, match="does not answer"):
        models.complete(question())


@pytest.mark.parametrize(
    "given,kind", [(None, NoRoute), ("wrong-token-wrong", NoRoute), (TOKEN, None)]
)
def test_the_token_goes_along(given: str | None, kind: type[ModelError] | None) -> None:
    """A router with a token is asked with it; without it the hint says what to set."""
    access = Access(token=TOKEN, hosts=None)
    with serving(app_over(access=access)) as where, remote(where, token=given) as models:
        if kind is None:
            assert models.complete(question()).text == "four"
            return
        with pytest.raises(kind) as caught:
            models.complete(question())
    assert "PLANLOCK_ROUTER_TOKEN" in caught.value.hint
    assert TOKEN not in str(caught.value)


def test_a_busy_router_is_asked_again() -> None:
    """While all threads are taken the client waits and comes again; then it gives up."""
    inside, go_on = threading.Event(), threading.Event()

    def act(request: Request) -> Answer:
        inside.set()
        assert go_on.wait(5)
        return answer(request)

    slept: list[float] = []
    book = Book()
    with (
        serving(app_over(act, bounds=Bounds(calls=1))) as where,
        remote(where, slept=slept) as models,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(models.complete, question())
        assert inside.wait(5)
        with pytest.raises(errors.RateLimited, match="calls run"):
            models.complete(question(), purse=book)
        go_on.set()
        assert first.result(5).text == "four"
        assert models.complete(question()).text == "four"
    assert len(slept) == 4
    assert book.settled == [(Decimal(0), 0)]


@pytest.mark.parametrize("left,most", [("0.30", "0.30"), ("100", "1.00")])
def test_a_broken_answer_never_costs_all_that_is_left(left: str, most: str) -> None:
    """A request that names no bound gets one where money is bounded: that is the worst case."""
    book = Book(left)
    bad = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>"
    with raw_server(bad) as where, remote(where) as models, pytest.raises(ProviderFailed):
        models.complete(question(most=None), purse=book)
    assert book.settled == [(Decimal(most), 104)]


def test_data_that_does_not_satisfy_is_no_answer() -> None:
    """The schema is checked here once more; what was asked is paid all the same."""
    value = {**question().model_dump(), "schema": {"type": "object", "required": ["n"]}}
    asked, book = StructureRequest.model_validate(value), Book()
    with (
        serving(app_over(lambda request: answer(request, data={"m": "\x1b"}))) as where,
        remote(where) as models,
        pytest.raises(errors.SchemaViolation, match="'n' is a required property") as caught,
    ):
        models.structure(asked, purse=book)
    assert caught.value.attempts == ATTEMPTS
    assert book.settled == [(Decimal("0.002"), 15)]


def test_an_answer_without_a_text_is_none() -> None:
    """Whoever asked for a text gets one or an error."""
    without = answer(question()).model_copy(update={"text": None})
    with (
        serving(app_over(lambda _: without)) as where,
        remote(where) as models,
        pytest.raises(ProviderFailed, match="without a text") as caught,
    ):
        models.complete(question())
    assert caught.value.attempts == ATTEMPTS


def test_what_the_router_says_of_trying_again_is_believed() -> None:
    """An error whose class may pass by itself may be one that does not."""

    def act(_: Request) -> Answer:
        error = ProviderFailed("asking m1: no such model")
        error.retryable = False
        raise error

    with serving(app_over(act)) as where, remote(where) as models:
        with pytest.raises(ProviderFailed) as caught:
            models.complete(question())
        assert not caught.value.retryable


@pytest.mark.parametrize(
    "response,what",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "an answer that is none"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope", "an answer that is none"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "no whole answer"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>", "status 502"),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
            "302",
        ),
        (b"SMTP ready\r\n", "no whole answer"),
        (b"", "no whole answer"),
    ],
    ids=["empty object", "no JSON", "cut off", "HTML", "redirect", "no HTTP", "nothing"],
)
def test_what_is_no_router_is_told(response: bytes, what: str) -> None:
    """An odd answer is an error of the provider, and may have cost the worst case."""
    book = Book()
    with (
        raw_server(response) as where,
        remote(where, token=TOKEN) as models,
        pytest.raises(ProviderFailed, match=what) as caught,
    ):
        models.complete(question(), purse=book)
    assert TOKEN not in str(caught.value)
    assert book.settled == [(Decimal("0.05"), 104)]


def test_a_compressed_bomb_is_not_unpacked() -> None:
    """An answer that came compressed, which nobody asked for, is read as it came."""
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"
    with (
        raw_server(head) as where,
        remote(where) as models,
        pytest.raises(ProviderFailed, match="an answer that is none"),
    ):
        models.complete(question())
