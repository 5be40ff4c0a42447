"""Servers of the user's own are asked which models they have, when a model is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runner.core.errors import NoRoute
from runner.core.model_call import Answer, Request, StructureRequest
from runner.models.config import ModelConfig, ModelsConfig
from runner.models.configured import lists_its_own
from runner.models.contract import Failure, Models, OnText, Provider, Purse

# What such a server rarely tells: small enough for most, and an overflow is escalated.
CONTEXT, MAX_OUTPUT = 16_384, 4_096
MOST_MODELS = 50
LONGEST = 500
# A model that gives embeddings answers no question.
EMBEDS = "embed"


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """The configuration with what servers offer; `unreachable` has the reason by provider."""

    config: ModelsConfig
    offers: Mapping[str, Sequence[str]]
    unreachable: Mapping[str, str]


def discover(
    config: ModelsConfig, providers: Mapping[str, Provider], *, model_url: str | None
) -> Discovered:
    """Ask the servers of which no model is listed."""
    offers: dict[str, Sequence[str]] = {}
    unreachable: dict[str, str] = {}
    for name in lists_its_own(config, model_url=model_url):
        try:
            offers[name] = providers[name].offered()
        except Failure as error:
            unreachable[name] = error.message
    found = [model for name, offered in offers.items() for model in _local(name, offered)]
    whole = config.model_copy(update={"models": [*found, *config.models]})
    return Discovered(config=whole, offers=offers, unreachable=unreachable)


def _local(provider: str, offered: Sequence[str]) -> list[ModelConfig]:
    fit = [name for name in offered if 0 < len(name) <= LONGEST and EMBEDS not in name.lower()]
    return [
        ModelConfig(
            provider=provider, name=name, tier="local", context=CONTEXT, max_output=MAX_OUTPUT
        )
        for name in fit[:MOST_MODELS]
    ]


class DiscoveringRouter:
    """A router whose configuration is complete at the first call.

    A server that could not be reached is asked again at the next one.
    """

    def __init__(
        self,
        config: ModelsConfig,
        providers: Mapping[str, Provider],
        *,
        model_url: str | None,
        route: Callable[[ModelsConfig], Models],
    ) -> None:
        self.config = config
        self.providers = providers
        self._model_url = model_url
        self._route = route
        self._lock = threading.Lock()
        self._router: Models | None = None
        self._unreachable: Mapping[str, str] = {}

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text; raises ModelError."""
        return self._told(lambda models: models.complete(request, purse=purse, on_text=on_text))

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema; raises ModelError."""
        return self._told(lambda models: models.structure(request, purse=purse, on_text=on_text))

    def close(self) -> None:
        for provider in self.providers.values():
            provider.close()

    def _told(self, ask: Callable[[Models], Answer]) -> Answer:
        """Ask; where no model serves, name the servers that could have."""
        models = self._opened()
        try:
            return ask(models)
        except NoRoute as error:
            raise self._explained(error) from error

    def _opened(self) -> Models:
        with self._lock:
            if self._router is None or self._unreachable:
                found = discover(self.config, self.providers, model_url=self._model_url)
                self._router = self._route(found.config)
                self._unreachable = found.unreachable
            return self._router

    def _explained(self, error: NoRoute) -> NoRoute:
        """Name the servers that could have served the call."""
        reasons = [f"{name}: {why}" for name, why in self._unreachable.items()]
        message = "; ".join([error.message, *reasons])
        return NoRoute(message, hint=error.hint or "planlock doctor")
