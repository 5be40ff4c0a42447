"""Ask models for one step of a run: redacted, within the budgets, every attempt on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from runner.core import budget
from runner.core.budget import Account, Reservation
from runner.core.cost import STORED, Call
from runner.core.errors import (
    BudgetExceeded,
    LedgerError,
    ModelError,
    NoRoute,
    PriceUnknown,
    Reason,
)
from runner.core.gate import Decision, Question
from runner.core.model_call import (
    REMOTE_CALL_USD,
    Answer,
    BudgetWish,
    Request,
    StructureRequest,
    ask_digest,
)
from runner.core.plan import Step
from runner.core.redaction import redact_request
from runner.core.text import visible
from runner.core.values import usd
from runner.models.contract import Models, OnText, Purse
from runner.verbs import purses, secret_values, transcripts
from runner.verbs.session import Session

if TYPE_CHECKING:
    from runner.ledger.reservations import LedgerPurse
    from runner.ledger.store import Ledger

ASKING = "asking "
HALTS = (BudgetExceeded, PriceUnknown, NoRoute)
# Of tokens, a question to a router over HTTP may take these many worst attempts.
REMOTE_ATTEMPTS = 4

AnyRequest = TypeVar("AnyRequest", bound=Request)
Number = TypeVar("Number", int, Decimal)


class StepModels:
    """The models as one step may use them: `Models`, with the step's own purse.

    Prompts are redacted before they are hashed or sent. `transcripts` are the questions so far
    with their answers; `recorded()` gives the calls that belong into the step's record.
    """

    def __init__(
        self, held: Session, step: Step, *, question: Question, decision: Decision
    ) -> None:
        self.held = held
        self.step = step
        self.budgets = question.policy.policy.budgets
        self.bounds = purses.step_bounds(held, step, question, decision)
        self.calls: list[Call] = []
        self.transcripts: list[dict[str, Any]] = []
        self._book: tuple[Ledger | None] | None = None
        environment = held.project.world.environment
        self.hidden = secret_values.of(environment, question.policy.policy).hidden

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text; the purse is the step's, none other. Raises ModelError or LedgerError."""
        _refuse(purse)
        return self._answer(
            self._ready(request),
            lambda models, ready, own: models.complete(ready, purse=own, on_text=on_text),
        )

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema, paid as a text is. Raises as `complete`."""
        _refuse(purse)
        return self._answer(
            self._ready(request),
            lambda models, ready, own: models.structure(ready, purse=own, on_text=on_text),
        )

    def close(self) -> None:
        """Leave the models open: they are the project's."""

    @property
    def ledger(self) -> Ledger | None:
        """The book of reservations, opened with the first question; raises LedgerError."""
        if self._book is None:
            self._book = (purses.open_book(self.held.project, self.bounds),)
        return self._book[0]

    @property
    def remembered(self) -> bool:
        """Whether what was spent stays known without a record."""
        return self.ledger is not None or all(call.status in STORED for call in self.calls)

    def recorded(self) -> tuple[Call, ...]:
        """Every attempt at this step, and those that an ended runner could not record."""
        if self._book is None:
            return ()
        named = {call.reservation for call in self.calls}
        try:
            lost = [each for each in self._unrecorded() if each.id not in named]
        except LedgerError:
            return tuple(self.calls)  # what is lost counts on in the ledger
        spent = [each for each in lost if each.counts != budget.NOTHING]
        return (*self.calls, *map(transcripts.lost_call, spent))

    def _ready(self, request: AnyRequest) -> AnyRequest:
        """Redact the prompt, and say for whom the question is."""
        safe = redact_request(request, self.hidden)
        place = purses.step_place(self.held, self.step)
        names = {"project": place.project, "run": self._run, "step": self.step.id}
        context = request.context.model_copy(update=names)
        return safe.model_copy(update={"context": context})

    def _answer(
        self, ready: AnyRequest, ask: Callable[[Models, AnyRequest, Purse | None], Answer]
    ) -> Answer:
        """Ask with the money that is left; without any, give what is stored or raise."""
        purse = self._purse(ask_digest(ready))
        try:
            wish = self._wish(ready, purse)
        except BudgetExceeded as error:
            return self._stored(ready, ask, error)
        bounded = ready.model_copy(update={"budget": wish})
        return self._asked(bounded, purse, lambda models: ask(models, bounded, purse))

    def _stored(
        self,
        ready: AnyRequest,
        ask: Callable[[Models, AnyRequest, Purse | None], Answer],
        error: BudgetExceeded,
    ) -> Answer:
        """Give a stored answer, which costs nothing; raises the error where there is none."""
        if ready.cache.mode not in {"auto", "replay"}:
            raise error
        cache = ready.cache.model_copy(update={"mode": "replay"})
        replay = ready.model_copy(update={"cache": cache})

        def stored(models: Models) -> Answer:
            answer = ask(models, replay, None)
            if answer.cache.status not in STORED:
                raise error
            return answer

        try:
            return self._asked(replay, None, stored)
        except ModelError:
            raise error from None

    @property
    def _run(self) -> str:
        return f"{self.held.plan.id}/{self.held.number}"

    def _purse(self, ask: str) -> LedgerPurse | None:
        if self.ledger is None:
            return None
        return purses.purse(
            self.held.project,
            self.ledger,
            purses.step_place(self.held, self.step, ask),
            self.bounds,
            warn=lambda text: self.held.tell("note", text=text),
        )

    def _wish(self, request: Request, purse: LedgerPurse | None) -> BudgetWish:
        """Bound the request itself where the purse cannot: without a ledger, or over HTTP.

        Raises BudgetExceeded where nothing is left.
        """
        wish, free = request.budget, self.budgets.allow_unpriced
        remote = self.held.project.model_settings.router_url is not None
        place = purses.step_place(self.held, self.step)
        accounts = purse.accounts() if purse else budget.accounts(self.bounds, place, ())
        for account in accounts:
            if why := account.exhausted(allow_unpriced=free):
                raise BudgetExceeded(f"{ASKING}a model: {why}", hint=purses.fix(place))
        own = None if wish.max_cost_usd is None else Decimal(wish.max_cost_usd)
        tokens = wish.max_tokens
        if purse is None or remote:
            own = _least(own, self._most_money(accounts, remote=remote))
        if purse is None or free or remote:
            tokens = _least(tokens, _most_tokens(request, accounts, remote=remote))
        return BudgetWish(
            max_cost_usd=None if own is None else usd(own), max_tokens=tokens, allow_unpriced=free
        )

    def _most_money(self, accounts: Sequence[Account], *, remote: bool) -> Decimal | None:
        left = budget.least_money(accounts, allow_unpriced=self.budgets.allow_unpriced)
        capped = remote and left is not None and self.budgets.call_usd is None
        return _least(left, REMOTE_CALL_USD) if capped else left

    def _asked(
        self, request: Request, purse: LedgerPurse | None, ask: Callable[[Models], Answer]
    ) -> Answer:
        number = len(self.held.run.records) + 1
        file = f"calls/{number:03d}-{len(self.transcripts) + 1}.yaml"
        made = purse.made if purse else []
        self.held.tell("asking", step=self.held.plan.file.index(self.step.id))
        try:
            answer = ask(self.held.project.models)
        except ModelError as error:
            self._keep_failed(request, file, made, error)
            raise
        calls = transcripts.answer_calls(answer, file=file, kind=request.kind, reservations=made)
        if answer.cache.status in STORED:
            calls += self._from_store(request, answer, file)
        self.calls += calls
        self.transcripts.append(transcripts.of_answer(request, answer, file=file, calls=calls))
        return answer

    def _from_store(self, request: Request, answer: Answer, file: str) -> list[Call]:
        """The stored answer; with what it cost where this step asked for it and never told.

        The ledger tells: another clone may have a run and a step of the same name. Without a
        ledger it counts as ours.
        """
        origin = answer.cache.origin
        told = {call.id for each in self.held.run.records for call in each.record.calls}
        told |= {call.id for call in self.calls}
        ours = origin is not None and (origin.run, origin.step) == (self._run, self.step.id)
        ask = ask_digest(request)
        held = [each.id for each in self._unrecorded() if each.place.ask == ask]
        ours = ours and (bool(held) or self.ledger is None)
        if origin is None or not ours or origin.id in told or not origin.attempts:
            return [transcripts.stored_call(answer, file=file, kind=request.kind)]
        return transcripts.attempt_calls(
            origin.attempts,
            answer_id=origin.id,
            file=file,
            kind=request.kind,
            reason=answer.route.reason,
            reservations=held[-len(origin.attempts) :],
        )

    def _keep_failed(
        self, request: Request, file: str, made: Sequence[str], error: ModelError
    ) -> None:
        calls = transcripts.attempt_calls(
            error.attempts, answer_id="", file=file, kind=request.kind, reservations=made
        )
        if calls:
            self.calls += calls
            text = transcripts.of_failure(request, error, file=file, calls=calls)
            self.transcripts.append(text)

    def _unrecorded(self) -> list[Reservation]:
        """What is set aside for this step and named by no record of the run."""
        from runner.ledger.reservations import unrecorded

        if self.ledger is None:
            return []
        told = {call.reservation for each in self.held.run.records for call in each.record.calls}
        place = purses.step_place(self.held, self.step)
        return [each for each in unrecorded(self.ledger, place) if each.id not in told]


def halted(error: ModelError) -> Reason:
    """Why a step stops without having failed: its money or its model is missing."""
    message = error.message
    if not message.startswith(ASKING):
        message = f"{ASKING}a model: {message}"
    return Reason(code=error.code, message=visible(message), fix=error.hint or "planlock doctor")


def _refuse(purse: Purse | None) -> None:
    if purse is not None:
        raise ValueError("the money of a step comes from its own purse")


def _most_tokens(request: Request, accounts: Sequence[Account], *, remote: bool) -> int | None:
    left = budget.least_tokens(accounts)
    prompt = sum(len(message.content.encode()) for message in request.messages)
    once = prompt + request.params.max_tokens
    return _least(left, REMOTE_ATTEMPTS * once) if remote and left is not None else left


def _least(one: Number | None, other: Number | None) -> Number | None:
    return min((each for each in (one, other) if each is not None), default=None)
