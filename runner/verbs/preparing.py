"""Before a step starts: its type, and a sandbox for a command."""

from __future__ import annotations

from decimal import Decimal

from runner.core.errors import Reason, Refused, SandboxUnavailable
from runner.core.gate import Question
from runner.core.plan import Step
from runner.sandbox.commands import find_backend
from runner.sandbox.contract import Backend
from runner.steps import registry
from runner.verbs.session import Session


def prepare(question: Question) -> tuple[Backend | None, tuple[Reason, ...]]:
    """Find the step's type, and a sandbox for a command; else reasons.

    Money is looked at with each question: a stored answer costs none.
    """
    step = question.plan.plan.steps[question.step]
    try:
        registry.find(step.step_type, question.policy.policy.plugins)
    except Refused as error:
        return None, (Reason(code="plugin_not_allowed", message=error.message, fix=error.hint),)
    if step.step_type == "run_command":
        if step.input.get("network"):
            message = "the step asks for a network, which this version cannot give a command"
            reason = Reason(code="network_unavailable", message=message, fix="drop `network`")
            return None, (reason,)
        try:
            return find_backend(question.policy.policy.sandbox.require), ()
        except SandboxUnavailable as error:
            return None, (Reason(code=error.code, message=error.message, fix=error.hint),)
    return None, ()


def price(held: Session, step: Step) -> Decimal:  # noqa: ARG001  # the caller's contract
    """What is set aside for a step before it starts: each question sets its own money aside."""
    return Decimal(0)
