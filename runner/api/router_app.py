"""`POST /v1/complete` and `POST /v1/structure` over the library's router, and what watches them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from runner import __version__
from runner.api import problems, router_docs, streams
from runner.api.guard import Guard, bug
from runner.api.metrics import Metrics
from runner.api.problems import HttpRefusal
from runner.api.streams import OnText
from runner.api.threads import Busy, Threads
from runner.core.errors import ModelError, PlanlockError
from runner.core.model_call import Answer, Request, StructureRequest
from runner.core.plan import model_problems
from runner.core.text import visible
from runner.verbs.router import Access, Service

LOG = logging.getLogger("planlock.router")
_Asked = TypeVar("_Asked", bound=Request)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """`call_grace_s` is how much longer than its own time-out a call may take."""

    calls: int = 64
    body_bytes: int = 16_000_000
    body_s: float = 30
    call_grace_s: float = 15


def create(service: Service, *, access: Access, bounds: Bounds | None = None) -> FastAPI:
    """Build the app; it closes the service when it ends."""

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="planlock router",
        version=__version__,
        description=router_docs.DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        lifespan=closing,
    )
    metrics = Metrics()
    calls = _Calls(service, metrics=metrics, bounds=bounds or Bounds())
    _add_calls(app, calls)
    _add_watching(app, service, metrics)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_middleware(Guard, access=access)
    app.openapi = partial(router_docs.openapi, app)  # type: ignore[method-assign]  # FastAPI's way
    return app


def _add_calls(app: FastAPI, calls: _Calls) -> None:
    @app.post("/v1/complete", **router_docs.COMPLETE)
    async def complete(http: HttpRequest) -> Response:
        """Ask for a text."""
        return await calls.answer(http, Request, calls.service.complete)

    @app.post("/v1/structure", **router_docs.STRUCTURE)
    async def structure(http: HttpRequest) -> Response:
        """Ask for JSON that satisfies a JSON Schema (2020-12)."""
        return await calls.answer(http, StructureRequest, calls.service.structure)


def _add_watching(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/healthz", **router_docs.HEALTH)
    async def healthz() -> Response:
        """Tell that the service runs."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", **router_docs.READY)
    async def readyz() -> Response:
        """Tell whether a model is configured."""
        if why := await asyncio.to_thread(service.lacking):
            refused = problems.refusal(503, "no_route", why, hint="planlock doctor")
            return problems.respond(refused)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", **router_docs.METRICS)
    async def measured() -> Response:
        """Give counters in Prometheus' text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _no_such_thing(_http: HttpRequest, error: Exception) -> Response:
    """Answer what FastAPI itself refuses: unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = "not_found" if status == 404 else "bad_request"
    message = "no such path or method; /docs lists them"
    return problems.respond(problems.refusal(status, code, message))


class _Calls:
    """Reads requests, lets threads answer them, counts and logs how each ended."""

    def __init__(self, service: Service, *, metrics: Metrics, bounds: Bounds) -> None:
        self.service = service
        self._metrics = metrics
        self._bounds = bounds
        self._threads = Threads(bounds.calls)

    async def answer(
        self, http: HttpRequest, model: type[_Asked], act: Callable[[_Asked, OnText | None], Answer]
    ) -> Response:
        endpoint = http.url.path.rpartition("/")[2]
        started = time.perf_counter()
        try:
            request = _parse(await self._body(http), model)
        except HttpRefusal as refused:
            self._count(endpoint, "none", refused, seconds=time.perf_counter() - started)
            return problems.respond(refused)

        async def ended(on_text: OnText | None) -> Answer | HttpRefusal:
            started = time.perf_counter()
            outcome = await self._outcome(request, partial(act, request, on_text))
            self._count(endpoint, request.kind, outcome, seconds=time.perf_counter() - started)
            return outcome

        if streams.EVENTS in http.headers.get("accept", ""):
            return await streams.respond(ended)
        return streams.plain(await ended(None))

    def _count(
        self, endpoint: str, kind: str, outcome: Answer | HttpRefusal, *, seconds: float
    ) -> None:
        if isinstance(outcome, Answer):
            self._metrics.answered(endpoint, kind, outcome, seconds=seconds)
            told = f"200 {_account(outcome)}"
        else:
            error = outcome.error
            self._metrics.failed(
                endpoint, kind, error.code, attempts=error.attempts, seconds=seconds
            )
            told = f"{outcome.status} {error.code}"
        LOG.info("%s %s: %s, %.3f s", endpoint, kind, told, seconds)

    async def _outcome(self, request: Request, act: Callable[[], Answer]) -> Answer | HttpRefusal:
        try:
            return await self._ask(request, act)
        except HttpRefusal as refused:
            return refused
        except Exception as error:  # noqa: BLE001  # the edge: a bug is counted as any other end
            return bug(error)

    async def _ask(self, request: Request, act: Callable[[], Answer]) -> Answer:
        timeout_s = request.params.timeout_s + self._bounds.call_grace_s
        try:
            with self._metrics.running.track_inprogress():
                return await self._threads.run(act, timeout_s=timeout_s)
        except ModelError as error:
            raise problems.of_model_error(error) from error
        except PlanlockError as error:  # the ledger or the store
            raise problems.of_error(error) from error
        except Busy:
            message = f"{self._bounds.calls} calls run, which is as many as may at once"
            raise problems.refusal(503, "busy", message, retryable=True) from None
        except TimeoutError:
            message = f"no answer within {timeout_s:g} s"
            raise problems.refusal(504, "timeout", message, retryable=True) from None

    async def _body(self, http: HttpRequest) -> bytes:
        """Read a JSON body, which no page of another site can send here without being asked."""
        kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            message = "the body must be application/json"
            raise problems.refusal(415, "bad_request", message)
        try:
            async with asyncio.timeout(self._bounds.body_s):
                return await self._read(http)
        except TimeoutError:
            raise problems.refusal(408, "timeout", "the body did not come in time") from None
        except ClientDisconnect:
            raise problems.refusal(400, "bad_request", "the body broke off") from None

    async def _read(self, http: HttpRequest) -> bytes:
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > self._bounds.body_bytes:
                message = f"the body is longer than {self._bounds.body_bytes} bytes"
                raise problems.refusal(413, "body_too_large", message)
        return bytes(body)


def _parse(body: bytes, model: type[_Asked]) -> _Asked:
    """Read a request; what is wrong is told by place, and never by what was sent there."""
    try:
        value: Any = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise problems.refusal(400, "bad_request", f"the body is no JSON: {error}") from error
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = model_problems(error, file="body")
        told = "; ".join(f"{each.path or 'body'}: {each.message}" for each in found[:10])
        raise problems.refusal(400, "bad_request", told) from error


def _account(answer: Answer) -> str:
    cost = "unpriced" if answer.cost.amount is None else f"{answer.cost.amount} USD"
    model = f"{answer.route.provider}/{answer.route.response_model}"
    return visible(f"{answer.id} {model}, {answer.cache.status}, {cost}")
