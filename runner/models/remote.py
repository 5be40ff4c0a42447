"""The router behind HTTP: a running `planlock router serve`, asked as if it were in this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from runner import __version__
from runner.core import errors
from runner.core.errors import ModelError, ModelTimeout, NoRoute, ProviderFailed, SchemaViolation
from runner.core.model_call import (
    REMOTE_CALL_USD,
    Answer,
    Attempt,
    Request,
    StructureRequest,
    total_cost,
    total_usage,
)
from runner.core.text import visible
from runner.core.values import usd
from runner.models.contract import Clock, OnText, Purse, Want
from runner.models.remote_stream import EVENTS, Heard
from runner.models.structured import Form

MAX_BYTES: Final = 64_000_000
# The router keeps to the request's time; these are for the way there and back.
GRACE_S: Final = 30
CONNECT_S: Final = 10
TRIES_WHILE_BUSY: Final = 5
START: Final = "planlock router serve"
_HINTED: Final = "export PLANLOCK_ROUTER_TOKEN, the same as the router has"
_NOT_ASKED: Final = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL),
)
_NAME_AND_PASSWORD: Final = re.compile(r"//[^/]*@")
_LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_CLASSES: Final[Mapping[str, type[ModelError]]] = MappingProxyType(
    {
        each.code: each
        for each in (
            *(errors.BadRequest, errors.BadSchema, errors.BudgetExceeded, errors.PriceUnknown),
            *(errors.ReplayMiss, errors.ContextTooLong, errors.SchemaViolation, errors.RateLimited),
            *(errors.ProviderFailed, errors.NoRoute, errors.ModelTimeout),
        )
    }
)
# Refusals of the service itself, as the error whose cure is the same.
_SERVICE: Final[Mapping[str, type[ModelError]]] = MappingProxyType(
    {
        "busy": errors.RateLimited,
        "body_too_large": errors.ContextTooLong,
        "unauthorized": NoRoute,
        "host_refused": NoRoute,
        "not_found": NoRoute,
    }
)
# Without attempts these may come from before the end of a call that goes on and costs money.
_UNSURE: Final = frozenset({"timeout", "provider_error", "bug"})


class _Error(BaseModel):
    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    hint: str = ""
    retryable: bool | None = None
    attempts: Sequence[Attempt] = ()


class _Problem(BaseModel):
    """What we read of a problem document."""

    model_config = ConfigDict(frozen=True)

    error: _Error


class RemoteModels:
    """The router at `url`; its answers and errors are those of an embedded one.

    `on_text` hears the answer as it comes; one that was stored it hears whole.
    """

    def __init__(self, url: str, *, clock: Clock, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._clock = clock
        self._client = _client(token)

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text; raises ModelError."""
        return self._call("complete", request, purse, on_text, check=self._check_text)

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema, whatever the router says; raises ModelError."""
        check = partial(self._check_data, Form(request.json_schema))
        return self._call("structure", request, purse, on_text, check=check)

    def close(self) -> None:
        self._client.close()

    def _call(
        self,
        endpoint: str,
        request: Request,
        purse: Purse | None,
        on_text: OnText | None,
        *,
        check: Callable[[Answer], None],
    ) -> Answer:
        heard = Heard(on_text)
        request = _capped(request, purse)
        with _billed(request, purse) as bill:
            status, body = self._ask_while_busy(f"{self.url}/v1/{endpoint}", request, bill, heard)
            if status != httpx.codes.OK:
                raise self._refused(status, body, bill)
            try:
                answer = Answer.model_validate_json(body)
            except ValidationError as error:
                raise self._odd("an answer that is none") from error
            bill.count(answer.attempts)
            check(answer)
            heard.whole(answer)
            return answer

    def _check_text(self, answer: Answer) -> None:
        if answer.text is None:
            raise _paid(self._odd("an answer without a text"), answer)

    def _check_data(self, form: Form, answer: Answer) -> None:
        if problems := form.check(answer.data).problems:
            message = f"asking the router at {self._shown}: its answer does not satisfy the schema"
            raise _paid(SchemaViolation(visible(f"{message}: {problems[0]}")), answer)

    def _ask_while_busy(
        self, where: str, request: Request, bill: _Bill, heard: Heard
    ) -> tuple[int, bytes]:
        """Come again while the router has no thread free, which costs nothing."""
        for tries_left in reversed(range(TRIES_WHILE_BUSY)):
            status, body = self._ask(where, request, bill, heard)
            if status != httpx.codes.SERVICE_UNAVAILABLE or not tries_left:
                break
            if (told := _read(body)) is None or told.code != "busy":
                break
            self._clock.sleep(1 + self._clock.random())
        return status, body

    def _ask(self, where: str, request: Request, bill: _Bill, heard: Heard) -> tuple[int, bytes]:
        seconds = request.params.timeout_s + GRACE_S
        body = request.model_dump_json(by_alias=True)
        try:
            with self._client.stream(
                "POST",
                where,
                content=body,
                headers={"content-type": "application/json", "accept": heard.accepts},
                timeout=httpx.Timeout(seconds, connect=CONNECT_S),
            ) as response:
                chunks = self._bounded(response, seconds)
                if response.headers.get("content-type", "").startswith(EVENTS):
                    return heard.stream(chunks)
                return response.status_code, b"".join(chunks)
        except _NOT_ASKED as error:
            bill.count([])
            message = f"asking the router at {self._shown}: it does not answer ({error})"
            raise ProviderFailed(visible(message), hint=START) from error
        except httpx.TimeoutException as error:
            raise self._late(seconds) from error
        except httpx.HTTPError as error:  # its text may quote a header, which is the token
            raise self._odd(f"no whole answer ({type(error).__name__})") from None

    def _bounded(self, response: httpx.Response, seconds: float) -> Iterator[bytes]:
        end = self._clock.monotonic() + seconds
        size = 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > MAX_BYTES:
                raise self._odd(f"more than {MAX_BYTES} bytes")
            if self._clock.monotonic() > end:
                raise self._late(seconds)
            yield chunk

    def _refused(self, status: int, body: bytes, bill: _Bill) -> ModelError:
        """Build the error that the router raised; what it cost is what it says."""
        told = _read(body)
        if told is None:
            return self._odd(f"status {status} and no problem document")
        if told.attempts or told.code not in _UNSURE:
            bill.count(told.attempts)
        kind = _CLASSES.get(told.code) or _SERVICE.get(told.code)
        if kind is None:
            return self._odd(f"{status} {told.code}: {told.message}")
        own = told.code in _CLASSES
        message = told.message if own else f"asking the router at {self._shown}: {told.message}"
        hint = _HINTED if told.code == "unauthorized" else told.hint
        error = kind(visible(message), hint=visible(hint))
        error.attempts = tuple(told.attempts)
        if own and told.retryable is not None:
            error.retryable = told.retryable
        return error

    def _late(self, seconds: float) -> ModelTimeout:
        message = f"asking the router at {self._shown}: no answer within {seconds:g} s"
        return ModelTimeout(message)

    def _odd(self, what: str) -> ProviderFailed:
        return ProviderFailed(visible(f"asking the router at {self._shown}: it gave {what}"))

    @property
    def _shown(self) -> str:
        """The address without the name and password that it may hold."""
        return _NAME_AND_PASSWORD.sub("//", self.url)


def _paid(error: ModelError, answer: Answer) -> ModelError:
    error.attempts = tuple(answer.attempts)
    return error


class _Bill:
    """What a call has cost: the worst case, until it is known."""

    def __init__(self, want: Want) -> None:
        self.usd = want.usd
        self.tokens = want.tokens

    def count(self, attempts: Sequence[Attempt]) -> None:
        made = list(attempts)
        amount = total_cost(made).amount
        self.usd = None if amount is None else Decimal(amount)
        self.tokens = total_usage(made).total


def _capped(request: Request, purse: Purse | None) -> Request:
    """Bound a request that names no bound where money is bounded: one call is not all of it."""
    left = purse.left() if purse else None
    if left is None or request.budget.max_cost_usd is not None:
        return request
    most = usd(min(max(left, Decimal(0)), REMOTE_CALL_USD))
    budget = request.budget.model_copy(update={"max_cost_usd": most})
    return request.model_copy(update={"budget": budget})


@contextmanager
def _billed(request: Request, purse: Purse | None) -> Iterator[_Bill]:
    """Set the request's own budget aside, and settle what the call has cost, however it ends."""
    want = _want(request)
    bill = _Bill(want)
    if purse is None:
        yield bill
        return
    reservation = purse.reserve(want)
    try:
        yield bill
    finally:
        purse.settle(reservation, usd=bill.usd, tokens=bill.tokens)


def _want(request: Request) -> Want:
    """Take the request's bounds for the worst case; a token is at least one byte."""
    most = request.budget.max_cost_usd
    prompt = sum(len(message.content.encode()) for message in request.messages)
    return Want(
        usd=None if most is None else Decimal(most),
        tokens=request.budget.max_tokens or prompt + request.params.max_tokens,
        model=request.model or "the router",
    )


def _read(body: bytes) -> _Error | None:
    try:
        return _Problem.model_validate_json(body).error
    except ValidationError:
        return None


def _client(token: str | None) -> httpx.Client:
    """A redirect is not followed, as the token would go along; nor is a local router proxied."""
    headers: dict[str, Any] = {
        "user-agent": f"planlock/{__version__}",
        "accept-encoding": "identity",
    }
    if token:
        headers["authorization"] = f"Bearer {token}"
    return httpx.Client(headers=headers, mounts=dict.fromkeys(_LOOPBACK))
