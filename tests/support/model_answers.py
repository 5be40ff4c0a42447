"""Questions to models and answers to them, as tests need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.model_call import (
    Answer,
    Attempt,
    CacheNote,
    Cost,
    Message,
    Request,
    Route,
    StructureRequest,
    Usage,
    ask_digest,
    request_key,
)
from runner.models.store import Store

MODEL = "gemini/gemini-3.5-flash-lite"


def question(text: str = "Why?", *, system: str = "Be brief.", **fields: Any) -> Request:
    messages = [Message(role="system", content=system), Message(role="user", content=text)]
    return Request(messages=messages, **fields)


def structured(text: str = "Why?", schema: Mapping[str, Any] | None = None) -> StructureRequest:
    messages = [{"role": "user", "content": text}]
    return StructureRequest.model_validate(
        {"messages": messages, "schema": schema or {"type": "object", "maximum": 1.5}}
    )


def answered(
    request: Request, text: str = "Because.", *, model: str = MODEL, cost: Cost | None = None
) -> Answer:
    """An answer by one attempt of `model`."""
    provider, _, name = model.partition("/")
    usage = Usage(input_tokens=1000, output_tokens=200, source="provider")
    price = cost or Cost(amount="0.0008", status="computed", price_source="a list")
    attempt = Attempt(
        n=1, provider=provider, model=name, status="ok", usage=usage, cost=price, latency_ms=12
    )
    is_data = isinstance(request, StructureRequest)
    return Answer(
        id="01M81FZG084B03AMRN5C0T5TTW",
        text=None if is_data else text,
        data={"why": text, "weight": 0.5} if is_data else None,
        finish_reason="stop",
        route=Route(
            provider=provider, requested_model=None, response_model=name, reason="the only model"
        ),
        attempts=[attempt],
        usage=usage,
        cost=price,
        cache=CacheNote(status="miss", key=request_key(request, model)),
        latency_ms=12,
    )


def keep(store: Store, request: Request, answer: Answer, *, model: str = MODEL) -> str:
    """Put an answer into a store and say at which address."""
    ask, key = ask_digest(request), request_key(request, model)
    store.put(request, ask=ask, key=key, answer=answer)
    return f"{ask[7:9]}/{ask[7:]}/{key[7:]}.json"
