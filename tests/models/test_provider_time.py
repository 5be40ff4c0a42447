"""Time and money of one question hold however often and slowly a server answers it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from provider_cases import SCHEMA, Served, an_ask, message, served
from provider_server import Raw, Said
from provider_server_openai import OpenAiApi

from runner.models.contract import Failure, Reply
from runner.models.degrade import Body, exchange
from runner.models.http import Wire
from runner.models.http_failures import Told, Trouble, told
from runner.models.openai_compatible import OpenAiCompatible


@pytest.fixture
def tried() -> Iterator[Served]:
    with served(OpenAiApi()) as found:
        yield found


@contextmanager
def dripping(start: bytes) -> Iterator[str]:
    """Answer with a byte of a header or a body every twentieth of a second, without end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            client, _ = listening.accept()
            with client:
                client.sendall(start)
                while not over.wait(0.05):
                    client.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "start,kind",
    [
        (b"HTTP/1.1 200 OK\r\nx-a: ", "timeout"),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 9999\r\n\r\n", "unavailable"),
    ],
    ids=["headers", "body of an error"],
)
def test_a_server_that_answers_byte_by_byte_meets_the_deadline(start: bytes, kind: str) -> None:
    """Each byte comes in time, but not the headers or the words of an error."""
    began = time.monotonic()
    with dripping(start) as url:
        provider = OpenAiCompatible("slow", Wire(url))
        with pytest.raises(Failure) as caught:
            provider.ask(an_ask(timeout_s=1), None)
        took = time.monotonic() - began
        provider.close()
    assert caught.value.kind == kind
    assert took < 3


def test_asking_with_less_takes_no_more_time() -> None:
    """All requests together have the time of one; then the refusal is what is told."""
    moment = 0.0
    lefts: list[float] = []

    def refuse(_body: Body, left_s: float) -> Reply:
        nonlocal moment
        moment += 4
        lefts.append(left_s)
        raise told(Trouble(status=400, message="not that"))

    limit = Wire("http://127.0.0.1", monotonic=lambda: moment).limit(10)
    with pytest.raises(Told) as caught:
        exchange(refuse, {}, lambda body, _: body, limit=limit)
    assert (caught.value.kind, lefts) == ("refused", [10, 6, 2])


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 1000, "completion_tokens": 9000}])
def test_what_broke_off_is_not_asked_again_with_less(tried: Served, usage: Any) -> None:
    """A model had begun: the request is paid for, and must not vanish behind a second one."""
    piece = {"choices": [{"delta": {"content": "aaaa"}}], "usage": usage}
    error = {"error": {"code": 500, "message": "the grammar engine failed"}}
    lines = b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in (piece, error))
    tried.server.give(Raw(body=lines), Said())
    failure = tried.failure(an_ask(schema=SCHEMA), stream=True)
    assert len(tried.server.seen) == 1
    assert failure.usage is not None
    counted = (failure.usage.output_tokens, failure.usage.source)
    assert counted == ((9000, "provider") if usage else (64, "estimated"))


@pytest.mark.parametrize(
    "asked,said,counts",
    [(40_000, 10, (1, 9)), (4_000, 9_000, (1000, 1))],
    ids=["prompt", "answer"],
)
def test_far_too_few_tokens_are_not_believed(
    tried: Served, asked: int, said: int, counts: tuple[int, int]
) -> None:
    """No tokens are so large: a provider that counts fewer is mistaken, or lies."""
    usage = {"prompt_tokens": counts[0], "completion_tokens": counts[1]}
    tried.server.give(Said(pieces=("x" * said,), usage=usage))
    found = tried.ask(an_ask(message("user", "y" * asked))).usage
    assert found.source == "estimated"
    assert found.input_tokens == asked // 4
    assert found.output_tokens == -(-said // 4)
