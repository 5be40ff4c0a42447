"""Before a step starts: its type, a sandbox for a command, money for a question."""

from __future__ import annotations

from decimal import Decimal

from runner.core.errors import Reason, Refused, SandboxUnavailable
from runner.core.gate import Decision, Question
from runner.core.plan import Step
from runner.core.values import usd
from runner.sandbox.commands import find_backend
from runner.sandbox.contract import Backend
from runner.steps import registry
from runner.verbs import ledger_sync
from runner.verbs.session import Session


def prepare(
    held: Session, question: Question, decision: Decision
) -> tuple[Backend | None, tuple[Reason, ...]]:
    """Find the step's type, a sandbox for a command, money for a question; else reasons."""
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
    return None, _money_reasons(held, question, decision)


def _money_reasons(held: Session, question: Question, decision: Decision) -> tuple[Reason, ...]:
    cost = price(held, question.plan.plan.steps[question.step])
    if cost == 0:
        return ()
    left = ledger_sync.money_left(held.project, question.policy.policy, held.now())
    bounds = [each for each in (decision.money, left) if each is not None]
    if bounds and cost > min(bounds):
        message = f"the step may cost {usd(cost)} USD; {usd(max(min(bounds), Decimal(0)))} are left"
        return (Reason(code="budget_exceeded", message=message, fix="raise the budget by review"),)
    return ()


def price(held: Session, step: Step) -> Decimal:
    instruction = step.input.get("instruction")
    if step.step_type not in {"analyze", "summarize"} or not isinstance(instruction, str):
        return Decimal(0)
    return held.project.model.price(instruction)
