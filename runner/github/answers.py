"""What an answer over HTTP says, read strictly: its JSON, its next page, its limit, its refusal."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import httpx

from runner.core.errors import ForgeUnclear
from runner.core.text import visible

MAX_MESSAGE: Final = 300
# docs.github.com, "Rate limits for the REST API": what to wait where no time is told.
UNTOLD_WAIT_S: Final = 60.0
_LIMITS: Final = frozenset({403, 429})
_LINK: Final = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT: Final = re.compile(r"\bnext\b", re.IGNORECASE)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def value(response: httpx.Response, asking: str) -> Any:
    """The JSON of an answer; raises ForgeUnclear."""
    try:
        found = json.loads(response.content, parse_constant=_no_constant)
        if _SURROGATE.search(response.content):
            # half a character could be neither shown nor written later
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ForgeUnclear(f"{asking}: an answer that is no JSON") from error
    return found


def next_page(response: httpx.Response, asking: str) -> str:
    """Where a list goes on, empty at its end; raises ForgeUnclear where that cannot be read.

    A list of which a page went unseen would be taken for whole.
    """
    told = response.headers.get("link", "")
    targets = {address for address, about in _LINK.findall(told) if _NEXT.search(about)}
    if len(targets) > 1 or (not targets and _NEXT.search(_LINK.sub("", told))):
        raise ForgeUnclear(f"{asking}: the next page cannot be read")
    return targets.pop() if targets else ""


def limit(response: httpx.Response, now: float) -> float | None:
    """How many seconds to wait for a rate limit; None where it is something else."""
    if response.status_code not in _LIMITS:
        return None
    headers = response.headers
    if (wait := _seconds(headers.get("retry-after"))) is not None:
        return wait
    if headers.get("x-ratelimit-remaining") == "0":
        reset = _seconds(headers.get("x-ratelimit-reset"))
        return max(1.0, reset - now + 1) if reset is not None else UNTOLD_WAIT_S
    is_limit = response.status_code == 429 or "rate limit" in response.text.lower()
    return UNTOLD_WAIT_S if is_limit else None


def message(response: httpx.Response) -> str:
    """What a refusal says."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        return response.text[:MAX_MESSAGE]
    if not isinstance(found, dict):
        return ""
    return f"{found.get('message') or ''} {said(found.get('errors'))}".strip()


def said(errors: Any) -> str:
    """The words of a list of errors."""
    found = errors if isinstance(errors, list) else []
    words = [
        str(each.get("message") or each.get("code") or "") if isinstance(each, dict) else str(each)
        for each in found
    ]
    return visible("; ".join(words))[:MAX_MESSAGE]


def is_limited(errors: Any) -> bool:
    """Whether a query was refused for a rate limit, which GraphQL tells with status 200."""
    found = errors if isinstance(errors, list) else []
    return any(isinstance(each, dict) and each.get("type") == "RATE_LIMITED" for each in found)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
