"""Why a run stops before its end, and with what for people to do."""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.errors import Reason
from runner.verbs.session import Session


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why the loop ended."""

    status: str
    step: str = ""
    reasons: tuple[Reason, ...] = ()
    message: str = ""


def still_failed(held: Session, number: int, status: str) -> Stop:
    step = held.plan.file.plan.steps[number]
    reason = Reason(
        code="step_failed",
        message=f"step {number + 1} {step.id} {status} and is not repeated by itself",
        fix=f"planlock run {held.plan.id} --retry",
    )
    return Stop(status="failed", step=step.id, reasons=(reason,))


def pause(held: Session, number: int, *reasons: Reason) -> Stop:
    """Money or a model is missing: the step has not failed, and `run` goes on with it."""
    held.tell("waiting", step=number, status="paused")
    step = held.plan.file.plan.steps[number]
    return Stop(status="paused", step=step.id, reasons=reasons)


def wait(held: Session, number: int, reasons: tuple[Reason, ...]) -> Stop:
    if {each.code for each in reasons} == {"budget_exceeded"}:
        return pause(held, number, *reasons)
    step = held.plan.file.plan.steps[number]
    held.tell("waiting", step=number, status="awaiting_approval")
    return Stop(status="awaiting_approval", step=step.id, reasons=reasons)
