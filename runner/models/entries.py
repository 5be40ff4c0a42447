"""Stored answers: one file each, at an address that the question alone decides."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Literal

from pydantic import ValidationError

from runner.core.errors import InvalidDocument, Problem
from runner.core.model_call import Answer, Request, StructureRequest, ask_digest
from runner.core.values import Digest, Stored

MAX_BYTES = 64_000_000
ADDRESS = re.compile(
    r"(?P<start>[0-9a-f]{2})/(?P<ask>(?P=start)[0-9a-f]{62})/(?P<key>[0-9a-f]{64})\.json"
)


class Entry(Stored):
    """A question as it was asked and what was answered; `key` is its address with the model."""

    version: Literal[1]
    ask: Digest
    key: Digest
    request: Request
    answer: Answer


def address(ask: str, key: str) -> str:
    """Where the answer lies below the store's folder."""
    question, with_model = ask.removeprefix("sha256:"), key.removeprefix("sha256:")
    place = f"{question[:2]}/{question}/{with_model}.json"
    if not ADDRESS.fullmatch(place):
        raise ValueError(f"{ask!r} and {key!r} are not two digests")
    return place


def write(request: Request, *, ask: str, key: str, answer: Answer) -> bytes:
    return _bytes(
        {
            "version": 1,
            "ask": ask,
            "key": key,
            "request": request.model_dump(mode="json", by_alias=True),
            "answer": answer.model_dump(mode="json"),
        }
    )


def _bytes(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def read(data: bytes, *, file: str) -> Entry:
    """Read what `write` wrote; raises InvalidDocument where the question is not the address's."""
    if len(data) > MAX_BYTES:
        raise damaged(file, f"it has more than {MAX_BYTES} bytes")
    try:
        value = json.loads(data, parse_constant=_refuse)
        entry = _typed(value)
        asked = ask_digest(entry.request)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise damaged(file, f"{place}: {first['msg']}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(file, str(error)) from error
    if asked != entry.ask or not file.endswith(address(entry.ask, entry.key)):
        raise damaged(file, "it answers another question than its place says")
    return entry


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _typed(value: Any) -> Entry:
    """Type an entry; a request with a schema is one for data."""
    if not isinstance(value, dict) or not isinstance(value.get("request"), dict):
        raise TypeError("it holds no request")
    asked = value["request"]
    form = StructureRequest if "schema" in asked else Request
    return Entry.model_validate({**value, "request": form.model_validate(asked)})


def damaged(file: str, why: str) -> InvalidDocument:
    message = f"is no stored answer: {why}"
    fix = f"rm {shlex.quote(file)}, then ask again"
    return InvalidDocument([Problem(file=file, code="stored_answer", message=message, fix=fix)])
