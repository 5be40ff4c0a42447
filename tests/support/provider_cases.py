"""Providers opened on servers of the tests, and questions for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from provider_server import KEY, Api, ProviderServer, serving

from runner.core.model_call import Message
from runner.models import providers
from runner.models.config import ProviderConfig
from runner.models.contract import Ask, Failure, OnText, Provider, Reply

QUESTION = "Which of the files is it?"
SCHEMA = {
    "type": "object",
    "properties": {"g": {"type": "string", "maxLength": 20}},
    "required": ["g"],
    "additionalProperties": False,
}


def an_ask(*messages: Message, **changes: Any) -> Ask:
    said = messages or (message("system", "You are brief."), message("user", QUESTION))
    values = {"model": "model-1", "messages": said, "max_tokens": 64, "timeout_s": 20}
    return Ask(**{**values, "window": 4096, **changes})


def message(role: Any, content: str) -> Message:
    return Message(role=role, content=content)


@dataclass
class Served:
    """A provider and the server that it asks."""

    server: ProviderServer
    provider: Provider

    def ask(self, ask: Ask | None = None, *, on_text: OnText | None = None) -> Reply:
        return self.provider.ask(ask or an_ask(), on_text)

    def streamed(self, ask: Ask | None = None) -> tuple[Reply, list[str]]:
        heard: list[str] = []
        return self.ask(ask, on_text=heard.append), heard

    def failure(self, ask: Ask | None = None, *, stream: bool = False) -> Failure:
        with pytest.raises(Failure) as caught:
            self.ask(ask, on_text=(lambda _text: None) if stream else None)
        shown = [str(caught.value), repr(caught.value), repr(vars(caught.value)), caught.getrepr()]
        assert not [each for each in shown if KEY in str(each)]
        return caught.value

    @property
    def body(self) -> Any:
        """What the last request said."""
        return self.server.seen[-1].body


@contextmanager
def served(api: Api) -> Iterator[Served]:
    """A provider made as configured, with its key from the environment."""
    with serving(api) as server:
        provider = opened(api.kind, server.url)
        try:
            yield Served(server, provider)
        finally:
            provider.close()


def opened(kind: Any, url: str) -> Provider:
    config = ProviderConfig(name="tried", kind=kind, url=url, key="A_KEY")
    return providers.make(config, {"A_KEY": f" {KEY}\n"})
