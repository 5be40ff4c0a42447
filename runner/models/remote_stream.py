"""The answer of a router behind HTTP as it comes: server-sent events, each a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from runner.core.model_call import Answer
from runner.models import http
from runner.models.contract import Failure, OnText

EVENTS: Final = "text/event-stream"
_JSON: Final = "application/json"


class Heard:
    """Passes pieces of an answer on to whoever listens."""

    def __init__(self, on_text: OnText | None) -> None:
        self._on_text = on_text
        self._any = False

    @property
    def accepts(self) -> str:
        return _JSON if self._on_text is None else f"{EVENTS}, {_JSON}"

    def stream(self, chunks: Iterable[bytes]) -> tuple[int, bytes]:
        """Tell the pieces; give status and body as they would have come in one piece."""
        last: Mapping[str, Any] = {}
        for data in http.events(_lines(chunks)):
            last = _value(data)
            if self._on_text is not None and isinstance(last.get("text"), str):
                self._any = True
                self._on_text(last["text"])
        if "answer" in last:
            return HTTPStatus.OK, json.dumps(last["answer"]).encode()
        problem = last.get("problem")
        status = problem.get("status") if isinstance(problem, dict) else None
        found = status if isinstance(status, int) else HTTPStatus.BAD_GATEWAY
        return found, json.dumps(problem).encode()

    def whole(self, answer: Answer) -> None:
        """Tell an answer of which no piece came."""
        if self._on_text is not None and not self._any:
            data = json.dumps(answer.data, ensure_ascii=False)
            self._on_text(data if answer.text is None else answer.text)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut lines at line feeds alone; what is behind the last one is no event."""
    held: list[bytes] = []
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        held.append(first)
        for each in rest:
            yield b"".join(held).decode("utf-8", "replace")
            held = [each]


def _value(data: str) -> Mapping[str, Any]:
    try:
        return http.parse_object(data)
    except Failure:
        return {}
