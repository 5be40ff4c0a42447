"""Ollama's own API: `/api/chat`, with the context's size told and a cut prompt found out.

Ollama cuts a prompt that is longer than `num_ctx` and says nothing. `truncate: false` makes
newer servers refuse instead. Older ones ignore it; there the count of the prompt's tokens tells:
it is about the whole window, or about half of it, or far too few for so many bytes. But a server
that had the prompt's beginning in its cache may count only the rest, or nothing. So a low count
condemns an answer only where the prompt may have been too long: then it is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from runner.core.model_call import FinishReason, Message, Usage
from runner.models.answer_usage import SPARSE, Counted, asked_bytes, count, fields, usage_of
from runner.models.contract import Ask, Failure, OnText, Reply
from runner.models.degrade import Body, cannot_enforce, exchange, with_schema_told, without
from runner.models.http import Wire, parse_object
from runner.models.http_failures import Trouble
from runner.models.listing import names, vector
from runner.models.reading import Events, Reading, read, text_of

OLLAMA: Final = "http://127.0.0.1:11434"
EMBED_S: Final = 60
# Bytes for a token: text is never so dense; and half a window's are more than so.
DENSE: Final = 2
HALVED: Final = 5
# Tokens: what a template adds to a message, and how near a count comes to where it was cut.
MESSAGE_TOKENS: Final = 16
NEAR: Final = 8
_READ: Final = "prompt_eval_count"
_WRITTEN: Final = "eval_count"
_COUNTS: Final = (_READ, _WRITTEN)


class Ollama:
    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire

    def ask(self, ask: Ask, on_text: OnText | None) -> Reply:
        """Send one request; raises Failure."""

        def lesser(body: Body, trouble: Trouble) -> Body | None:
            if "format" not in body or not cannot_enforce(trouble):
                return None
            return without(body, "format") | {"messages": _messages(with_schema_told(ask))}

        body = _body(ask, stream=on_text is not None)

        def send(each: Body, left_s: float) -> Reply:
            answer = _Answer(ask, on_text, secret=self._wire.secret)
            return read(answer, self._events(each, left_s))

        return exchange(send, body, lesser, limit=self._wire.limit(ask.timeout_s))

    def offered(self) -> Sequence[str]:
        return names(self._wire.get("api/tags").get("models"), "name")

    def embed(self, model: str, text: str) -> list[float]:
        """Place a text among others by its meaning; raises Failure."""
        body = {"model": model, "input": text, "truncate": False}
        found = self._wire.post("api/embed", body, timeout_s=EMBED_S).get("embeddings")
        return vector(found[0] if isinstance(found, list) and found else None)

    def close(self) -> None:
        self._wire.close()

    def _events(self, body: Body, timeout_s: float) -> Events:
        if not body["stream"]:
            yield self._wire.post("api/chat", body, timeout_s=timeout_s)
            return
        for line in self._wire.lines("api/chat", body, timeout_s=timeout_s):
            if line.strip():
                yield parse_object(line)


class _Answer(Reading):
    FINISHED: ClassVar[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length"}

    def take(self, event: Mapping[str, Any]) -> None:
        self.model = text_of(event.get("model")) or self.model
        self.spoken.add(text_of(fields(event.get("message")).get("content")))
        if event.get("done") is True:
            self.finish = text_of(event.get("done_reason")) or "stop"
            self.counts = {name: event[name] for name in _COUNTS if name in event}

    def finish_reason(self, text: str) -> FinishReason:
        if self.finish and was_cut(self.ask, count(self.counts.get(_READ))):
            message = f"the prompt was cut to fit {self.ask.window} tokens of context"
            raise Failure("context_too_long", message, usage=self.usage(text))
        finish = super().finish_reason(text)
        return "length" if self._overflowed() else finish

    def usage(self, text: str) -> Usage:
        counted = Counted(read=self.counts.get(_READ), written=self.counts.get(_WRITTEN))
        return usage_of(self.ask, text, counted)

    def _overflowed(self) -> bool:
        """Tell whether the beginning was forgotten while writing, which older servers do."""
        return sum(count(each) or 0 for each in self.counts.values()) > self.ask.window


def was_cut(ask: Ask, read: int | None) -> bool:
    """Tell whether a prompt of so many bytes, counted as `read` tokens, was cut to the window."""
    size, window = asked_bytes(ask), ask.window
    if read is not None and read >= window - NEAR:
        return True
    if size // DENSE + MESSAGE_TOKENS * len(ask.messages) <= window:
        return False
    half = window // 2
    halved = read is not None and half <= read <= half + NEAR and size > HALVED * read
    return halved or size > SPARSE * (read or 0)


def _body(ask: Ask, *, stream: bool) -> Body:
    options: Body = {"num_ctx": ask.window, "num_predict": ask.max_tokens}
    if ask.temperature is not None:
        options["temperature"] = ask.temperature
    if ask.seed is not None:
        options["seed"] = ask.seed
    body: Body = {"model": ask.model, "messages": _messages(ask.messages), "stream": stream}
    body |= {"options": options, "truncate": False, "shift": False}
    return body | ({"format": dict(ask.schema)} if ask.schema is not None else {})


def _messages(messages: Sequence[Message]) -> list[Body]:
    return [{"role": each.role, "content": each.content} for each in messages]
