"""Models whose answers, costs and faults a test states; they spend through the purse as real ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from team import Team, surroundings

from runner.core.errors import ModelError, ReplayMiss
from runner.core.model_call import (
    Answer,
    Attempt,
    CacheNote,
    Cost,
    Origin,
    Request,
    Route,
    StructureRequest,
    Usage,
    request_key,
    total_cost,
    total_usage,
)
from runner.core.values import usd
from runner.models.contract import OnText, Purse, Want
from runner.project import Project, World
from runner.verbs import execute
from runner.verbs.events import Event
from runner.verbs.execute import Options
from runner.verbs.run_report import RunReport

MODEL = "fake/small-1"


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt: at most `worst`, in truth `cost` (None: nobody knows)."""

    cost: str | None = "0.01"
    worst: str | None = "0.02"
    status: Any = "ok"
    tokens: tuple[int, int] = (100, 10)
    cached: int = 0
    reasoning: int = 0
    settles: bool = True


@dataclass(frozen=True, kw_only=True)
class Says:
    """What becomes of one question; `error` ends it after the tries, `dies` before it is kept."""

    text: str = "An answer."
    tries: tuple[Try, ...] = (Try(),)
    error: type[ModelError] | None = None
    dies: bool = False
    finish_reason: Any = "stop"


@dataclass
class FakeModels:
    """Answers in the order given, and keeps what it answered: the same question is a hit."""

    says: list[Says]
    requests: list[Request] = field(default_factory=list)
    store: dict[str, Answer] = field(default_factory=dict)

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        key = request_key(request, MODEL)
        if key in self.store:
            self.requests.append(request)
            return _hit(self.store[key], key)
        if request.cache.mode == "replay":
            raise ReplayMiss("looking for a stored answer: there is none to this question")
        self.requests.append(request)
        said = self.says.pop(0)
        attempts = tuple(_attempt(n, each, purse) for n, each in enumerate(said.tries, start=1))
        if said.error is not None:
            error = said.error("asking fake/small-1: it went wrong")
            error.attempts = attempts
            raise error
        if on_text:
            on_text(said.text)
        answer = _answer(request, said, attempts, key=key, number=len(self.store))
        self.store[key] = answer
        if said.dies:
            raise KeyboardInterrupt
        return answer

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def _attempt(number: int, each: Try, purse: Purse | None) -> Attempt:
    sent, got = each.tokens
    worst = None if each.worst is None else Decimal(each.worst)
    if purse is not None:
        name = purse.reserve(Want(usd=worst, tokens=sent + got, model=MODEL))
        if not each.settles:
            raise KeyboardInterrupt
        true = None if each.cost is None else Decimal(each.cost)
        purse.settle(name, usd=true, tokens=sent + got)
    return Attempt(
        n=number,
        provider="fake",
        model="small-1",
        response_model="small-1-001",
        status=each.status,
        usage=Usage(
            input_tokens=sent,
            output_tokens=got,
            cache_read_input_tokens=each.cached,
            reasoning_output_tokens=each.reasoning,
            source="provider",
        ),
        cost=Cost(
            amount=None if each.cost is None else usd(Decimal(each.cost)),
            status="unknown" if each.cost is None else "computed",
            price_source="a test",
        ),
        latency_ms=1,
        raw_usage={"prompt": sent, "share": 0.5},
    )


def _answer(
    request: Request, said: Says, attempts: tuple[Attempt, ...], *, key: str, number: int
) -> Answer:
    listed = list(attempts)
    own = f"A{number}-{request.context.run}-{request.context.step}"
    return Answer(
        id=own,
        text=said.text,
        finish_reason=said.finish_reason,
        route=Route(
            provider="fake",
            requested_model=None,
            response_model="small-1-001",
            reason="the only model",
        ),
        attempts=listed,
        usage=total_usage(listed),
        cost=total_cost(listed),
        cache=CacheNote(
            status="miss",
            key=key,
            origin=Origin(
                id=own, run=request.context.run, step=request.context.step, attempts=listed
            ),
        ),
        latency_ms=1,
    )


def _hit(answer: Answer, key: str) -> Answer:
    note = CacheNote(status="hit", key=key, saved=answer.cost.amount, origin=answer.cache.origin)
    nothing = {"attempts": [], "usage": Usage(), "cost": Cost(amount="0.00", status="cached")}
    return answer.model_copy(update={**nothing, "id": "H-" + answer.id, "cache": note})


@contextmanager
def opened(team: Team, models: FakeModels, who: str = "ada") -> Iterator[Project]:
    """The team's project with these models, at a clock that stands still."""
    environment = team.environment(who)
    world = World(
        now=lambda: datetime.now(UTC).replace(microsecond=0),
        random=os.urandom,
        environment=environment,
        folder=team.root,
    )
    with surroundings(team.root, environment), Project(world) as project:
        vars(project)["models"] = models
        yield project


def run(
    team: Team,
    plan: str,
    *says: Says,
    models: FakeModels | None = None,
    listener: Callable[[Event], None] = lambda _: None,
    retry: bool = False,
) -> RunReport:
    """Run a plan with models that say this."""
    fake = models or FakeModels(list(says))
    if models is not None:
        fake.says += says
    with opened(team, fake) as project:
        return execute.run(project, plan, Options(retry=retry), listener)
