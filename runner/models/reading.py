"""An answer while it is read: whole in one object, or in pieces; then a reply or a failure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any, ClassVar

from runner.core.model_call import FinishReason, Usage
from runner.models.answer_text import Spoken
from runner.models.answer_usage import at_most, fields, raw
from runner.models.contract import Ask, Failure, FailureKind, OnText, Reply
from runner.models.http_failures import Told, one_line, told, trouble_of

Events = Generator[Mapping[str, Any], None, None]


class Reading(ABC):
    """What all providers' answers have in common; `counts` is the provider's account of tokens."""

    FINISHED: ClassVar[Mapping[str, FinishReason]]

    def __init__(self, ask: Ask, on_text: OnText | None, *, secret: str) -> None:
        self.ask = ask
        self.spoken = Spoken(on_text)
        self.streamed = on_text is not None
        self.secret = secret
        self.finish = ""
        self.refusal = ""
        self.refused = False
        self.model = ""
        self.counts: Mapping[str, Any] = {}

    @abstractmethod
    def take(self, event: Mapping[str, Any]) -> None:
        """Take in what the answer, or a piece of it, says."""

    @abstractmethod
    def usage(self, text: str) -> Usage:
        """Tokens by the provider's account, else estimated."""

    def reply(self) -> Reply:
        """Conclude; raises Failure where there is no answer."""
        text = self.spoken.end()
        finish = self.finish_reason(text)
        return Reply(
            text=text or one_line(self.refusal, secret=self.secret),
            finish_reason=finish,
            usage=self.usage(text or self.refusal),
            response_model=one_line(self.model, secret=self.secret) or self.ask.model,
            raw_usage=raw(self.counts),
            cost_usd=self.cost(),
        )

    def finish_reason(self, text: str) -> FinishReason:
        finish = "refused" if self.refused or self.refusal else self.FINISHED.get(self.finish)
        if finish is None and not self.finish:
            kind: FailureKind = "unavailable" if self.streamed else "malformed"
            raise Failure(kind, "an answer without its end")
        if finish is None:
            raise Failure("malformed", f"an answer finished by {one_line(self.finish)!r}")
        if finish == "stop" and not text:
            raise Failure("malformed", "an empty answer", usage=self.usage(text))
        return finish

    def cost(self) -> Decimal | None:
        """What the provider says that the call cost."""
        return None

    def known_usage(self) -> Usage | None:
        """What a broken answer has surely cost."""
        usage = self.usage(self.spoken.end())
        return usage if usage.source == "provider" else None

    def checked(self, event: Mapping[str, Any]) -> None:
        """Raise the error that stands where an answer should."""
        if event.get("error"):
            raise told(trouble_of(event["error"], status=0, secret=self.secret))


def read(reading: Reading, events: Events) -> Reply:
    """Read an answer to its end; a failure tells what was used as far as the provider said it."""
    try:
        with closing(events):
            for event in events:
                reading.checked(event)
                reading.take(event)
        return reading.reply()
    except Failure as failure:
        failure.usage = failure.usage or reading.known_usage()
        if failure.usage is None and reading.spoken.any and isinstance(failure, Told):
            # a model had begun, whatever the error is called: that is paid for
            failure.usage = at_most(reading.ask)
        raise


def text_of(value: Any) -> str:
    """A text, empty for what is none."""
    return value if isinstance(value, str) else ""


def first_of(value: Any) -> Mapping[str, Any]:
    """The first object of a list, empty where there is none."""
    return fields(value[0]) if isinstance(value, list) and value else {}
