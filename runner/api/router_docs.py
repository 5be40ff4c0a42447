"""What `/openapi.json` says: bodies as the library has them, every error, and examples."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from runner.api import problems
from runner.core import errors
from runner.core.model_call import Answer, Request, StructureRequest

DESCRIPTION = (
    "Asks language models: one shape for every provider, with route, tokens and cost in each"
    " answer. Errors are RFC 9457 problem documents with stable codes."
)
_REF = "#/components/schemas/{model}"
_OWN: Mapping[int, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        401: (("unauthorized", "the request has no right bearer token"),),
        403: (("host_refused", "the Host header does not name this service"),),
        408: (("timeout", "the body did not come in time"),),
        413: (("body_too_large", "the body is longer than 16000000 bytes"),),
        415: (("bad_request", "the body must be application/json"),),
        500: (("bug", "this is a bug in planlock; the log has where"),),
        503: (("busy", "64 calls run, which is as many as may at once"),),
    }
)
_ROUTERS = (
    (errors.BadRequest, "messages[0].role: Input should be 'system', 'user' or 'assistant'"),
    (errors.BudgetExceeded, "asking m1: 0.02 USD at worst, and 0.01 USD are left of the call"),
    (errors.PriceUnknown, "asking m1: nobody knows its price, and a money limit holds"),
    (errors.ReplayMiss, "replaying: no answer to this question is stored"),
    (errors.ContextTooLong, "choosing a model: none has room for 200000 tokens"),
    (errors.RateLimited, "asking m1: the provider takes no more requests now"),
    (errors.ProviderFailed, "asking m1: the provider answered 500"),
    (errors.NoRoute, "choosing a model: none is configured"),
    (errors.ModelTimeout, "asking m1: no answer within 300 s"),
)
_STRUCTURES = (
    (errors.BadSchema, "schema: 'strin' is no type"),
    (errors.SchemaViolation, "asking m1: $.steps is missing, after 1 repair"),
)
_MESSAGE = {"role": "user", "content": "Summarize: add() adds two numbers."}
_COMPLETE_EXAMPLE = {
    "messages": [_MESSAGE],
    "kind": "summarize",
    "params": {"max_tokens": 200},
    "budget": {"max_cost_usd": "0.01"},
    "context": {"project": "0f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"},
}
_STRUCTURE_EXAMPLE = {
    "messages": [_MESSAGE],
    "schema": {
        "type": "object",
        "properties": {"summary": {"type": "string", "maxLength": 500}},
        "required": ["summary"],
    },
    "schema_name": "summary",
}
_ANSWER: dict[str, Any] = {
    "id": "01JDA7Q4Z0M5W8K2N3P6R00001",
    "text": "It adds two numbers.",
    "data": None,
    "finish_reason": "stop",
    "route": {
        "provider": "local",
        "requested_model": "local/qwen2.5-coder",
        "response_model": "qwen2.5-coder",
        "reason": "asked for by name",
        "fallbacks": [],
    },
    "attempts": [],
    "usage": {"input_tokens": 12, "output_tokens": 6, "source": "provider"},
    "cost": {"amount": "0.00", "currency": "USD", "status": "free", "price_source": "local"},
    "cache": {"status": "miss", "key": "sha256:" + "ab" * 32},
    "budget": {"remaining_usd": "0.01"},
    "latency_ms": 840,
}


def _body(model: str, example: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model)}
    content = {"application/json": {"schema": schema, "example": dict(example)}}
    return {
        "requestBody": {"required": True, "content": content},
        "security": [{}, {"token": []}],
    }


def _problems(*told: tuple[type[errors.ModelError], str]) -> dict[int | str, dict[str, Any]]:
    """Every status with an example for each of its codes."""
    found: dict[int, dict[str, Any]] = {}
    for error, message in told:
        value = {"code": error.code, "message": message, "retryable": error.retryable}
        _add(found, error.status, value)
    for status, own in _OWN.items():
        for code, message in own:
            _add(found, status, {"code": code, "message": message, "retryable": code == "busy"})
    return {status: _response(examples) for status, examples in sorted(found.items())}


def _add(found: dict[int, dict[str, Any]], status: int, error: Mapping[str, Any]) -> None:
    example = {"value": problems.example(status, error)}
    found.setdefault(status, {})[error["code"]] = example


def _response(examples: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    content = {problems.MEDIA_TYPE: {"schema": schema, "examples": dict(examples)}}
    return {"description": ", ".join(examples), "content": content}


def _answered(example: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Answer")}
    content = {"application/json": {"schema": schema, "example": dict(example)}}
    return {"description": "The answer.", "content": content}


def _text(media_type: str, example: Any) -> dict[str, Any]:
    return {"description": "As it is.", "content": {media_type: {"example": example}}}


_OK = _text("application/json", {"status": "ok"})
COMPLETE: dict[str, Any] = {
    "responses": {200: _answered(_ANSWER), **_problems(*_ROUTERS)},
    "openapi_extra": _body("Request", _COMPLETE_EXAMPLE),
}
STRUCTURE: dict[str, Any] = {
    "responses": {
        200: _answered({**_ANSWER, "text": None, "data": {"summary": "It adds two numbers."}}),
        **_problems(*_ROUTERS, *_STRUCTURES),
    },
    "openapi_extra": _body("StructureRequest", _STRUCTURE_EXAMPLE),
}
HEALTH: dict[str, Any] = {"responses": {200: _OK}}
READY: dict[str, Any] = {
    "responses": {
        200: _OK,
        503: _problems((errors.NoRoute, "no model is configured"))[503],
    }
}
METRICS: dict[str, Any] = {
    "responses": {200: _text("text/plain", 'planlock_router_cache_total{status="hit"} 1.0')},
    "openapi_extra": {"security": [{}, {"token": []}]},
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """Build the document once."""
    if app.openapi_schema is None:
        built = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        built["components"] = {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        app.openapi_schema = built
    return app.openapi_schema


def _schemas() -> dict[str, Any]:
    _, found = models_json_schema(
        [
            (Request, "validation"),
            (StructureRequest, "validation"),
            (Answer, "serialization"),
            (problems.Problem, "serialization"),
        ],
        ref_template=_REF,
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas
