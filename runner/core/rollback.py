"""What a rollback takes back: the steps of a run from one on, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from runner.core.plan import PlanFile, Step, commands
from runner.core.record import Record
from runner.core.run import RunFile
from runner.core.values import usd

# What they do stays in the workspace, but for the money that a model costs.
HARMLESS = frozenset({"read_file", "edit_file", "analyze", "summarize"})

Undo = Literal["done", "none", "left", "not_needed", "due"]


@dataclass(frozen=True, kw_only=True)
class Backward:
    """A step that a rollback takes back; `number` counts from 0.

    `undo` is what a record says of it, and `due` where its command has yet to run. `last` is
    how the last attempt at that ended, empty before the first.
    """

    step: Step
    number: int
    status: str
    undo: Undo
    last: str
    spent: Decimal

    @property
    def note(self) -> str:
        """What a person has to know of it, beside an undo command that runs."""
        if self.undo == "none":
            hosts = ", ".join(host for each in commands(self.step) for host in each.network)
            reach = f" (it could contact {hosts})" if hosts else ""
            return f"no undo command: whatever it did outside the repository stays{reach}"
        if self.undo == "done":
            return "its undo command has run"
        return f"the {usd(self.spent)} USD that its models cost stay spent" if self.spent else ""


def backward(
    run: RunFile, plan: PlanFile, first: int, *, started: str = ""
) -> tuple[Backward, ...]:
    """The steps of this very run from `first` on, newest first; skipped ones are among them.

    `started` is a command whose outcome is not recorded. What another run did, which this one
    forked from, is not of this run.
    """
    found = (_backward(run, plan, number, started) for number in range(first, len(plan.plan.steps)))
    return tuple(each for each in found if each is not None)[::-1]


def _backward(run: RunFile, plan: PlanFile, number: int, started: str) -> Backward | None:
    step = plan.plan.steps[number]
    records = _attempts(run, step.id)
    ran = any(each.kind == "step" for each in records) or step.id == started
    if not records and not ran:
        return None
    last = run.latest_undo(step.id)
    status = "interrupted" if step.id == started else records[-1].status
    return Backward(
        step=step,
        number=number,
        status=status,
        undo=_undo(step, last, ran=ran),
        last=last.status if last else "",
        spent=sum((each.cost.usd for each in records), Decimal(0)),
    )


def _undo(step: Step, last: Record | None, *, ran: bool) -> Undo:
    if not ran:
        return "not_needed"
    if step.undo is not None:
        return "done" if last is not None and last.status == "completed" else "due"
    return "not_needed" if step.step_type in HARMLESS else "none"


def _attempts(run: RunFile, step: str) -> list[Record]:
    """A draft is none, nor is an undo."""
    return [each for each in own_records(run, step) if each.kind in {"step", "skip"}]


def own_records(run: RunFile, step: str) -> tuple[Record, ...]:
    """The records of this very run about a step, oldest first."""
    return run.index.about.get(step, ())


def done_here(run: RunFile, plan: PlanFile) -> Iterator[int]:
    """The places of the steps that this very run did or skipped, in plan order."""
    for number, step in enumerate(plan.plan.steps):
        if _attempts(run, step.id):
            yield number
