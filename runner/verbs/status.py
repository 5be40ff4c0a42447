"""`status`: for each step, what happened or what is missing, and what would fix it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runner.core import demands, gate
from runner.core.errors import Reason, Refused
from runner.core.gate import Answer, Decision, Question, decide
from runner.core.plan import Step
from runner.core.record import Record
from runner.core.rules import judge_step
from runner.core.run import RunFile, run_status, statuses
from runner.core.text import visible
from runner.core.values import parse_time, time_text
from runner.git.leases import Lease
from runner.project import Project
from runner.steps import registry
from runner.verbs import amended, control, evidence, holder, runs, stops
from runner.verbs.evidence import Evidence, PlanAt

Consult = Callable[[Evidence, Question], Evidence]
UNDONE = frozenset({"failed", "interrupted"})
UNTOLD = {
    "failed": ("step_failed", "the step failed"),
    "interrupted": ("interrupted", "the runner ended while the command was running"),
}


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """`status` is the run's, or `ready`, `waiting` or `rejected` where it has not run.

    A command that had started under a runner that is gone is `interrupted`, recorded or not.
    """

    number: int
    id: str
    step_type: str
    status: str
    needs: str
    approvers: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The runner that holds the run now."""

    name: str
    since: str
    until: str


@dataclass(frozen=True, kw_only=True)
class PlanStatus:
    """`run` is 0 where the plan has never run, `holder` None where no runner is at work.

    `reasons` say what keeps the run as a whole, `amended` tells which steps a model drafted in it.
    """

    plan: str
    goal: str
    author: str
    digest: str
    commit: str
    trusted: str
    run: int
    run_status: str
    holder: Holder | None
    reasons: tuple[Reason, ...]
    amended: str
    steps: tuple[StepStatus, ...]


def status(project: Project, plan_id: str, consult: Consult | None = None) -> PlanStatus:
    """Ask the gate about every step as things stand now; `consult` may know of more decisions."""
    project.home.fetch(plan_id)
    plan = amended.find_plan(project, plan_id)
    found = evidence.gather(project, plan, now=project.world.now())
    known = runs.of_plan(project, plan_id)
    number = max(known, default=0)
    every = [runs.load_run(project.store, oid, plan_id, each) for each, oid in known.items()]
    run = next((each for each in every if each.header.run == number), None)
    others = [each for each in every if each.header.run != number]
    so_far = evidence.so_far(run, others, number or 1)
    question = evidence.question(found, step=0, so_far=so_far, now=project.world.now())
    if consult is not None:
        found = consult(found, question)
        question = replace(question, votes=found.votes, provenance=found.provenance)
    lease = holder.lease(project, plan_id, number) if run and not run.ended else None
    held_by = _holder(project, run, lease)
    held = held_by is not None
    going = _going(project, plan, run, lease, held=held) if run and lease else {}
    steps = tuple(_steps(question, found, run, going))
    return PlanStatus(
        plan=plan_id,
        goal=plan.file.plan.goal,
        author=plan.file.plan.author or "",
        digest=plan.file.digest,
        commit=plan.commit,
        trusted=str(found.authority),
        run=number,
        run_status=_run_status(run, steps, held=held) if run else "",
        holder=held_by,
        reasons=_kept(project, run) if run else (),
        amended=visible(plan.amended.story) if plan.amended else "",
        steps=steps,
    )


def _kept(project: Project, run: RunFile) -> tuple[Reason, ...]:
    """That its rollback has begun, or that somebody asked it to stop."""
    plan, number = run.header.plan, run.header.run
    end = run.index.end
    if run.index.undos and (end is None or end.kind != "rollback"):
        return (stops.rolling_back(plan, number),)
    asked = None if run.ended else control.why_it_waits(project, plan, number)
    return () if asked is None else (asked,)


def _holder(project: Project, run: RunFile | None, lease: Lease | None) -> Holder | None:
    """Who holds the run, judged as `run` judges it before it takes over."""
    if run is None or lease is None:
        return None
    if not holder.is_at_work(lease, max(project.world.now(), parse_time(run.last_moment))):
        return None
    since, until = time_text(lease.taken_at), time_text(lease.expires_at)
    return Holder(name=lease.holder, since=since, until=until)


