"""What a question to a model leaves behind: calls for the record, and a file of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from runner.core.budget import Reservation
from runner.core.cost import LOST, Call
from runner.core.errors import ModelError
from runner.core.model_call import Answer, Attempt, Request
from runner.core.redaction import redact
from runner.core.text import visible
from runner.core.values import usd
from runner.verbs import recording

TEXT_LIMIT = 200_000


def answer_calls(
    answer: Answer, *, file: str, kind: str, reservations: Sequence[str]
) -> list[Call]:
    """One call for each attempt at an answer; none for one that was stored."""
    return attempt_calls(
        answer.attempts,
        answer_id=answer.id,
        file=file,
        kind=kind,
        reason=answer.route.reason,
        reservations=reservations,
    )


def attempt_calls(  # noqa: PLR0913  # what the attempts have in common
    attempts: Sequence[Attempt],
    *,
    answer_id: str,
    file: str,
    kind: str,
    reservations: Sequence[str],
    reason: str = "",
) -> list[Call]:
    """One call for each attempt; where one reservation paid for several, each of them names it."""
    return [
        Call(
            **_spent(attempt),
            file=file,
            id=answer_id,
            kind=kind,
            route_reason=_shown(reason),
            reservation=reservations[min(place, len(reservations) - 1)] if reservations else "",
        )
        for place, attempt in enumerate(attempts)
    ]


def _spent(attempt: Attempt) -> dict[str, Any]:
    usage, cost = attempt.usage, attempt.cost
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "status": attempt.status,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": cost.amount,
        "cost_status": cost.status,
        "attempt": attempt.n,
        "response_model": _shown(attempt.response_model),
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
        "usage_source": usage.source,
        "price_source": cost.price_source,
        "error": _shown(attempt.error),
    }


def stored_call(answer: Answer, *, file: str, kind: str) -> Call:
    """A stored answer: nothing was asked, and nothing paid."""
    route, origin = answer.route, answer.cache.origin
    asked = origin.attempts[-1].model if origin and origin.attempts else route.response_model
    return Call(
        provider=route.provider,
        model=asked,
        status=answer.cache.status,
        input_tokens=0,
        output_tokens=0,
        cost_usd="0.00",
        cost_status="cached",
        file=file,
        id=answer.id,
        kind=kind,
        response_model=_shown(route.response_model),
        route_reason=_shown(route.reason),
        saved_usd=answer.cache.saved,
    )


def lost_call(reservation: Reservation) -> Call:
    """A call that an ended runner began: all tokens count as sent, nobody knows better."""
    counts, settled = reservation.counts, reservation.settled is not None
    provider, _, model = reservation.model.partition("/")
    return Call(
        provider=provider,
        model=model or provider,
        status=LOST,
        input_tokens=counts.tokens,
        output_tokens=0,
        cost_usd=None if counts.unpriced else usd(counts.usd),
        cost_status="unknown" if counts.unpriced else ("computed" if settled else "estimated"),
        file="",
        usage_source="provider" if settled else "estimated",
        reservation=reservation.id,
        error="the runner ended before it could record this call",
    )


def of_answer(
    request: Request, answer: Answer, *, file: str, calls: Sequence[Call]
) -> dict[str, Any]:
    """The file of a question that was answered."""
    said = answer.text if answer.text is not None else json.dumps(answer.data, ensure_ascii=False)
    cache, route = answer.cache, answer.route
    return {
        **_head(request, file, calls),
        "answer": _shown(said),
        "finish_reason": answer.finish_reason,
        "route": {
            "provider": route.provider,
            "requested_model": route.requested_model,
            "response_model": _shown(route.response_model),
            "reason": _shown(route.reason),
            "fallbacks": [_shown(each) for each in route.fallbacks],
        },
        "cache": {"status": cache.status, "key": cache.key, "saved_usd": cache.saved},
        "raw_usage": [json.dumps(each.raw_usage, sort_keys=True) for each in answer.attempts],
    }


def of_failure(
    request: Request, error: ModelError, *, file: str, calls: Sequence[Call]
) -> dict[str, Any]:
    """The file of a question that was not answered."""
    failed = {"code": error.code, "message": _shown(error.message)}
    return {**_head(request, file, calls), "error": failed}


def messages(request: Request) -> list[dict[str, str]]:
    """What was asked, as the file of the question has it."""
    return [{"role": each.role, "content": _shown(each.content)} for each in request.messages]


def _head(request: Request, file: str, calls: Sequence[Call]) -> dict[str, Any]:
    return {
        "version": 1,
        "file": file,
        "kind": request.kind,
        "prompt_version": request.context.prompt_version,
        "inputs": [each.model_dump() for each in request.context.inputs],
        "messages": messages(request),
        "max_tokens": request.params.max_tokens,
        "calls": [call.model_dump() for call in calls],
    }


def _shown(text: str) -> str:
    """The text as it may be kept: without secrets, nothing hidden, not endless."""
    return recording.bounded(visible(redact(text).text), TEXT_LIMIT)[0]
