"""The models as the planner may use them: redacted, within the budgets, every attempt counted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from runner.core import budget
from runner.core.errors import ModelError
from runner.core.model_call import (
    REMOTE_CALL_USD,
    Answer,
    Attempt,
    BudgetWish,
    Request,
    StructureRequest,
    total_cost,
)
from runner.core.policy import Policy
from runner.core.redaction import redact_request
from runner.core.values import usd
from runner.ledger.reservations import LedgerPurse
from runner.models.contract import OnText, Purse
from runner.project import Project
from runner.verbs import purses, secret_values
from runner.verbs.planning import Progress

AnyRequest = TypeVar("AnyRequest", bound=Request)


class PlanningModels:
    """Implements Models; `attempts` are all that were made, also where no answer came of them."""

    def __init__(self, project: Project, policy: Policy, tell: Progress) -> None:
        self._project = project
        self._free = policy.budgets.allow_unpriced
        self._hidden = secret_values.of(project.world.environment, policy).hidden
        self._purse = purses.planning_purse(project, policy, warn=lambda text: tell("note", text))
        self._tell = tell
        self.attempts: list[Attempt] = []

    def complete(
        self, request: Request, *, purse: Purse | None = None, on_text: OnText | None = None
    ) -> Answer:
        """Give a text, paid by the planner's own purse beside the one given. Raises ModelError."""
        ready = self._ready(request)
        return self._counted(
            lambda: self._project.models.complete(
                ready, purse=purse or self._purse, on_text=on_text or self._show
            )
        )

    def structure(
        self,
        request: StructureRequest,
        *,
        purse: Purse | None = None,
        on_text: OnText | None = None,
    ) -> Answer:
        """Give data that satisfies the schema, paid as a text is. Raises ModelError."""
        ready = self._ready(request)
        return self._counted(
            lambda: self._project.models.structure(
                ready, purse=purse or self._purse, on_text=on_text or self._show
            )
        )

    def close(self) -> None:
        """Leave the models open: they are the project's."""

    def cost(self) -> str:
        """What was spent so far, for people; empty where nothing was asked."""
        if not self.attempts:
            return ""
        cost = total_cost(self.attempts)
        money = "an unknown sum" if cost.amount is None else f"{cost.amount} USD"
        plural = "s" if len(self.attempts) > 1 else ""
        return f"{len(self.attempts)} question{plural} to a model cost {money}"

    def _show(self, text: str) -> None:
        self._tell("text", text)

    def _counted(self, ask: Callable[[], Answer]) -> Answer:
        try:
            answer = ask()
        except ModelError as error:
            self.attempts += error.attempts
            raise
        self.attempts += answer.attempts
        return answer

    def _ready(self, request: AnyRequest) -> AnyRequest:
        safe = redact_request(request, self._hidden)
        return safe.model_copy(update={"budget": self._budget()})

    def _budget(self) -> BudgetWish:
        """Bound the request itself where a router elsewhere does not see our purse."""
        remote = self._project.model_settings.router_url is not None
        accounts = self._purse.accounts() if isinstance(self._purse, LedgerPurse) else ()
        money = budget.least_money(accounts, allow_unpriced=self._free) if remote else None
        tokens = budget.least_tokens(accounts) if remote or self._free else None
        return BudgetWish(
            max_cost_usd=None
            if money is None
            else usd(min(max(money, Decimal(0)), REMOTE_CALL_USD)),
            max_tokens=None if tokens is None else max(tokens, 1),
            allow_unpriced=self._free,
        )