def _going(
    project: Project, plan: PlanAt, run: RunFile, lease: Lease, *, held: bool
) -> dict[str, str]:
    """The state of a step that has started and left no record yet."""
    index = plan.file.index(lease.step) if lease.step else None
    if index is None or lease.undo:
        return {}
    latest = run.latest(lease.step)
    if latest is not None and latest.attempt >= lease.attempt:
        return {}
    if held:
        return {lease.step: "running"}
    again = _done_again(project, plan.file.plan.steps[index])
    return {} if again else {lease.step: "interrupted"}


def _done_again(project: Project, step: Step) -> bool:
    """Whether the next `run` simply repeats the step after a crash."""
    try:
        return registry.find(step.step_type, project.authority().policy.plugins).idempotent
    except Refused:
        return False


def _steps(
    question: Question, found: Evidence, run: RunFile | None, going: Mapping[str, str]
) -> list[StepStatus]:
    """`going` has the state of a step that has started and left no record yet."""
    steps = found.plan.file.plan.steps
    recorded = {**(statuses(run, [each.id for each in steps]) if run else {}), **going}
    views, ended = [], run is not None and run.ended
    for number, step in enumerate(steps):
        last = _last(run, step.id, question.plan.digests[number])
        state = last.status if last and last.draft else recorded.get(step.id, "pending")
        decision = decide(replace(question, step=number))
        if state == "pending":
            state = _outlook(decision.answer)
        if state == "rejected" or (state in UNDONE and decision.answer is Answer.REJECTED):
            skipped = (*question.so_far.skipped, step.id)
            question = replace(question, so_far=replace(question.so_far, skipped=skipped))
        views.append(
            StepStatus(
                number=number + 1,
                id=step.id,
                step_type=step.step_type,
                status=state,
                needs=_needs(replace(question, step=number)),
                approvers=_approvers(run, step.id, decision),
                reasons=_reasons(question, state, last, decision, ended=ended),
            )
        )
    return views


def _last(run: RunFile | None, step: str, digest: str) -> Record | None:
    """The newest record of a step, or of a draft that failed while it still has no text."""
    tried = (
        [each for each in run.drafts if each.draft and each.draft.before == digest] if run else []
    )
    if tried and tried[-1].status == "failed":
        return tried[-1]
    return run.latest(step) if run else None


def _needs(question: Question) -> str:
    """What the rules ask of a step, and what its being a draft asks besides."""
    step = question.plan.plan.steps[question.step]
    verdict = judge_step(question.policy.policy, step)
    return demands.summary(replace(verdict, requirements=gate.required(question)))


def _reasons(
    question: Question, state: str, record: Record | None, decision: Decision, *, ended: bool
) -> tuple[Reason, ...]:
    """Why a step is not done; of a failed one also that somebody rejected it since."""
    if state in {"waiting", "rejected"}:
        return decision.reasons
    if state not in UNDONE:
        return ()
    plan = question.plan.plan.id
    error = record.error if record and record.status == state else None
    code, message = (error.code, error.message) if error else UNTOLD[state]
    if decision.answer is Answer.REJECTED:
        skip = f"to skip it: {stops.again(plan, ended=ended)}"
        rejected = [replace(each, fix=skip) for each in decision.reasons]
        return (Reason(code=code, message=message), *rejected)
    step_type = record.step.type if record and record.step else ""
    return (Reason(code=code, message=message, fix=stops.fix(plan, code, step_type, ended=ended)),)


def _run_status(run: RunFile, steps: Sequence[StepStatus], *, held: bool) -> str:
    """The run's state; it waits where its next step does, and else is paused while nobody runs it."""
    if held:
        return "running"
    recorded = run_status(run, [step.id for step in steps])
    if run.ended:
        return recorded
    if any(step.status in UNDONE for step in steps):
        return "failed"
    left = [step.status for step in steps if step.status not in {"completed", "skipped"}]
    if recorded == "running" and left[:1] == ["waiting"]:
        return "awaiting_approval"
    return "paused"


def _approvers(run: RunFile | None, step: str, decision: Decision) -> tuple[str, ...]:
    """Whose approvals a recorded step relied on; else whose count now."""
    record = run.latest(step) if run else None
    if record is not None and record.gate is not None:
        return tuple(record.gate.approvers)
    return tuple(sorted({each.record.approver for each in decision.approvals}))


def _outlook(answer: Answer) -> str:
    return {Answer.ALLOWED: "ready", Answer.REFUSED: "waiting", Answer.REJECTED: "rejected"}[answer]
