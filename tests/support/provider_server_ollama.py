"""Ollama's `/api/chat` as its reference documents it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from provider_server import Api, Raw, Said, Seen, as_json

FINISHED = {"stop": "stop", "length": "length", "refused": "refused"}


class OllamaApi(Api):
    kind = "ollama"
    stream_type = "application/x-ndjson"

    def complaint(self, seen: Seen) -> Raw | None:
        if seen.path != "/api/chat":
            return Raw(status=404, body=b"404 page not found")
        if seen.body["model"] == "no-such":
            return self.error(404, 'model "no-such" not found, try pulling it first')
        return None

    def streams(self, seen: Seen) -> bool:
        return seen.body.get("stream", True) is not False

    def whole(self, said: Said) -> Any:
        message = {"role": "assistant", "content": said.text}
        return self._end(said, message | ({"thinking": said.thoughts} if said.thoughts else {}))

    def stream(self, said: Said) -> Iterator[bytes]:
        messages = [{"role": "assistant", "content": each} for each in said.pieces]
        if said.thoughts:
            messages.insert(0, {"role": "assistant", "content": "", "thinking": said.thoughts})
        values = [self._root(said) | {"message": each, "done": False} for each in messages]
        if not said.broken:
            values.append(self._end(said, {"role": "assistant", "content": ""}))
        for value in values:
            yield json.dumps(value, ensure_ascii=False).encode() + b"\n"

    def error(self, status: int, message: str, *, code: str = "") -> Raw:
        del code
        return as_json({"error": message}, status=status)

    def listing(self, seen: Seen) -> Raw:
        assert seen.path == "/api/tags"
        entry = {"name": "model-1", "model": "model-1", "size": 3338801804, "details": {}}
        return as_json({"models": [entry]})

    def _root(self, said: Said) -> dict[str, Any]:
        return {"model": said.model, "created_at": "2026-11-22T10:00:00.1Z"}

    def _end(self, said: Said, message: Any) -> dict[str, Any]:
        counts = {"prompt_eval_count": said.read, "eval_count": said.written}
        durations = {"total_duration": 4883583458, "eval_duration": 4535599000}
        value = self._root(said) | {"message": message, "done": True, **durations}
        value["done_reason"] = FINISHED[said.finish]
        return value | (counts if said.usage is None else said.usage)
