"""How far a run got, for whoever let it go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.core.errors import Reason
from runner.core.run import run_status, statuses
from runner.core.values import usd
from runner.project import Project
from runner.verbs import evidence, runs
from runner.verbs.evidence import Evidence
from runner.verbs.session import Session
from runner.verbs.stops import Stop


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How far a run got: `status` is the run's state, `reasons` say why it stopped."""

    plan: str
    run: int
    branch: str
    commit: str
    status: str
    steps: Mapping[str, str]
    reasons: tuple[Reason, ...]
    stopped_at: str
    message: str
    cost_usd: str
    unpriced_calls: int


def of_ended(project: Project, found: Evidence, number: int, tip: str) -> RunReport:
    """Tell of a run that does not go on, because it is over."""
    plan_id = found.plan.id
    ended = runs.load_run(project.store, tip, plan_id, number)
    at_run = evidence.plan_at(project.store, tip, plan_id, on_branch=True) or found.plan
    names = [step.id for step in at_run.file.plan.steps]
    return RunReport(
        plan=plan_id,
        run=number,
        branch=f"planlock/{plan_id}/{number}",
        commit=tip,
        status=run_status(ended, names),
        steps=statuses(ended, names),
        reasons=(),
        stopped_at="",
        message=f"run {plan_id}/{number} has ended; start another with --new",
        cost_usd=usd(ended.cost.usd),
        unpriced_calls=ended.cost.unpriced,
    )


def of_held(held: Session, stop: Stop) -> RunReport:
    """Tell of a run in our hands that stops here."""
    names = [step.id for step in held.plan.file.plan.steps]
    steps = statuses(held.run, names)
    if stop.status == "awaiting_approval" and stop.step in steps:
        steps[stop.step] = "awaiting_approval"
    if stop.status == "failed" and steps.get(stop.step) == "pending":
        steps[stop.step] = "failed"  # a draft, of which the step has no record yet
    return RunReport(
        plan=held.plan.id,
        run=held.number,
        branch=held.branch.removeprefix("refs/heads/"),
        commit=held.tip,
        status=stop.status,
        steps=steps,
        reasons=stop.reasons,
        stopped_at=stop.step,
        message=stop.message,
        cost_usd=usd(held.run.cost.usd),
        unpriced_calls=held.run.cost.unpriced,
    )
