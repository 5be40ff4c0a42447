"""The router's two calls over HTTP: bodies of the library, errors as problem documents."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from router_service import ATTEMPT, answer, app_over, serving

from runner.api.router_app import Bounds
from runner.core import errors
from runner.core.model_call import Answer, Attempt, Request, StructureRequest

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "2+2?"}]}
FIELDS = {"type", "title", "status", "detail", "code", "retryable", "error"}
MODEL_ERRORS = (
    (errors.BadRequest, 400),
    (errors.BadSchema, 400),
    (errors.BudgetExceeded, 402),
    (errors.PriceUnknown, 402),
    (errors.ReplayMiss, 409),
    (errors.ContextTooLong, 413),
    (errors.SchemaViolation, 422),
    (errors.RateLimited, 429),
    (errors.ProviderFailed, 502),
    (errors.NoRoute, 503),
    (errors.ModelTimeout, 504),
)
BY_CODE = {kind.code: kind for kind, _ in MODEL_ERRORS}


def said(request: Request) -> Answer:
    """Fail as the question asks to, else say `four`."""
    kind = BY_CODE.get(request.messages[0].content)
    if kind is None:
        return answer(request)
    error = kind("asking m1: no", hint="planlock doctor")
    error.attempts = (Attempt.model_validate({**ATTEMPT, "status": "error"}),)
    raise error


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service whose model says `four`, or fails as it is asked to."""
    with serving(app_over(said)) as where:
        yield where


def post(url: str, body: object, *, path: str = "complete") -> httpx.Response:
    return httpx.post(f"{url}/v1/{path}", json=body, timeout=10)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is a problem document, whole and of this code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    value: dict[str, Any] = response.json()
    assert value.keys() == FIELDS
    assert (value["status"], value["code"]) == (status, code)
    assert value["error"]["code"] == code
    assert value["detail"] == value["error"]["message"] != ""
    assert "Traceback" not in response.text
    return value


def test_complete_gives_the_answer_of_the_library(url: str) -> None:
    """The body is an Answer, with all its fields."""
    response = post(url, ASK)
    assert response.status_code == 200
    request = Request.model_validate(ASK)
    assert Answer.model_validate(response.json()) == answer(request)


def test_structure_takes_a_schema_and_gives_data() -> None:
    """The field is called `schema`, as JSON has it, and the data comes back."""
    seen: list[StructureRequest] = []

    def act(request: Request) -> Answer:
        assert isinstance(request, StructureRequest)
        seen.append(request)
        return answer(request, data={"n": 4})

    with serving(app_over(act)) as where:
        response = post(where, {**ASK, "schema": {"type": "object"}}, path="structure")
    assert response.json()["data"] == {"n": 4}
    assert seen[0].json_schema == {"type": "object"}


@pytest.mark.parametrize("kind,status", MODEL_ERRORS)
def test_every_error_of_the_library_has_its_status(
    url: str, kind: type[errors.ModelError], status: int
) -> None:
    """A ModelError is told by its code and status, with hint and the attempts that were made."""
    response = post(url, {"messages": [{"role": "user", "content": kind.code}]})
    told = problem(response, status, kind.code)
    assert told["retryable"] is told["error"]["retryable"] is kind.retryable
    assert told["error"]["hint"] == "planlock doctor"
    assert told["error"]["attempts"][0]["cost"]["amount"] == "0.002"
    assert ("retry-after" in response.headers) == (status == 429)


@pytest.mark.parametrize(
    "body,path",
    [
        ({**ASK, "surprise": 1}, "surprise"),
        ({**ASK, "params": {"max_tokens": 0}}, "params.max_tokens"),
        ({**ASK, "params": {"seed": "7"}}, "params.seed"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({**ASK, "budget": {"max_cost_usd": 1.5}}, "budget.max_cost_usd"),
        ({**ASK, "schema": {}}, "schema"),
        ({}, "messages"),
        ([ASK], "body"),
        ("text", "body"),
    ],
)
def test_a_wrong_field_is_named(url: str, body: object, path: str) -> None:
    """A request that is not the library's is refused with the path of the field."""
    told = problem(post(url, body), 400, "bad_request")
    assert f"{path}: " in told["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"messages": NaN}',
        b"[" * 5000 + b"]" * 5000,
        b'"\\ud800"',
        b"9" * 9,
    ],
    ids=["empty", "open", "no UTF-8", "NaN", "deep", "half a character", "number"],
)
def test_a_body_that_is_no_json_object_is_refused(url: str, body: bytes) -> None:
    """Nothing that is sent ends in anything but a 400."""
    headers = {"content-type": "application/json"}
    response = httpx.post(f"{url}/v1/complete", content=body, headers=headers)
    problem(response, 400, "bad_request")


def test_what_is_wrong_is_not_repeated(url: str) -> None:
    """An error names the field and not its content, which may be a secret."""
    body = {"messages": [{"role": "user", "content": ["hunter2"]}], "kind": "hunter2"}
    assert "hunter2" not in post(url, body).text


def test_a_form_of_another_site_is_refused(url: str) -> None:
    """A body that is not declared as JSON, which a page may send anywhere, is not read."""
    body = json.dumps(ASK)
    response = httpx.post(
        f"{url}/v1/complete", content=body, headers={"content-type": "text/plain"}
    )
    problem(response, 415, "bad_request")
    assert "access-control-allow-origin" not in post(url, ASK).headers


def test_a_long_body_is_refused() -> None:
    """A body over the bound is refused while it is read."""
    with serving(app_over(bounds=Bounds(body_bytes=2000))) as where:
        body = {"messages": [{"role": "user", "content": "x" * 3000}]}
        problem(post(where, body), 413, "body_too_large")
        assert post(where, ASK).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A client that sends half a body is told so after some time."""
    head = "POST /v1/complete HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with serving(app_over(bounds=Bounds(body_s=0.05))) as where:
        address = ("127.0.0.1", int(where.rpartition(":")[2]))
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("method,path,code", [("GET", "/v1/complete", 405), ("GET", "/v1", 404)])
def test_unknown_paths_and_methods_are_problems_too(
    url: str, method: str, path: str, code: int
) -> None:
    """What FastAPI refuses has the same form as everything else."""
    response = httpx.request(method, url + path)
    problem(response, code, "not_found" if code == 404 else "bad_request")


def test_fifty_calls_at_once() -> None:
    """All of fifty calls are in the router at the same time, and each gets its own answer."""
    together = threading.Barrier(50, timeout=8)

    def act(request: Request) -> Answer:
        together.wait()
        return answer(request, text=request.messages[0].content)

    with serving(app_over(act)) as where, ThreadPoolExecutor(50) as pool:

        def ask(number: int) -> str:
            body = {"messages": [{"role": "user", "content": str(number)}]}
            return str(post(where, body).json()["text"])

        assert list(pool.map(ask, range(50))) == [str(number) for number in range(50)]


def test_one_call_too_many_is_told_to_come_again() -> None:
    """With all threads taken a call gets 503 with Retry-After, and later its answer."""
    inside, go_on = threading.Event(), threading.Event()

    def act(request: Request) -> Answer:
        inside.set()
        assert go_on.wait(5)
        return answer(request)

    with serving(app_over(act, bounds=Bounds(calls=1))) as where, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, where, ASK)
        assert inside.wait(5)
        refused = post(where, ASK)
        assert problem(refused, 503, "busy")["retryable"] is True
        assert refused.headers["retry-after"] == "1"
        go_on.set()
        assert first.result(5).status_code == 200
        assert post(where, ASK).status_code == 200
