"""OpenAI's chat completions as llama-server b10434 and OpenAI answer them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from provider_server import KEY, Api, Raw, Said, Seen, as_json

FINISHED = {"stop": "stop", "length": "length", "refused": "content_filter", "none": None}
ROOT = {"created": 1795365539, "id": "chatcmpl-P5cI3ygb0Gav3rC7lPnnr6nkIrXazPPo"}


class OpenAiApi(Api):
    kind = "openai"
    base = "/v1"

    def __init__(self, *, keyless: bool = False) -> None:
        self.keyless = keyless

    def complaint(self, seen: Seen) -> Raw | None:
        if not self.keyless and seen.headers.get("authorization") != f"Bearer {KEY}":
            return self.error(401, "Incorrect API key provided", code="invalid_api_key")
        if seen.path != "/v1/chat/completions" or not seen.body.get("messages"):
            return self.error(400, "'messages' is required")
        if seen.body["model"] == "no-such":
            return self.error(404, "The model `no-such` does not exist", code="model_not_found")
        return None

    def streams(self, seen: Seen) -> bool:
        return seen.body.get("stream") is True

    def usage(self, said: Said) -> Any:
        if said.usage is not None:
            return said.usage
        return {
            "prompt_tokens": said.read,
            "completion_tokens": said.written,
            "total_tokens": said.read + said.written,
            "prompt_tokens_details": {"cached_tokens": said.cached},
            "completion_tokens_details": {"reasoning_tokens": said.reasoning},
        }

    def whole(self, said: Said) -> Any:
        message = {"role": "assistant", "content": said.text}
        if said.thoughts:
            message["reasoning_content"] = said.thoughts
        choice = {"index": 0, "message": message, "finish_reason": FINISHED[said.finish]}
        root = {"object": "chat.completion", "model": said.model, **ROOT}
        return {**root, "choices": [choice], "usage": self.usage(said)}

    def stream(self, said: Said) -> Iterator[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
        deltas += [{"reasoning_content": said.thoughts}] if said.thoughts else []
        deltas += [{"content": each} for each in said.pieces]
        for delta in deltas:
            yield self._chunk(said, [{"index": 0, "delta": delta, "finish_reason": None}])
        if said.broken:
            return
        end = {"index": 0, "delta": {}, "finish_reason": FINISHED[said.finish]}
        yield self._chunk(said, [end])
        yield self._chunk(said, [], usage=self.usage(said))
        yield b"data: [DONE]\n\n"

    def error(self, status: int, message: str, *, code: str = "") -> Raw:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        value = {"message": message, "type": kind, "param": None, "code": code or status}
        return as_json({"error": value}, status=status)

    def listing(self, seen: Seen) -> Raw:
        assert seen.path == "/v1/models"
        entry = {"id": "model-1", "object": "model", "created": 1, "owned_by": "llamacpp"}
        return as_json({"object": "list", "data": [entry, {"id": 7}, {"id": "bad\x1bname"}]})

    def _chunk(self, said: Said, choices: list[Any], **more: Any) -> bytes:
        root = {"object": "chat.completion.chunk", "model": said.model, **ROOT}
        value = {"choices": choices, **root, **more}
        return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


class NoticingOpenAi(OpenAiApi):
    """Tells when a question has come."""

    def __init__(self) -> None:
        super().__init__(keyless=True)
        self.asked = threading.Event()

    def complaint(self, seen: Seen) -> Raw | None:
        self.asked.set()
        return super().complaint(seen)
