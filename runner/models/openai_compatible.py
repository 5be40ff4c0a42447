"""OpenAI's chat completions, as OpenAI, OpenRouter, vLLM, llama-server and proxies speak it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from runner.core.model_call import FinishReason, Message, Usage
from runner.models.answer_usage import Counted, count, fields, money, usage_of
from runner.models.contract import Ask, OnText, Reply
from runner.models.degrade import (
    Body,
    cannot_enforce,
    exchange,
    refuses,
    with_schema_told,
    without,
)
from runner.models.http import Wire, events, parse_object
from runner.models.http_failures import Trouble
from runner.models.listing import names, vector
from runner.models.reading import Events, Reading, first_of, read, text_of
from runner.models.schema_copies import for_grammar, for_strict, is_strict

OPENAI: Final = "https://api.openai.com/v1"
EMBED_S: Final = 60
_OPTIONAL: Final = ("temperature", "seed", "stream_options", "usage")


class OpenAiCompatible:
    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire
        self._openai = "//api.openai.com" in wire.url
        self._openrouter = "openrouter.ai" in wire.url

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        """Send one request; raises Failure."""

        def lesser(body: Body, trouble: Trouble) -> Body | None:
            return _lesser(ask, body, trouble)

        def send(each: Body, left_s: float) -> Reply:
            answer = _Answer(ask, on_text, secret=self._wire.secret)
            return read(answer, self._events(each, left_s))

        body = self._body(ask, stream=on_text is not None)
        return exchange(send, body, lesser, limit=self._wire.limit(ask.timeout_s))

    def offered(self) -> Sequence[str]:
        return names(self._wire.get("models").get("data"), "id")

    def embed(self, model: str, text: str) -> list[float]:
        """Place a text among others by its meaning; raises Failure."""
        body = {"model": model, "input": text, "encoding_format": "float"}
        found = self._wire.post("embeddings", body, timeout_s=EMBED_S)
        return vector(first_of(found.get("data")).get("embedding"))

    def close(self) -> None:
        self._wire.close()

    def _body(self, ask: Ask, *, stream: bool) -> Body:
        limit = "max_completion_tokens" if self._openai else "max_tokens"
        body: Body = {"model": ask.model, "messages": _messages(ask.messages)}
        body[limit] = ask.max_tokens
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if ask.seed is not None:
            body["seed"] = ask.seed
        if ask.schema is not None:
            body["response_format"] = self._format(ask.schema, ask.schema_name)
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if self._openrouter:
            body["usage"] = {"include": True}
        return body

    def _format(self, schema: Mapping[str, Any], name: str) -> Body:
        if self._openai or self._openrouter:
            copy, strict = for_strict(schema)
        else:
            copy = for_grammar(schema)
            strict = is_strict(copy)
        return {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": strict, "schema": copy},
        }

    def _events(self, body: Body, timeout_s: float) -> Events:
        if "stream" not in body:
            yield self._wire.post("chat/completions", body, timeout_s=timeout_s)
            return
        for data in events(self._wire.lines("chat/completions", body, timeout_s=timeout_s)):
            if data == "[DONE]":
                return
            yield parse_object(data)


class _Answer(Reading):
    FINISHED: ClassVar[Mapping[str, FinishReason]] = {
        "stop": "stop",
        "eos_token": "stop",
        "length": "length",
        "content_filter": "refused",
    }

    def take(self, event: Mapping[str, Any]) -> None:
        self.model = text_of(event.get("model")) or self.model
        self.counts = fields(event.get("usage")) or self.counts
        choice = first_of(event.get("choices"))
        self.checked(choice)
        said = fields(choice.get("delta")) or fields(choice.get("message"))
        self.spoken.add(text_of(said.get("content")))
        self.refusal += text_of(said.get("refusal"))
        self.finish = text_of(choice.get("finish_reason")) or self.finish

    def usage(self, text: str) -> Usage:
        read_details = fields(self.counts.get("prompt_tokens_details"))
        written_details = fields(self.counts.get("completion_tokens_details"))
        counted = Counted(
            read=self.counts.get("prompt_tokens"),
            written=_written(self.counts),
            cached=read_details.get("cached_tokens"),
            created=read_details.get("cache_write_tokens"),
            reasoning=written_details.get("reasoning_tokens"),
        )
        return usage_of(self.ask, text, counted)

    def cost(self) -> Decimal | None:
        return money(self.counts.get("cost"))


def _written(usage: Mapping[str, Any]) -> Any:
    """Output with thoughts: some servers count these in the total alone."""
    asked, written, total = (
        count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if asked is None or written is None or total is None:
        return usage.get("completion_tokens")
    return max(written, total - asked)


def _messages(messages: Sequence[Message]) -> list[Body]:
    return [{"role": each.role, "content": each.content} for each in messages]


def _lesser(ask: Ask, body: Body, trouble: Trouble) -> Body | None:
    """The request without what the server refuses, or None where nothing can be left out."""
    if "max_tokens" in body and refuses(trouble, "max_completion_tokens"):
        return without(body, "max_tokens") | {"max_completion_tokens": ask.max_tokens}
    for name in _OPTIONAL:
        if name in body and refuses(trouble, name):
            return without(body, name)
    if "response_format" in body and cannot_enforce(trouble):
        return without(body, "response_format") | {"messages": _messages(with_schema_told(ask))}
    return None
