"""`status`: for each step, what happened or what is missing, and what would fix it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runner.core.errors import Reason
from runner.core.gate import Answer, Decision, Question, decide
from runner.core.run import RunFile, run_status, statuses
from runner.project import Project
from runner.verbs import evidence, runs
from runner.verbs.evidence import Evidence
from runner.verbs.show import needs


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """`status` is the run's, or `ready`, `waiting` or `rejected` where it has not run."""

    number: int
    id: str
    step_type: str
    status: str
    needs: str
    approvers: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class PlanStatus:
    """`run` is 0 where the plan has never run."""

    plan: str
    goal: str
    author: str
    digest: str
    commit: str
    trusted: str
    run: int
    run_status: str
    steps: tuple[StepStatus, ...]


def status(project: Project, plan_id: str) -> PlanStatus:
    """Ask the gate about every step as things stand now."""
    project.home.fetch(plan_id)
    plan = evidence.find_plan(project, plan_id)
    found = evidence.gather(project, plan, now=project.world.now())
    known = runs.of_plan(project, plan_id)
    number = max(known, default=0)
    every = [runs.load_run(project.store, oid, plan_id, each) for each, oid in known.items()]
    run = next((each for each in every if each.header.run == number), None)
    question = Question(
        plan=plan.file,
        step=0,
        policy=found.authority.policy_file,
        votes=found.votes,
        provenance=found.provenance,
        so_far=evidence.so_far(
            run, [each for each in every if each.header.run != number], number or 1
        ),
        now=project.world.now(),
    )
    steps = tuple(_steps(question, found, run))
    return PlanStatus(
        plan=plan_id,
        goal=plan.file.plan.goal,
        author=plan.file.plan.author or "",
        digest=plan.file.digest,
        commit=plan.commit,
        trusted=str(found.authority),
        run=number,
        run_status=_run_status(run, steps) if run else "",
        steps=steps,
    )


def _steps(question: Question, found: Evidence, run: RunFile | None) -> list[StepStatus]:
    steps = found.plan.file.plan.steps
    recorded: Mapping[str, str] = statuses(run, [each.id for each in steps]) if run else {}
    views = []
    for number, step in enumerate(steps):
        state = recorded.get(step.id, "pending")
        decision = decide(replace(question, step=number))
        if state == "pending":
            state = _outlook(decision.answer)
        if state == "rejected":
            skipped = (*question.so_far.skipped, step.id)
            question = replace(question, so_far=replace(question.so_far, skipped=skipped))
        views.append(
            StepStatus(
                number=number + 1,
                id=step.id,
                step_type=step.step_type,
                status=state,
                needs=needs(step, found.authority.policy),
                approvers=_approvers(run, step.id, decision),
                reasons=decision.reasons if state in {"waiting", "rejected"} else (),
            )
        )
    return views


def _run_status(run: RunFile, steps: Sequence[StepStatus]) -> str:
    """The run's state; it waits where its next step does."""
    recorded = run_status(run, [step.id for step in steps])
    left = [step.status for step in steps if step.status not in {"completed", "skipped"}]
    waits = recorded == "running" and left[:1] == ["waiting"]
    return "awaiting_approval" if waits else recorded


def _approvers(run: RunFile | None, step: str, decision: Decision) -> tuple[str, ...]:
    """Whose approvals a recorded step relied on; else whose count now."""
    record = run.latest(step) if run else None
    if record is not None and record.gate is not None:
        return tuple(record.gate.approvers)
    return tuple(sorted({each.record.approver for each in decision.approvals}))


def _outlook(answer: Answer) -> str:
    return {Answer.ALLOWED: "ready", Answer.REFUSED: "waiting", Answer.REJECTED: "rejected"}[answer]
