"""The money that a question to a model may cost: which bounds hold, and the book that counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runner.core import budget, ids
from runner.core.budget import SHARED, Bound, Place
from runner.core.cost import total
from runner.core.errors import LedgerError
from runner.core.gate import Decision, Question
from runner.core.plan import Step
from runner.core.policy import Policy
from runner.project import Project
from runner.verbs import ledger_sync
from runner.verbs.session import Session

if TYPE_CHECKING:
    from runner.ledger.reservations import LedgerPurse
    from runner.ledger.store import Ledger


def step_bounds(
    held: Session, step: Step, question: Question, decision: Decision
) -> tuple[Bound, ...]:
    """All that bounds a step: policy, plan and the approvals that it relies on."""
    of_step = [call for record in held.run.index.about.get(step.id, ()) for call in record.calls]
    return budget.of_step(
        question,
        decision.approvals,
        step=budget.sum_of(total(of_step)),
        run=budget.sum_of(held.run.cost),
    )


def step_place(held: Session, step: Step, ask: str = "") -> Place:
    return Place(
        project=held.project.authority().policy.repository,
        day=_day(held.now()),
        ask=ask,
        plan=held.plan.id,
        run=held.number,
        step=step.id,
    )


def open_book(project: Project, bounds: Sequence[Bound]) -> Ledger | None:
    """The ledger; None where it cannot be had and no bound of day or project needs it.

    Raises LedgerError where one does: money that cannot be counted is not spent.
    """
    shared = any(each.scope in SHARED for each in bounds)
    if shared:
        ledger_sync.catch_up(project)
        return project.ledger
    try:
        return project.ledger
    except LedgerError:
        return None


def purse(
    project: Project,
    ledger: Ledger,
    place: Place,
    bounds: Sequence[Bound],
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> LedgerPurse:
    """A purse for one question."""
    from runner.ledger.patient_purse import PatientPurse

    world = project.world
    return PatientPurse(
        ledger,
        place,
        bounds,
        new_id=lambda: ids.ulid(
            int(world.now().timestamp() * 1000), world.random(ids.RANDOM_BYTES)
        ),
        now=world.now,
        warn=warn,
        allow_unpriced=project.authority().policy.budgets.allow_unpriced,
        fix=fix(place),
    )


def fix(place: Place) -> str:
    return f"{budget.RAISE}, then: planlock run {place.plan}" if place.plan else budget.RAISE


def planning_purse(
    project: Project, policy: Policy, *, warn: Callable[[str], None]
) -> LedgerPurse | None:
    """The purse of questions outside of runs; None without a ledger, where no bound needs one.

    What they cost stays in the ledger alone, as reservations that no record ever takes away.
    """
    bounds = budget.of_policy(policy.budgets)
    ledger = open_book(project, bounds)
    if ledger is None:
        return None
    place = Place(project=ledger.project, day=_day(project.world.now()))
    return purse(project, ledger, place, bounds, warn=warn)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
