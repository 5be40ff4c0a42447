"""Take secrets out of a text by their well-known shapes and by their known values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from runner.core.model_call import Request
from runner.core.redaction_keys import Keys
from runner.core.redaction_known import Known
from runner.core.redaction_shapes import Redacted, redact_shapes

__all__ = ["Redacted", "redact", "redact_request", "redact_values", "secrets_of"]

AnyRequest = TypeVar("AnyRequest", bound=Request)

SHORTEST_NAMED = 12
SHORTEST_SUPPLIED = 8
_HOLDS_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASS|PASSWORD|PASSPHRASE)$")
_PLACE = re.compile(r"[~./]|key::|ssh-|ecdsa-|sk-ssh-|sk-ecdsa-")


def redact(text: str, values: Iterable[str] = ()) -> Redacted:
    """Replace each secret by `[redacted: kind]`; `values` are secrets known by their text."""
    known, keys = Known(values), Keys()
    text = _without(known, text)
    done = [redact_shapes(each) for each in (*keys.feed(text), *keys.finish())]
    names = [
        *(["secret"] if known.found else []),
        *(["private key"] if keys.found else []),
        *(name for each in done for name in each.names),
    ]
    return Redacted(text="".join(each.text for each in done), names=tuple(dict.fromkeys(names)))


def redact_values(value: Any, values: Iterable[str]) -> Any:
    """Take known secrets out of every text of a document, its keys too."""
    known = Known(values)
    if not known.may_be_in(_encoded(text) for text in _texts(value)):
        return _each(value, lambda text: text)
    return _each(value, lambda text: _without(known, text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {
                change(key) if isinstance(key, str) else key: _each(item, change)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_each(item, change) for item in value]
    return value


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _without(known: Known, text: str) -> str:
    """The text, to its end: what is known can be asked for the next one.

    A value that is no text, taken out of a text, may leave half a character behind.
    """
    data = _encoded(text)
    data = known.feed(data) + known.finish()
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def redact_request(request: AnyRequest, values: Iterable[str]) -> AnyRequest:
    """Redact every message of a question, before it is hashed, sent or kept."""
    known = tuple(values)
    messages = [
        message.model_copy(update={"content": redact(message.content, known).text})
        for message in request.messages
    ]
    return request.model_copy(update={"messages": messages})


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of the variables whose names say that they hold a secret."""
    return tuple(
        value
        for name, value in sorted(environment.items())
        if len(value) >= SHORTEST_NAMED
        and _HOLDS_SECRET.search(name.upper())
        and not _PLACE.match(value)
    )
