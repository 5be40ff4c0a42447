"""Budgets: which bounds hold for a question to a model, and whether its worst case fits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from runner.core.approval import Vote
from runner.core.cost import Total
from runner.core.gate import Question, SoFar
from runner.core.policy import Budgets
from runner.core.values import usd

Scope = Literal["call", "step", "run", "plan", "day", "project"]
SHARED: frozenset[Scope] = frozenset({"day", "project"})
RAISE = "raise the budget by review"
NEAR = Decimal("0.8")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where money is spent; plan, run and step are None outside of a run.

    `ask` is the content address of the question, `day` is as in `2026-11-22`.
    """

    project: str
    day: str
    ask: str = ""
    plan: str | None = None
    run: int | None = None
    step: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Money and tokens; `unpriced` counts amounts that nobody knows."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    unpriced: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            usd=self.usd + other.usd,
            tokens=self.tokens + other.tokens,
            unpriced=self.unpriced + other.unpriced,
        )


NOTHING = Sum()


def sum_of(total: Total) -> Sum:
    return Sum(usd=total.usd, tokens=total.tokens, unpriced=total.unpriced)


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Money set aside for one attempt: its worst case, or what it was once that is known."""

    id: str
    place: Place
    model: str
    worst: Sum
    settled: Sum | None = None

    @property
    def counts(self) -> Sum:
        return self.worst if self.settled is None else self.settled


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An upper bound over a scope; `recorded` is what records already tell of that scope.

    Of a shared scope the ledger tells what is recorded.
    """

    name: str
    scope: Scope
    usd: Decimal | None = None
    tokens: int | None = None
    recorded: Sum = NOTHING


@dataclass(frozen=True, kw_only=True)
class Account:
    """A bound with all that was spent or set aside under it."""

    bound: Bound
    spent: Sum

    def money_left(self, *, allow_unpriced: bool = False) -> Decimal | None:
        """What is left in USD, never less than nothing; an unknown sum leaves nothing."""
        if self.bound.usd is None:
            return None
        if self.spent.unpriced and not allow_unpriced:
            return Decimal(0)
        return max(self.bound.usd - self.spent.usd, Decimal(0))

    def tokens_left(self) -> int | None:
        return None if self.bound.tokens is None else max(self.bound.tokens - self.spent.tokens, 0)

    def objection(self, want: Sum, *, allow_unpriced: bool = False) -> str:
        """Say why the wanted does not fit; empty where it does."""
        money = self.money_left(allow_unpriced=allow_unpriced)
        if money is not None and want.usd > money:
            unknown = f" ({self.spent.unpriced} calls have no price)" if self.spent.unpriced else ""
            return (
                f"it may cost {usd(want.usd)} USD; {usd(money)} are left of"
                f" {usd(self.bound.usd or Decimal(0))} ({self.bound.name}){unknown}"
            )
        tokens = self.tokens_left()
        if tokens is not None and want.tokens > tokens:
            return (
                f"it may take {want.tokens} tokens; {tokens} are left of"
                f" {self.bound.tokens} ({self.bound.name})"
            )
        return ""

    def exhausted(self, *, allow_unpriced: bool = False) -> str:
        """Say that nothing is left; empty where something is."""
        if self.money_left(allow_unpriced=allow_unpriced) == 0:
            unknown = f", and {self.spent.unpriced} calls have no price" * bool(self.spent.unpriced)
            return f"{self.bound.name} is exhausted: {usd(self.spent.usd)} USD are spent{unknown}"
        if self.tokens_left() == 0:
            return f"{self.bound.name} is exhausted: {self.spent.tokens} tokens are spent"
        return ""

    def warning(self) -> str:
        """Say that four fifths are gone; empty below that."""
        bound, spent = self.bound, self.spent
        if bound.usd and spent.usd >= NEAR * bound.usd:
            return f"{usd(spent.usd)} of {usd(bound.usd)} USD are spent or set aside ({bound.name})"
        if bound.tokens and spent.tokens >= NEAR * bound.tokens:
            return f"{spent.tokens} of {bound.tokens} tokens are spent or set aside ({bound.name})"
        return ""


