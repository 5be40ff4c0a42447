"""What a provider's HTTP status and error body mean for the caller."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from runner.core.text import visible
from runner.models.contract import Failure, FailureKind

MAX_MESSAGE: Final = 300
_NEVER_HERE: Final = {501, 505}
_MAY_BE_TOO_LONG: Final = {0, 400, 422, 500}
_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (length|window)"
    r"|available context size|input token count.*exceeds|prompt (is )?too long"
    r"|maximum prompt length|reduce the length|input is too long",
    re.IGNORECASE,
)
# Larger than all that a minute allows, or paid for with an empty purse: waiting does not help.
_LARGER_THAN_ALLOWED: Final = re.compile(r"request too large", re.IGNORECASE)
_NO_WAITING: Final = re.compile(r"insufficient_quota|limit: 0\b|billing_hard_limit", re.IGNORECASE)
_DELAY: Final = re.compile(r"^(\d{1,9}(?:\.\d{1,9})?)s$")


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """An error as a provider told it; `words` is all of its text, for classification only."""

    status: int
    message: str
    words: str = ""
    retry_after_s: float | None = None


class Told(Failure):
    """A failure that the provider itself told, with what it said."""

    def __init__(self, kind: FailureKind, message: str, trouble: Trouble) -> None:
        super().__init__(kind, message, retry_after_s=trouble.retry_after_s)
        self.trouble = trouble


def told(trouble: Trouble) -> Told:
    """Classify an error of a provider."""
    status = f"HTTP {trouble.status}" if trouble.status else "an error"
    return Told(_kind(trouble), f"{status}: {trouble.message}", trouble)


def _kind(trouble: Trouble) -> FailureKind:
    status = trouble.status
    if status == 413 or (status in _MAY_BE_TOO_LONG and _TOO_LONG.search(trouble.words)):
        return "context_too_long"
    if status == 429:
        return _limited(trouble.words)
    if status == 408:
        return "timeout"
    if status in _NEVER_HERE or 300 <= status < 500:
        return "refused"
    return "unavailable"


def _limited(words: str) -> FailureKind:
    if _LARGER_THAN_ALLOWED.search(words):
        return "context_too_long"
    return "refused" if _NO_WAITING.search(words) else "rate_limited"


def read_trouble(status: int, headers: Mapping[str, str], body: bytes, *, secret: str) -> Trouble:
    """Read an error's body, which may be anything; the key never comes out of it."""
    text = body.decode("utf-8", "replace")
    if status in range(300, 400):
        text = "the server redirects elsewhere, where no key is sent"
    value = _parsed(text)
    wait = retry_after(headers)
    return trouble_of(value or text, status=status, secret=secret, wait=wait)


def trouble_of(value: Any, *, status: int, secret: str, wait: float | None = None) -> Trouble:
    """An error object, or text, as trouble; `{"error": …}` around it may stand or not."""
    if isinstance(value, list) and value:
        value = value[0]
    inner = value.get("error", value) if isinstance(value, dict) else value
    code = inner.get("code") if isinstance(inner, dict) else None
    if not status and isinstance(code, int) and 300 <= code < 600:
        status = code
    return Trouble(
        status=status,
        message=one_line(_message(inner), secret=secret),
        words=_without(secret, _shown(inner)),
        retry_after_s=wait if wait is not None else _retry_info(inner),
    )


def one_line(text: str, *, secret: str = "") -> str:
    """Untrusted text, bounded and harmless, without the key."""
    text = _without(secret, text)
    line = visible(" ".join(text[: 10 * MAX_MESSAGE].split()))
    return line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE] + "…"


def _without(secret: str, text: str) -> str:
    return text.replace(secret, "[key]") if secret else text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: as a number, or as a date against the response's own `Date`."""
    millis = _number(headers.get("retry-after-ms", ""))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        until, now = (parsedate_to_datetime(each) for each in (value, headers.get("date", "")))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _message(inner: Any) -> str:
    if isinstance(inner, dict):
        told_message = inner.get("message") or inner.get("detail") or inner
        return _shown(told_message)
    text = _shown(inner).strip()
    if text[:1] == "<":
        return "a page of HTML instead of an error in JSON"
    return text or "no explanation"


def _shown(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return "an error nested too deep"


def _retry_info(inner: Any) -> float | None:
    """Google's `RetryInfo` among the details."""
    details = inner.get("details") if isinstance(inner, dict) else None
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, dict) else None
        match = _DELAY.match(delay) if isinstance(delay, str) else None
        if match:
            return float(match[1])
    return None
