"""What the router tells of itself: health, counters and the description of its API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families
from router_service import ATTEMPT, answer, app_over, serving

from runner.core.errors import BudgetExceeded, ModelError
from runner.core.model_call import Answer, Attempt, Request

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "2+2?"}], "kind": "analyze"}


def counts(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read `/metrics` as Prometheus does."""
    text = httpx.get(f"{url}/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[f"planlock_router_{name}", frozenset(labels.items())]


def test_each_call_is_counted() -> None:
    """Calls, tokens, money, cache and time are counted by their labels."""

    def act(request: Request) -> Answer:
        if request.messages[0].content == "fail":
            error = BudgetExceeded("asking m1: too much")
            error.attempts = (Attempt.model_validate(ATTEMPT),)
            raise error
        return answer(request)

    with serving(app_over(act)) as url:
        for text in ("a", "b", "fail"):
            body = {**ASK, "messages": [{"role": "user", "content": text}]}
            httpx.post(f"{url}/v1/complete", json=body)
        httpx.post(f"{url}/v1/structure", json=ASK)
        found = counts(url)
    told = {"endpoint": "complete", "kind": "analyze", "model": "fake/m1"}
    assert one(found, "requests_total", **told, status="ok") == 2
    assert one(found, "requests_total", **told, status="budget_exceeded") == 1
    refused = {"endpoint": "structure", "kind": "none", "model": "none", "status": "bad_request"}
    assert one(found, "requests_total", **refused) == 1
    assert one(found, "tokens_total", model="fake/m1", direction="input") == 30
    assert one(found, "tokens_total", model="fake/m1", direction="output") == 15
    assert one(found, "cost_usd_total", model="fake/m1") == pytest.approx(0.006)
    assert one(found, "cache_total", status="miss") == 2
    assert one(found, "latency_seconds_count", endpoint="complete") == 3


def test_a_stored_answer_costs_nothing_and_an_unpriced_one_is_told() -> None:
    """A hit adds to no tokens; an attempt without a price adds to no money."""

    def act(request: Request) -> Answer:
        given = answer(request)
        if request.messages[0].content == "hit":
            origin = {"id": "x", "attempts": [ATTEMPT]}
            cache = {**given.cache.model_dump(), "status": "hit", "origin": origin}
            return Answer.model_validate({**given.model_dump(), "attempts": [], "cache": cache})
        unknown = {**ATTEMPT, "cost": {"amount": None, "status": "unknown"}}
        return Answer.model_validate({**given.model_dump(), "attempts": [unknown]})

    with serving(app_over(act)) as url:
        for text in ("hit", "unpriced"):
            body = {**ASK, "messages": [{"role": "user", "content": text}]}
            assert httpx.post(f"{url}/v1/complete", json=body).status_code == 200
        found = counts(url)
    assert one(found, "tokens_total", model="fake/m1", direction="input") == 10
    assert one(found, "unpriced_attempts_total", model="fake/m1") == 1
    assert one(found, "cache_total", status="hit") == 1
    assert ("planlock_router_cost_usd_total", frozenset({("model", "fake/m1")})) not in found


def test_apps_do_not_share_their_counters() -> None:
    """Each app counts from nothing, and calls under way are told."""
    inside, go_on = threading.Event(), threading.Event()

    def act(request: Request) -> Answer:
        inside.set()
        assert go_on.wait(5)
        return answer(request)

    with serving(app_over(act)) as url, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(httpx.post, f"{url}/v1/complete", json=ASK)
        assert inside.wait(5)
        assert one(counts(url), "calls_in_progress") == 1
        go_on.set()
        assert sent.result(5).status_code == 200
        assert one(counts(url), "calls_in_progress") == 0
        assert one(counts(url), "cache_total", status="miss") == 1
    with serving(app_over(act)) as url:
        assert "cache_total{" not in httpx.get(f"{url}/metrics").text


@pytest.fixture(scope="module")
def described() -> Iterator[dict[str, Any]]:
    with serving(app_over()) as url:
        assert "swagger" in httpx.get(f"{url}/docs").text
        yield httpx.get(f"{url}/openapi.json").json()


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema that stands on its own, to check examples with."""
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize("path", ["/v1/complete", "/v1/structure"])
def test_examples_satisfy_their_schemas(described: dict[str, Any], path: str) -> None:
    """Request, answer and error examples are what the service takes and gives."""
    operation = described["paths"][path]["post"]
    contents = [operation["requestBody"]["content"]["application/json"]]
    for status, response in operation["responses"].items():
        media = "application/json" if status == "200" else "application/problem+json"
        contents.append(response["content"][media])
    for content in contents:
        examples = [content["example"]] if "example" in content else []
        examples += [each["value"] for each in content.get("examples", {}).values()]
        assert examples
        for example in examples:
            jsonschema.validate(example, resolved(described, content["schema"]))
    asked = contents[0]["example"]
    assert "messages" in asked


def test_every_error_of_the_library_is_described(described: dict[str, Any]) -> None:
    """Each code of a ModelError stands under its status, in the call that can give it."""
    found = {
        (int(status), code)
        for path in ("/v1/complete", "/v1/structure")
        for status, response in described["paths"][path]["post"]["responses"].items()
        for code in response["content"].get("application/problem+json", {}).get("examples", {})
    }
    wanted = {(each.status, each.code) for each in below(ModelError)}
    assert wanted <= found
    assert {code for _, code in found} - {code for _, code in wanted} == {
        *("unauthorized", "host_refused", "body_too_large", "busy", "bug")
    }


def below(base: type[ModelError]) -> Iterator[type[ModelError]]:
    for each in base.__subclasses__():
        yield each
        yield from below(each)


def test_fields_of_the_description_are_those_of_the_library(described: dict[str, Any]) -> None:
    """The schema of a request has the library's fields, and takes no others."""
    schemas = described["components"]["schemas"]
    assert set(schemas["Request"]["properties"]) == set(Request.model_fields)
    assert schemas["Request"]["additionalProperties"] is False
    assert "schema" in schemas["StructureRequest"]["required"]
    assert set(schemas["Answer"]["properties"]) == set(Answer.model_fields)
    assert "HTTPValidationError" not in schemas
