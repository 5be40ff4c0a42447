"""The router's app under a real server on loopback, over models that a test scripts."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from runner.api import router_app, router_server
from runner.core.errors import BudgetExceeded
from runner.core.model_call import Answer, Request, StructureRequest, request_key
from runner.models.contract import Clock, Models, OnText, Purse, Want, silent
from runner.project import World
from runner.verbs.router import Access, Service
from runner.verbs.router_budgets import Budgets, SharedBudgets

HOSTS = frozenset({"127.0.0.1", "localhost"})
OPEN = Access(token=None, hosts=HOSTS)
ATTEMPT = {
    "n": 1,
    "provider": "fake",
    "model": "m1",
    "status": "ok",
    "usage": {"input_tokens": 10, "output_tokens": 5, "source": "provider"},
    "cost": {"amount": "0.002", "status": "computed", "price_source": "models.yaml"},
    "latency_ms": 3,
}


class StandIn:
    """Answers each request by a function; with a purse it takes and settles 0.002 USD."""

    def __init__(self, act: Callable[[Request], Answer], *, pieces: Sequence[str] = ()) -> None:
        self.act = act
        self.pieces = pieces
        self.closed = False

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        for each in self.pieces if on_text else ():
            (on_text or silent)(each)
        if purse is None:
            return self.act(request)
        name = purse.reserve(Want(usd=Decimal("0.002"), tokens=15, model="fake/m1"))
        answer = self.act(request)
        purse.settle(name, usd=Decimal(answer.cost.amount or 0), tokens=answer.usage.total)
        return answer

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        return self.complete(request, purse=purse, on_text=on_text)

    def close(self) -> None:
        self.closed = True


def answer(request: Request, *, text: str = "four", data: object = None) -> Answer:
    """What a model might have said, for 0.002 USD."""
    value = {
        "id": "01JDA7Q4Z0M5W8K2N3P6R00001",
        "text": None if isinstance(request, StructureRequest) else text,
        "data": data,
        "finish_reason": "stop",
        "route": {
            "provider": "fake",
            "requested_model": request.model,
            "response_model": "m1-2026",
            "reason": "the only one",
        },
        "attempts": [ATTEMPT],
        "usage": ATTEMPT["usage"],
        "cost": ATTEMPT["cost"],
        "cache": {"status": "miss", "key": request_key(request, "fake/m1")},
        "latency_ms": 3,
    }
    return Answer.model_validate(value)


def world(folder: Path, environment: Mapping[str, str] | None = None, *, day: int = 22) -> World:
    return World(
        now=lambda: datetime(2026, 11, day, 10, tzinfo=UTC),
        random=os.urandom,
        environment={"HOME": str(folder), **(environment or {})},
        folder=folder,
    )


def service_over(models: Models) -> Service:
    nowhere = Path("/nonexistent")
    return Service(models=models, budgets=SharedBudgets(world(nowhere), Budgets(), folder=nowhere))


def app_over(
    act: Callable[[Request], Answer] = answer,
    *,
    access: Access = OPEN,
    bounds: router_app.Bounds | None = None,
    pieces: Sequence[str] = (),
) -> FastAPI:
    return router_app.create(
        service_over(StandIn(act, pieces=pieces)), access=access, bounds=bounds
    )


@contextlib.contextmanager
def serving(app: FastAPI, *, stop_s: int = 2) -> Iterator[str]:
    """Run the app as `planlock router serve` does, in a thread; give its address."""
    with router_server.listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(router_server.config(app, stop_s=stop_s))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield router_server.url(listening)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            assert not thread.is_alive()


class Book:
    """A purse that writes down what happens to it."""

    def __init__(self, left: str | None = "1.00") -> None:
        self.wants: list[Want] = []
        self.settled: list[tuple[Decimal | None, int]] = []
        self._left = None if left is None else Decimal(left)

    def reserve(self, want: Want) -> str:
        if self._left is not None and (want.usd or 0) > self._left:
            raise BudgetExceeded("asking: too much")
        self.wants.append(want)
        return str(len(self.wants))

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> None:
        assert reservation == str(len(self.wants))
        self.settled.append((usd, tokens))

    def left(self) -> Decimal | None:
        return self._left


def remote_clock(slept: list[float] | None = None) -> Clock:
    """A clock that does not wait, and remembers for how long it should have."""
    return Clock(
        monotonic=time.monotonic,
        sleep=(slept if slept is not None else []).append,
        random=lambda: 0.5,
        new_id=lambda: "01JDA7Q4Z0M5W8K2N3P6R00002",
    )


@contextlib.contextmanager
def raw_server(response: bytes) -> Iterator[str]:
    """Answer one request with these bytes and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_once() -> None:
            client, _ = listening.accept()
            with client:
                client.settimeout(5)
                while b"}" not in client.recv(65536):
                    pass
                client.sendall(response)

        thread = threading.Thread(target=answer_once, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)
