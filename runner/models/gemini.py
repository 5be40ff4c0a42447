"""Gemini's own API: `generateContent` and `streamGenerateContent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote

from runner.core.model_call import FinishReason, Message, Usage
from runner.models.answer_usage import Counted, count, fields, usage_of
from runner.models.contract import Ask, OnText, Reply
from runner.models.degrade import Body, cannot_enforce, exchange, with_schema_told, without
from runner.models.http import Wire, events, parse_object
from runner.models.http_failures import Trouble
from runner.models.listing import names
from runner.models.reading import Events, Reading, first_of, read, text_of
from runner.models.schema_copies import for_gemini

GEMINI: Final = "https://generativelanguage.googleapis.com/v1beta"
MAX_PAGES: Final = 20
_PREFIX: Final = "models/"
_METHOD: Final = "generateContent"


class Gemini:
    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        """Send one request; raises Failure."""

        def lesser(body: Body, trouble: Trouble) -> Body | None:
            return _lesser(ask, body, trouble)

        def send(each: Body, left_s: float) -> Reply:
            answer = _Answer(ask, on_text, secret=self._wire.secret)
            return read(answer, self._events(ask, each, left_s, stream=on_text is not None))

        return exchange(send, _body(ask), lesser, limit=self._wire.limit(ask.timeout_s))

    def offered(self) -> Sequence[str]:
        found: list[str] = []
        token = ""
        for _ in range(MAX_PAGES):
            wanted = {"pageSize": "1000"} | ({"pageToken": token} if token else {})
            page = self._wire.get("models", params=wanted)
            found += _generating(page.get("models"))
            token = text_of(page.get("nextPageToken"))
            if not token:
                break
        return found

    def close(self) -> None:
        self._wire.close()

    def _events(self, ask: Ask, body: Body, left_s: float, *, stream: bool) -> Events:
        model = quote(ask.model.removeprefix(_PREFIX), safe="")
        if stream:
            path = f"{_PREFIX}{model}:streamGenerateContent?alt=sse"
            for data in events(self._wire.lines(path, body, timeout_s=left_s)):
                yield parse_object(data)
        else:
            path = f"{_PREFIX}{model}:{_METHOD}"
            yield self._wire.post(path, body, timeout_s=left_s)


class _Answer(Reading):
    FINISHED: ClassVar[Mapping[str, FinishReason]] = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "refused",
        "RECITATION": "refused",
        "LANGUAGE": "refused",
        "BLOCKLIST": "refused",
        "PROHIBITED_CONTENT": "refused",
        "SPII": "refused",
        "OTHER": "refused",
    }

    def take(self, event: Mapping[str, Any]) -> None:
        self.model = text_of(event.get("modelVersion")) or self.model
        self.counts = fields(event.get("usageMetadata")) or self.counts
        self.refused |= bool(fields(event.get("promptFeedback")).get("blockReason"))
        candidate = first_of(event.get("candidates"))
        parts = fields(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else ():
            self.spoken.add(_said(fields(part)))
        self.finish = text_of(candidate.get("finishReason")) or self.finish

    def usage(self, text: str) -> Usage:
        counted = Counted(
            read=self.counts.get("promptTokenCount"),
            written=_written(self.counts),
            cached=self.counts.get("cachedContentTokenCount"),
            reasoning=self.counts.get("thoughtsTokenCount"),
        )
        return usage_of(self.ask, text, counted)


def _written(usage: Mapping[str, Any]) -> int | None:
    """Output with thoughts; `candidatesTokenCount` alone would leave these unpaid."""
    asked, total = count(usage.get("promptTokenCount")), count(usage.get("totalTokenCount"))
    parts = [usage.get(name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    written = sum(count(each) or 0 for each in parts)
    if any(each is not None and count(each) is None for each in parts):
        return None
    if total is None:
        return written
    return max(written, total - asked) if asked is not None and total >= asked else None


def _said(part: Mapping[str, Any]) -> str:
    return "" if part.get("thought") else text_of(part.get("text"))


def _body(ask: Ask) -> Body:
    config: Body = {"maxOutputTokens": ask.max_tokens}
    if ask.temperature is not None:
        config["temperature"] = ask.temperature
    if ask.seed is not None:
        config["seed"] = ask.seed
    if ask.schema is not None:
        schema = for_gemini(ask.schema)
        config |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
    return _prompt(ask.messages) | {"generationConfig": config}


def _prompt(messages: Sequence[Message]) -> Body:
    """System messages apart from the talk, which must not be empty."""
    system = [{"text": each.content} for each in messages if each.role == "system"]
    talk = [_turn(each) for each in messages if each.role != "system"]
    if not talk:
        return {"contents": [{"role": "user", "parts": system}]}
    return {"contents": talk} | ({"systemInstruction": {"parts": system}} if system else {})


def _turn(message: Message) -> Body:
    role = "model" if message.role == "assistant" else "user"
    return {"role": role, "parts": [{"text": message.content}]}


def _lesser(ask: Ask, body: Body, trouble: Trouble) -> Body | None:
    """The request without a schema that Gemini finds too complex."""
    config = body["generationConfig"]
    if "responseJsonSchema" not in config or not cannot_enforce(trouble):
        return None
    less = without(config, "responseJsonSchema")
    return _prompt(with_schema_told(ask)) | {"generationConfig": less}


def _generating(models: Any) -> list[str]:
    def able(model: Any) -> bool:
        methods = fields(model).get("supportedGenerationMethods")
        return isinstance(methods, list) and _METHOD in methods

    found = [each for each in models if able(each)] if isinstance(models, list) else models
    return [name.removeprefix(_PREFIX) for name in names(found, "name")]
