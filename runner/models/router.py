"""The router: choose a model, ask it, check what it says, account for every attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial

from runner.core.model_call import (
    Answer,
    CacheNote,
    Request,
    Route,
    StructureRequest,
    ValidationNote,
    request_key,
    total_cost,
    total_usage,
)
from runner.models import router_cache
from runner.models.choice import choose, wanted
from runner.models.config import ModelConfig, ModelsConfig
from runner.models.contract import Clock, OnText, Provider, Purse
from runner.models.prices import Price, Prices
from runner.models.router_cache import Found, Shelf
from runner.models.router_call import Call
from runner.models.router_chain import Said, Walk, data_by, text_by
from runner.models.semantic import Semantic
from runner.models.store import Store
from runner.models.structured import Form


class Router:
    """`providers` by name; everything that waits or is random comes from `clock`.

    Without a store nothing is kept; without prices no price is known. One router serves any
    number of threads.
    """

    def __init__(  # noqa: PLR0913  # what a router depends on
        self,
        config: ModelsConfig,
        providers: Mapping[str, Provider],
        *,
        clock: Clock,
        store: Store | None = None,
        prices: Prices | None = None,
        semantic: Semantic | None = None,
    ) -> None:
        self.config = config
        self.providers = providers
        self.clock = clock
        self.store = store
        self.prices = prices
        self.semantic = semantic if config.semantic else None

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text; raises ModelError, and FileAccessError where it cannot be recorded."""
        call = self._call(request, purse, on_text)
        return self._answer(call, partial(text_by, call))

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema; raises as `complete` does."""
        form = Form(request.json_schema)
        call = self._call(request, purse, on_text)
        return self._answer(call, partial(data_by, call, form), form)

    def close(self) -> None:
        for provider in self.providers.values():
            provider.close()

    def price(self, model: ModelConfig) -> Price | None:
        return self.prices.of(self.config, model) if self.prices else None

    def _call(self, request: Request, purse: Purse | None, on_text: OnText | None) -> Call:
        return Call(
            request=request,
            providers=self.providers,
            price=self.price,
            clock=self.clock,
            retries=self.config.retries,
            purse=purse,
            on_text=on_text,
        )

    def _answer(
        self, call: Call, ask: Callable[[ModelConfig], Said], form: Form | None = None
    ) -> Answer:
        request = call.request
        chain = choose(self.config, wanted(request), self.price)
        shelf = Shelf(
            request=request,
            ref=router_cache.address(request, chain),
            store=self.store,
            semantic=self.semantic,
            form=form,
        )
        if (found := shelf.find()) is not None:
            return _stored(call, found)
        if chain.refusal is not None:
            raise chain.refusal
        walk = Walk(call=call, chain=chain)
        said = walk.first(ask)
        tried = [*shelf.notes, *walk.fallbacks(said.model.ref)]
        answer = _answered(call, said, tried=tried, key=request_key(request, chain.models[0].ref))
        if not walk.poor:
            shelf.keep(answer)
        return answer


def _stored(call: Call, found: Found) -> Answer:
    answer = router_cache.given(found, call.request, new_id=call.clock.new_id())
    if call.on_text is not None:
        call.on_text(_words(answer))
    took = {"budget": call.remaining(), "latency_ms": call.latency_ms}
    return answer.model_copy(update=took)


def _answered(call: Call, said: Said, *, tried: list[str], key: str) -> Answer:
    is_data = isinstance(call.request, StructureRequest)
    # A request that was refused used nothing, and so says nothing about who counted the tokens.
    counted = [each for each in call.attempts if each.usage.source != "none" or each.usage.total]
    return Answer(
        id=call.clock.new_id(),
        text=None if is_data else said.reply.text,
        data=said.data,
        finish_reason=said.reply.finish_reason,
        route=Route(
            provider=said.model.provider,
            requested_model=call.request.model,
            response_model=said.reply.response_model,
            reason=said.reason,
            fallbacks=tried,
        ),
        attempts=list(call.attempts),
        usage=total_usage(counted),
        cost=total_cost(call.attempts),
        cache=CacheNote(status="miss", key=key),
        validation=ValidationNote(ok=True, repairs=said.repairs) if is_data else None,
        budget=call.remaining(),
        latency_ms=call.latency_ms,
    )


def _words(answer: Answer) -> str:
    if answer.text is not None:
        return answer.text
    return json.dumps(answer.data, ensure_ascii=False)
