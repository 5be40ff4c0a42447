"""Gemini's `generateContent` as its reference documents it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from provider_server import KEY, Api, Raw, Said, Seen, as_json

FINISHED = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}
STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
PATH = re.compile(r"/v1beta/models/([^/:?]+):(generateContent|streamGenerateContent\?alt=sse)")


class GeminiApi(Api):
    kind = "gemini"
    base = "/v1beta"

    def complaint(self, seen: Seen) -> Raw | None:
        if seen.headers.get("x-goog-api-key") != KEY or "key=" in seen.path:
            return self.error(400, "API key not valid. Please pass a valid API key.")
        match = PATH.fullmatch(seen.path)
        if not match or match[1] == "no-such":
            return self.error(404, f"models/no-such is not found for API version {self.base}")
        if not seen.body.get("contents"):
            return self.error(400, "* GenerateContentRequest.contents: contents is not specified")
        roles = {each["role"] for each in seen.body["contents"]}
        return None if roles <= {"user", "model"} else self.error(400, "Please use a valid role")

    def streams(self, seen: Seen) -> bool:
        return "streamGenerateContent" in seen.path

    def usage(self, said: Said) -> Any:
        if said.usage is not None:
            return said.usage
        value = {
            "promptTokenCount": said.read,
            "candidatesTokenCount": said.written - said.reasoning,
            "totalTokenCount": said.read + said.written,
        }
        value |= {"thoughtsTokenCount": said.reasoning} if said.reasoning else {}
        return value | ({"cachedContentTokenCount": said.cached} if said.cached else {})

    def whole(self, said: Said) -> Any:
        parts: list[dict[str, Any]] = [{"text": said.text}]
        if said.thoughts:
            parts.insert(0, {"text": said.thoughts, "thought": True})
        return self._response(said, parts, last=True)

    def stream(self, said: Said) -> Iterator[bytes]:
        parts: list[dict[str, Any]] = [{"text": each} for each in said.pieces]
        if said.thoughts:
            parts.insert(0, {"text": said.thoughts, "thought": True})
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if last and said.broken:
                return
            value = self._response(said, [part], last=last)
            yield b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"

    def error(self, status: int, message: str, *, code: str = "") -> Raw:
        value = {"code": status, "message": message, "status": code or STATUS[status]}
        return as_json({"error": value}, status=status)

    def listing(self, seen: Seen) -> Raw:
        query = parse_qs(urlsplit(seen.path).query)
        if "pageToken" not in query:
            models = [_model("model-1", "generateContent"), _model("embed-1", "embedContent")]
            return as_json({"models": models, "nextPageToken": "two"})
        return as_json({"models": [_model("model-2", "generateContent", "countTokens")]})

    def _response(self, said: Said, parts: list[dict[str, Any]], *, last: bool) -> Any:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        candidate |= {"finishReason": FINISHED[said.finish]} if last else {}
        value = {"candidates": [candidate], "modelVersion": said.model, "responseId": "r1"}
        return value | {"usageMetadata": self.usage(said)}


def _model(name: str, *methods: str) -> Any:
    return {"name": f"models/{name}", "supportedGenerationMethods": list(methods)}