def covers(bound: Bound, place: Place, other: Place) -> bool:
    """Whether what is set aside at another place counts under a bound that holds at this one."""
    if place.project != other.project:
        return False
    wide = {
        "project": True,
        "day": place.day == other.day,
        "plan": place.plan == other.plan,
    }
    if bound.scope in wide:
        return wide[bound.scope]
    same_run = (place.plan, place.run) == (other.plan, other.run)
    return same_run and (bound.scope == "run" or place.step == other.step)


def accounts(
    bounds: Iterable[Bound],
    place: Place,
    reservations: Sequence[Reservation],
    *,
    own: frozenset[str] = frozenset(),
    recorded: Mapping[Scope, Sum] | None = None,
) -> tuple[Account, ...]:
    """Sum up under each bound; `own` are the reservations of this very question."""
    found = []
    for bound in bounds:
        held = [
            each.counts
            for each in reservations
            if (each.id in own if bound.scope == "call" else covers(bound, place, each.place))
        ]
        known = (recorded or {}).get(bound.scope, bound.recorded)
        found.append(Account(bound=bound, spent=sum(held, known)))
    return tuple(found)


def least_money(accounts: Iterable[Account], *, allow_unpriced: bool = False) -> Decimal | None:
    """What the tightest bound leaves; None where none bounds money."""
    lefts = (each.money_left(allow_unpriced=allow_unpriced) for each in accounts)
    return min((each for each in lefts if each is not None), default=None)


def least_tokens(accounts: Iterable[Account]) -> int | None:
    lefts = (each.tokens_left() for each in accounts)
    return min((each for each in lefts if each is not None), default=None)


def of_policy(budgets: Budgets) -> tuple[Bound, ...]:
    """The bounds that hold outside of a run too."""
    return _real(
        _money("call", "call_usd", budgets.call_usd),
        _money("day", "day_usd", budgets.day_usd),
        _money("project", "project_usd", budgets.project_usd),
        _tokens("day", "day_tokens", budgets.day_tokens),
    )


def of_step(
    question: Question, approvals: Iterable[Vote], *, step: Sum, run: Sum
) -> tuple[Bound, ...]:
    """All bounds that hold for a step; `step` and `run` are what their records tell."""
    budgets, plan = question.policy.policy.budgets, question.plan.plan.budget
    return (
        *of_policy(budgets),
        *_real(
            _money("step", "step_usd", budgets.step_usd, step),
            _money("run", "run_usd", budgets.run_usd, run),
            _tokens("run", "run_tokens", budgets.run_tokens, run),
            Bound(name="the plan's budget.usd", scope="run", usd=_usd(plan.usd), recorded=run),
            Bound(name="the plan's budget.tokens", scope="run", tokens=plan.tokens, recorded=run),
            *(_approved(vote, question.so_far) for vote in approvals),
        ),
    )


def _money(scope: Scope, field: str, most: str | None, recorded: Sum = NOTHING) -> Bound:
    return Bound(
        name=f"the policy's budgets.{field}", scope=scope, usd=_usd(most), recorded=recorded
    )


def _tokens(scope: Scope, field: str, most: int | None, recorded: Sum = NOTHING) -> Bound:
    return Bound(name=f"the policy's budgets.{field}", scope=scope, tokens=most, recorded=recorded)


def _approved(vote: Vote, so_far: SoFar) -> Bound:
    """An approval's bound, for all runs that relied on it."""
    return Bound(
        name=f"the approval of {vote.record.approver}",
        scope="plan",
        usd=_usd(vote.record.limits.usd),
        recorded=Sum(usd=so_far.spent_under.get(vote.digest, Decimal(0))),
    )


def _usd(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _real(*bounds: Bound) -> tuple[Bound, ...]:
    return tuple(each for each in bounds if each.usd is not None or each.tokens is not None)
