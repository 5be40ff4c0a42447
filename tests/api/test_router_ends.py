"""Calls that take long, clients that hang up, and a service that is stopped meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from router_service import answer, app_over, serving

from runner.api import router_server
from runner.api.router_app import Bounds
from runner.core.model_call import Answer, Request

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "2+2?"}]}


class Slow:
    """A model that answers when it is told to."""

    def __init__(self) -> None:
        self.inside, self.go_on, self.done = (threading.Event() for _ in range(3))

    def __call__(self, request: Request) -> Answer:
        self.inside.set()
        assert self.go_on.wait(5)
        self.done.set()
        return answer(request)


def post(url: str, body: object = ASK, *, timeout_s: float = 5) -> httpx.Response:
    return httpx.post(f"{url}/v1/complete", json=body, timeout=timeout_s)


def test_a_call_that_does_not_end_is_given_up() -> None:
    """After its own time and some grace a call is a time-out, whatever the model does."""
    slow = Slow()
    body = {**ASK, "params": {"timeout_s": 1}}
    with serving(app_over(slow, bounds=Bounds(call_grace_s=-0.9))) as where:
        response = post(where, body)
        slow.go_on.set()
    told = response.json()
    assert (response.status_code, told["code"], told["retryable"]) == (504, "timeout", True)


def test_a_client_that_hangs_up_does_not_end_its_call() -> None:
    """The answer is paid for, so the call goes on, and is stored by the router."""
    slow = Slow()
    with serving(app_over(slow)) as url:
        with pytest.raises(httpx.ReadTimeout):
            post(url, timeout_s=0.1)
        assert slow.inside.is_set()
        slow.go_on.set()
        assert slow.done.wait(5)


def stopped_meanwhile(slow: Slow, *, stop_s: int) -> Callable[[], httpx.Response]:
    """Stop a service while it answers a call; give what the client got."""
    with ThreadPoolExecutor(1) as pool:
        with serving(app_over(slow), stop_s=stop_s) as url:
            sent = pool.submit(post, url)
            assert slow.inside.wait(5)
        return sent.result


def test_a_call_under_way_has_time_to_end() -> None:
    """A service that is stopped answers first what it was asked."""
    slow = Slow()
    threading.Timer(0.3, slow.go_on.set).start()
    assert stopped_meanwhile(slow, stop_s=5)().json()["text"] == "four"


def test_a_call_that_does_not_end_does_not_keep_the_service() -> None:
    """After its time a stopped service leaves, whatever a model still thinks about."""
    slow = Slow()
    result = stopped_meanwhile(slow, stop_s=0)
    assert not slow.done.is_set()
    slow.go_on.set()
    with pytest.raises(httpx.HTTPError):
        result().raise_for_status()


def test_answers_are_not_held_back() -> None:
    """The port is opened as TCP by name, else asyncio leaves Nagle's delay of 40 ms in place."""
    with router_server.listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
