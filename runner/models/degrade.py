"""Ask again with less where a server says that it cannot do what was asked.

Nothing was generated for a request that was refused, so the second one is no second payment. What
broke off after the model began is no refusal. All requests share the time of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from runner.core.model_call import Message
from runner.models.contract import Ask, Reply
from runner.models.http_failures import Told, Trouble

Body = dict[str, Any]
Send = Callable[[Body, float], Reply]
Lesser = Callable[[Body, Trouble], Body | None]

MAX_TIMES: Final = 5
_REFUSING: Final = {400, 422, 500}
_CANNOT_ENFORCE: Final = re.compile(
    r"grammar|schema|response_?format|too many states|\bformat\b|guided|structured output",
    re.IGNORECASE,
)


def exchange(send: Send, body: Body, lesser: Lesser, *, limit: Callable[[], float]) -> Reply:
    """Send a request, and while the server refuses a part of it, the request without that part."""
    for _ in range(MAX_TIMES):
        try:
            return send(body, limit())
        except Told as failure:
            less = None if failure.kind == "context_too_long" else lesser(body, failure.trouble)
            if failure.usage is not None or less is None or limit() <= 0:
                raise
            body = less
    return send(body, limit())


def cannot_enforce(trouble: Trouble) -> bool:
    """Tell whether a server refused the schema itself."""
    return trouble.status in _REFUSING and bool(_CANNOT_ENFORCE.search(trouble.words))


def refuses(trouble: Trouble, name: str) -> bool:
    """Tell whether a server refused the parameter `name`."""
    return trouble.status in {400, 422} and bool(re.search(rf"\b{name}\b", trouble.words))


def with_schema_told(ask: Ask) -> Sequence[Message]:
    """The messages with the schema in words, for a server that cannot enforce it."""
    schema = json.dumps(ask.schema, ensure_ascii=False, sort_keys=True)
    *before, last = ask.messages
    words = f"{last.content}\n\nAnswer with JSON alone that satisfies this JSON Schema:\n{schema}"
    return [*before, last.model_copy(update={"content": words})]


def without(body: Mapping[str, Any], *names: str) -> Body:
    return {key: value for key, value in body.items() if key not in names}
