"""Answers that are kept: whether one may be given, and whether a new one is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from runner.core.errors import (
    BadRequest,
    FileAccessError,
    InvalidDocument,
    PlanlockError,
    ReplayMiss,
)
from runner.core.model_call import (
    Answer,
    BudgetNote,
    CacheNote,
    Cost,
    Origin,
    Request,
    Usage,
    ask_digest,
    request_key,
)
from runner.core.text import visible
from runner.models.choice import Chain
from runner.models.semantic import Semantic
from runner.models.store import Store
from runner.models.structured import Form

HOW: Final = "ask with cache mode `auto` or `record` first, or: planlock models import FILE"
_READS: Final = {"auto", "replay"}
_WRITES: Final = {"auto", "record", "live"}
_ALIKE: Final = {"analyze", "summarize"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A stored answer, its address, and whether it is to this question or to one much like it."""

    answer: Answer
    status: Literal["hit", "semantic_hit"]
    key: str


@dataclass(kw_only=True)
class Shelf:
    """What is kept for one question; `notes` say which stored answers do not count, and why.

    `ref` is the model that is asked first, which is part of the address; None where there is none.
    """

    request: Request
    ref: str | None
    store: Store | None
    semantic: Semantic | None = None
    form: Form | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            self.ask = ask_digest(self.request)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadRequest(f"reading the request: {error}") from error
        self.key = request_key(self.request, self.ref) if self.ref else None

    def find(self) -> Found | None:
        """Give what may be given; raises ReplayMiss where nothing else is allowed."""
        mode = self.request.cache.mode
        answer = self._exact() if mode in _READS else None
        if answer is not None:
            return Found(answer=answer, status="hit", key=answer.cache.key)
        if mode == "replay":
            raise ReplayMiss(_missing(self.notes), hint=HOW)
        return self._alike()

    def keep(self, answer: Answer) -> None:
        """Keep a whole answer; raises FileAccessError where keeping it is what was asked for."""
        mode, key = self.request.cache.mode, self.key
        whole = answer.finish_reason == "stop"
        if self.store is None or key is None or not whole or mode not in _WRITES:
            return
        if mode == "live" and self._get(key) is not None:
            return
        kept = _to_keep(self.request, answer)
        try:
            self.store.put(self.request, ask=self.ask, key=key, answer=kept)
        except FileAccessError:
            if mode == "record":
                raise
        if (semantic := self._semantic()) is not None and self.ref is not None:
            semantic.add(self.request, model=self.ref, answer=kept)

    def _exact(self) -> Answer | None:
        answer = self._get(self.key) if self.key else None
        return answer or (self._get(None) if self._any_model() else None)

    def _any_model(self) -> bool:
        """Whether the answer counts whichever model gave it.

        It does where no model is there to ask, and where a replay asks for no certain one: it may
        run where other models are configured than where the answer was recorded.
        """
        request = self.request
        free = request.model is None and request.tier == "auto"
        return free and (self.ref is None or request.cache.mode == "replay")

    def _get(self, key: str | None) -> Answer | None:
        """Read and check a stored answer; what cannot be read does not count."""
        if self.store is None:
            return None
        try:
            answer = self.store.get(self.ask, key)
        except (InvalidDocument, FileAccessError, ReplayMiss) as error:
            self._note(_told(error))
            return None
        return answer if answer and self._sound(answer) else None

    def _alike(self) -> Found | None:
        semantic = self._semantic()
        if semantic is None or self.ref is None or self.key is None:
            return None
        answer = semantic.find(self.request, model=self.ref)
        if answer is None or not self._sound(answer):
            return None
        return Found(answer=answer, status="semantic_hit", key=self.key)

    def _semantic(self) -> Semantic | None:
        """The semantic cache where it is wished for and allowed: never for plans and edits."""
        cache = self.request.cache
        allowed = cache.semantic and cache.mode == "auto" and self.request.kind in _ALIKE
        return self.semantic if allowed else None

    def _sound(self, answer: Answer) -> bool:
        why = ""
        if answer.finish_reason != "stop" or (self.form is None and answer.text is None):
            why = "it is no whole answer"
        elif self.form is not None:
            why = next(iter(self.form.check(answer.data).problems), "")
        if why:
            self._note(why)
        return not why

    def _note(self, why: str) -> None:
        self.notes.append(visible(f"stored answer: {why}"))


def address(request: Request, chain: Chain) -> str | None:
    """Name the model under which an answer is kept: the first of the chain.

    One that is asked for by its full name need not be configured to be replayed.
    """
    if chain.models:
        return chain.models[0].ref
    return request.model if request.model and "/" in request.model else None


def given(found: Found, request: Request, *, new_id: str) -> Answer:
    """A stored answer as the answer to this call, which asked nobody and cost nothing."""
    stored = found.answer
    origin = stored.cache.origin or Origin(id=stored.id, attempts=stored.attempts)
    route = stored.route.model_copy(update={"requested_model": request.model})
    note = CacheNote(status=found.status, key=found.key, saved=stored.cost.amount, origin=origin)
    free = {"attempts": [], "usage": Usage(), "cost": Cost(amount="0.00", status="cached")}
    return stored.model_copy(update={**free, "id": new_id, "route": route, "cache": note})


def _to_keep(request: Request, answer: Answer) -> Answer:
    """The answer with whose call it was, and without what held for that call alone."""
    context = request.context
    origin = Origin(
        id=answer.id, run=context.run, step=context.step, attempts=list(answer.attempts)
    )
    cache = answer.cache.model_copy(update={"origin": origin})
    return answer.model_copy(update={"cache": cache, "budget": BudgetNote()})


def _missing(notes: list[str]) -> str:
    because = f" ({'; '.join(notes)})" if notes else ""
    return f"looking for a stored answer: there is none to this question{because}"


def _told(error: PlanlockError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
