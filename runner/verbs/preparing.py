"""Before a step starts: its type, and a sandbox for a command."""

from __future__ import annotations

from decimal import Decimal

from runner.core.errors import Reason, Refused, SandboxUnavailable
from runner.core.gate import Question
from runner.core.plan import RunCommandInput, Step, typed_input
from runner.core.policy import Confinement, Policy
from runner.sandbox.commands import find_backend
from runner.sandbox.contract import Backend
from runner.steps import registry
from runner.verbs import secret_values
from runner.verbs.session import Session


def prepare(held: Session, question: Question) -> tuple[Backend | None, tuple[Reason, ...]]:
    """Find the step's type, and a sandbox and the secrets for a command; else reasons.

    Money is looked at with each question: a stored answer costs none.
    """
    step = question.plan.plan.steps[question.step]
    try:
        registry.find(step.step_type, question.policy.policy.plugins)
    except Refused as error:
        return None, (Reason(code="plugin_not_allowed", message=error.message, fix=error.hint),)
    return prepare_command(held, step, question.policy.policy)


def prepare_command(
    held: Session, step: Step, policy: Policy
) -> tuple[Backend | None, tuple[Reason, ...]]:
    """Find a sandbox and the secrets for a step that is a command; else reasons."""
    given = typed_input(step)
    if not isinstance(given, RunCommandInput):
        return None, ()
    if reasons := secret_values.lacking(step, held.project.world.environment):
        return None, reasons
    return _confinement(held, given, policy.sandbox.require)


def _confinement(
    held: Session, given: RunCommandInput, require: Confinement
) -> tuple[Backend | None, tuple[Reason, ...]]:
    """Try a sandbox out once; one that stops to work later fails the step that it should hold."""
    try:
        backend = held.backends.get(require) or find_backend(require)
    except SandboxUnavailable as error:
        return None, (Reason(code=error.code, message=error.message, fix=error.hint),)
    held.backends[require] = backend
    if given.network and not backend.has_proxy and require != "none":
        message = f"the command asks for a network, to which {backend.name} cannot hold it"
        fix = "install bubblewrap, or drop `network`"
        return None, (Reason(code="network_unavailable", message=message, fix=fix),)
    return backend, ()


def price(held: Session, step: Step) -> Decimal:  # noqa: ARG001  # the caller's contract
    """What is set aside for a step before it starts: each question sets its own money aside."""
    return Decimal(0)
