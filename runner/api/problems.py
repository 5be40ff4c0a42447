"""Errors as RFC 9457 problem documents, whose codes are those of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from runner.core.errors import ModelError, PlanlockError
from runner.core.model_call import Attempt
from runner.core.text import visible

MEDIA_TYPE = "application/problem+json"
# Seconds after which a client may try again where the answer says no better.
RETRY_AFTER_S = MappingProxyType({"rate_limited": 10, "busy": 1})


class ErrorValue(BaseModel):
    """The error as the library tells it; `attempts` were made, and may have cost money."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    attempts: Sequence[Attempt] = ()


class Problem(BaseModel):
    """A problem document; `code` is stable, `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    error: ErrorValue


class HttpRefusal(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, error: ErrorValue) -> None:
        super().__init__(error.code)
        self.status = status
        self.error = error


def refusal(
    status: int, code: str, message: str, *, hint: str = "", retryable: bool = False
) -> HttpRefusal:
    """Refuse by the service's own rules; the message may quote what the client sent."""
    value = ErrorValue(code=code, message=visible(message), hint=hint, retryable=retryable)
    return HttpRefusal(status, value)


def of_model_error(error: ModelError) -> HttpRefusal:
    value = ErrorValue(
        code=error.code,
        message=visible(error.message),
        hint=visible(error.hint),
        retryable=error.retryable,
        attempts=error.attempts,
    )
    return HttpRefusal(error.status, value)


def of_error(error: PlanlockError) -> HttpRefusal:
    return refusal(500, error.code, error.message, hint=visible(error.hint))


def respond(refused: HttpRefusal) -> Response:
    problem = document(refused)
    code = refused.error.code
    headers = {"retry-after": str(RETRY_AFTER_S[code])} if code in RETRY_AFTER_S else {}
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return Response(
        problem.model_dump_json(),
        status_code=refused.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def document(refused: HttpRefusal) -> Problem:
    error = refused.error
    return Problem(
        type=f"urn:planlock:error:{error.code}",
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        detail=error.message,
        code=error.code,
        retryable=error.retryable,
        error=error,
    )


def example(status: int, error: Mapping[str, Any]) -> dict[str, Any]:
    """Write the document that an error gives, for the API's docs."""
    refused = HttpRefusal(status, ErrorValue.model_validate(error))
    return document(refused).model_dump(mode="json")
