"""Answers that are heard while they are written, from the server's side and the client's."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import httpx
import pytest
from router_service import ATTEMPT, Book, answer, app_over, raw_server, remote_clock, serving

from runner.core.errors import ProviderFailed, RateLimited, SchemaViolation
from runner.core.model_call import Answer, Attempt, Request
from runner.models.remote import RemoteModels

PIECES = ("fo", "ur", "\n\u2028 öß\r\n")
ASK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "2+2?"}],
    "budget": {"max_cost_usd": "0.05"},
}
QUESTION = Request.model_validate(ASK)
STREAM = {"accept": "text/event-stream"}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = response.content.decode().split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def failing(_request: Request) -> Answer:
    error = SchemaViolation("asking m1: $.n is missing")
    error.attempts = (Attempt.model_validate({**ATTEMPT, "status": "invalid"}),)
    raise error


def test_pieces_come_before_the_answer() -> None:
    """Each piece is an event, the answer the last one; without the header it is one body."""
    with serving(app_over(pieces=PIECES)) as url:
        streamed = httpx.post(f"{url}/v1/complete", json=ASK, headers=STREAM)
        whole = httpx.post(f"{url}/v1/complete", json=ASK)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(streamed)
    assert pieces == [{"text": each} for each in PIECES]
    assert Answer.model_validate(last["answer"]) == answer(QUESTION)
    assert whole.json() == last["answer"]


def test_what_has_no_pieces_is_answered_in_one_piece() -> None:
    """A stored answer and an early error have their status, as without a stream."""
    with serving(app_over()) as url:
        stored = httpx.post(f"{url}/v1/complete", json=ASK, headers=STREAM)
    with serving(app_over(failing)) as url:
        refused = httpx.post(f"{url}/v1/complete", json=ASK, headers=STREAM)
        wrong = httpx.post(f"{url}/v1/complete", json={}, headers=STREAM)
    assert stored.headers["content-type"] == "application/json"
    assert [each.status_code for each in (stored, refused, wrong)] == [200, 422, 400]


def test_an_error_after_pieces_is_the_last_event() -> None:
    """The problem document ends a stream that has begun, and is counted."""
    with serving(app_over(failing, pieces=PIECES)) as url:
        streamed = httpx.post(f"{url}/v1/complete", json=ASK, headers=STREAM)
        counted = httpx.get(f"{url}/metrics").text
    last = events(streamed)[-1]["problem"]
    assert (last["status"], last["code"]) == (422, "schema_violation")
    assert 'status="schema_violation"} 1.0' in counted


def test_the_client_hears_what_the_router_hears() -> None:
    """Pieces come while the model still writes, and the answer is the whole one."""
    heard: list[str] = []
    first_heard = threading.Event()

    def listen(text: str) -> None:
        heard.append(text)
        first_heard.set()

    def act(request: Request) -> Answer:
        assert first_heard.wait(5)
        return answer(request)

    book = Book()
    with serving(app_over(act, pieces=PIECES)) as url:
        models = RemoteModels(url, clock=remote_clock())
        assert models.complete(QUESTION, purse=book, on_text=listen) == answer(QUESTION)
        models.close()
    assert heard == list(PIECES)
    assert book.settled == [(Decimal("0.002"), 15)]


def test_the_client_raises_the_error_that_ends_a_stream() -> None:
    """Class, attempts and cost are those of an error that came at once."""
    heard: list[str] = []
    book = Book()
    with serving(app_over(failing, pieces=PIECES)) as url:
        models = RemoteModels(url, clock=remote_clock())
        with pytest.raises(SchemaViolation) as caught:
            models.complete(QUESTION, purse=book, on_text=heard.append)
        models.close()
    assert len(caught.value.attempts) == 1
    assert book.settled == [(Decimal("0.002"), 15)]
    assert heard == list(PIECES)


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"text": "a"}\n\n',
        b'data: {"text": "a"}\n\ndata: {"answer": {}}\n\n',
        b'data: {"text": "a"}\n\ndata: {"answer": nonsense\n\n',
        b'data: {"text": 7}\n\ndata: {"problem": {"status": "x"}}\n\n',
        b"data: " + b"[" * 10_000 + b"\n\n",
        b"",
    ],
    ids=["no end", "no answer", "no JSON", "no problem", "deep", "nothing"],
)
def test_a_stream_that_ends_oddly_may_have_cost_all(body: bytes) -> None:
    """A stream without its last event is a failure of the router, settled at the worst case."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}"
    book = Book()
    with raw_server(f"{head}\r\n\r\n".encode() + body) as url:
        models = RemoteModels(url, clock=remote_clock())
        with pytest.raises(ProviderFailed):
            models.complete(QUESTION, purse=book, on_text=lambda _: None)
        models.close()
    assert [usd for usd, _ in book.settled] == [Decimal("0.05")]


def test_a_listener_that_leaves_does_not_end_the_call() -> None:
    """Who hangs up in the middle has still paid; the call ends and is counted."""
    go_on, done = threading.Event(), threading.Event()

    def act(request: Request) -> Answer:
        assert go_on.wait(5)
        done.set()
        return answer(request)

    with serving(app_over(act, pieces=PIECES)) as url:
        with httpx.stream("POST", f"{url}/v1/complete", json=ASK, headers=STREAM) as response:
            next(response.iter_raw())
        go_on.set()
        assert done.wait(5)
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_an_error_by_its_class_stays_retryable() -> None:
    """What may be tried again is told the same way over HTTP."""

    def act(_request: Request) -> Answer:
        raise RateLimited("asking m1: later")

    with serving(app_over(act, pieces=PIECES)) as url:
        last = events(httpx.post(f"{url}/v1/complete", json=ASK, headers=STREAM))[-1]
    assert last["problem"]["retryable"] is True
