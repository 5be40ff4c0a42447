"""`run`: execute the approved steps of a plan, in order, one commit each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from runner.core.amendment import is_draft
from runner.core.errors import BranchBusy, Reason, Refused, UsageError
from runner.core.gate import Answer, Decision, Question, decide_next
from runner.core.plan import typed_input
from runner.core.run_states import DONE, check_transition
from runner.core.values import time_text, usd
from runner.git.control import Request, Wish
from runner.project import Project
from runner.sandbox.contract import Backend
from runner.steps.contract import Failure
from runner.verbs import (
    amending,
    control,
    desk,
    ending,
    evidence,
    forking,
    performing,
    preparing,
    publishing,
    recording,
    run_report,
    runs,
    starting,
    stops,
    taking,
)
from runner.verbs.adopting import fresh_evidence
from runner.verbs.events import Listener
from runner.verbs.evidence import Evidence
from runner.verbs.performing import Performer
from runner.verbs.run_report import RunReport
from runner.verbs.session import Session
from runner.verbs.stops import Stop
from runner.verbs.witness import Desk

# What takes no time and changes nothing but the run's own files: its intent goes with its record.
WITHOUT_EFFECT = frozenset({"read_file", "edit_file"})


@dataclass(frozen=True, kw_only=True)
class Options:
    """`until` names the last step to do, `only_next` does just one, `retry` redoes a failed one.

    `fork` names a run and a step before which a new one leaves it. `skip` leaves the next step
    out; `here` is what the person at this terminal asks meanwhile, `desk` where reviewers decide.
    """

    until: str = ""
    only_next: bool = False
    retry: bool = False
    new: bool = False
    fork: str = ""
    skip: bool = False
    here: Callable[[], Wish | None] = lambda: None
    desk: Desk | None = None


def run(project: Project, plan_id: str, options: Options, listener: Listener) -> RunReport:
    """Go on with the plan's open run, or start one; raises Refused, RunHeld, OutsideError."""
    project.home.fetch(plan_id)
    plan = evidence.find_plan(project, plan_id)
    if options.until and plan.file.index(options.until) is None:
        known = ", ".join(step.id for step in plan.file.plan.steps)
        raise UsageError(f"plan {plan_id} has no step {options.until!r}", hint=f"steps: {known}")
    found = evidence.gather(project, plan, now=project.world.now())
    held = _open(project, found, options, listener)
    return held if isinstance(held, RunReport) else drive(held, options)


def drive(held: Session, options: Options) -> RunReport:
    """Go on with a run in our hands as far as it goes, and let go of it."""
    held.wishes.here, held.desk = options.here, options.desk
    with taking.holding(held):
        try:
            stop = _loop(held, options)
        except KeyboardInterrupt:
            asked = held.asked()
            if asked is None or asked.wish != "cancel":
                raise
            stop = _obey(held, asked)
    return run_report.of_held(held, stop)


def _open(
    project: Project, found: Evidence, options: Options, listener: Listener
) -> Session | RunReport:
    plan_id = found.plan.id
    # leases first: a run's branch appears before its lease, so none is leased and yet unknown
    leased = runs.leased(project, plan_id)
    known = runs.of_plan(project, plan_id)
    latest = max(known, default=0)
    if latest and not (options.new or options.fork):
        ended = runs.load_run(project.store, known[latest], plan_id, latest)
        if ended.ended:
            return run_report.of_ended(project, found, latest, known[latest])
        control.refuse_paused(project, plan_id, latest)
        return taking.take_over(
            project, plan_id, latest, authority=found.authority, listener=listener
        )
    number = runs.number_after(plan_id, (*leased, *known))
    others = taking.load_others(project, plan_id, number)
    fork = forking.find(project, found, options.fork) if options.fork else None
    now = project.world.now()
    question = starting.question(found, others, number, step=0, now=now, fork=fork)
    opening = desk.open_with(project, found, question, options.desk) if options.desk else None
    found = opening.found if opening else found
    starting.check_first_step(found, others, number, now, fork=fork)
    try:
        return starting.create(project, found, number, listener, fork=fork, opening=opening)
    except BranchBusy:
        # somebody started this run at the same moment: they hold it, or have finished it
        project.home.fetch(plan_id)
        if fork is not None or number not in runs.of_plan(project, plan_id):
            raise
        return _open(project, found, replace(options, new=False), listener)


def _loop(held: Session, options: Options) -> Stop:
    held.tree = performing.fresh_tree(held)
    held.tell("run_started", text=held.branch.removeprefix("refs/heads/"))
    ending.settle_intent(held)
    if held.run.index.undos:
        return stops.going_back(held)
    if options.skip:
        _skip_next(held)
    while True:
        if (asked := held.asked()) is not None:
            return _obey(held, asked)
        step = _next(held)
        if step is None:
            # a plan that grew meanwhile is adopted; one that changed otherwise is of no concern now
            if isinstance(fresh_evidence(held), Stop) or _next(held) is None:
                ending.end(held, status="completed")
                return Stop(status="completed")
            continue
        name = held.plan.file.plan.steps[step].id
        stop = _one(held, step, options)
        if stop is not None:
            asked = held.asked()
            return _obey(held, asked) if asked and asked.wish == "cancel" else stop
        last = held.run.latest(name)  # not done where an adopted plan moved or dropped the step
        until = options.only_next or options.until == name
        if until and last is not None and last.status in DONE:
            return Stop(status="paused", message="stopped here as asked")


def _obey(held: Session, asked: Request) -> Stop:
    """Stop between two steps, or end the run."""
    if asked.wish == "cancel":
        ending.end(held, status="cancelled", asked=asked)
        return Stop(status="cancelled", message=control.told(asked))
    if held.wishes.here() is not None:
        return Stop(status="paused", message="paused from this terminal")
    fix = f"planlock resume {held.plan.id}/{held.number}"
    reason = Reason(code="paused", message=control.told(asked), fix=fix)
    return Stop(status="paused", reasons=(reason,))


def _next(held: Session) -> int | None:
    """The first step whose latest record is neither completed nor skipped."""
    plan, steps = held.plan.file.digest, held.plan.file.plan.steps
    of, number = held.done
    if of != plan:
        number = 0
    while number < len(steps):
        record = held.run.latest(steps[number].id)
        if record is None or record.status not in DONE:
            break
        number += 1
    held.done = (plan, number)  # what is done stays done, so each step is passed once
    return number if number < len(steps) else None


def _one(held: Session, number: int, options: Options) -> Stop | None:
    """Ask the gate about a step and do what it says; a Stop ends this call."""
    step = held.plan.file.plan.steps[number]
    latest = held.run.latest(step.id)
    if latest is not None and step.id not in held.retried:
        if not options.retry:
            return stops.still_failed(held, number, latest.status)
        held.retried.add(step.id)
    found = fresh_evidence(held)
    if isinstance(found, Stop):
        return found
    if held.plan.file.index(step.id) != number:
        return None  # an adopted plan moved the step; look again
    return _ask(held, number, found, options)


def _ask(held: Session, number: int, found: Evidence, options: Options) -> Stop | None:
    """Ask the gate, and skip the step, have it drafted, wait, or perform it."""
    question = held.question(found, number)
    decision = decide_next(question)
    if decision.answer is Answer.REJECTED:
        _skip(held, number, found, decision)
        return None
    if is_draft(held.plan.file.plan.steps[number]):
        return amending.write(held, number, found, question, again=options.retry)
    if decision.answer is Answer.REFUSED:
        return stops.wait(held, number, decision.reasons)
    backend, lacking = preparing.prepare(held, question)
    if lacking:
        return stops.pause(held, number, *lacking)
    return _perform(held, number, found, question, decision, backend)


def _perform(  # noqa: PLR0913, PLR0917  # the parts of one execution
    held: Session,
    number: int,
    found: Evidence,
    question: Question,
    decision: Decision,
    backend: Backend | None,
) -> Stop | None:
    step = held.plan.file.plan.steps[number]
    latest = held.run.latest(step.id)
    attempt = (latest.attempt if latest else 0) + 1
    check_transition(latest.status if latest else "pending", "running")
    seconds = performing.expected_seconds(typed_input(step))
    gate = recording.gate_block(found, decision)
    price = usd(preparing.price(held, step))
    if backend is not None and held.tree is not None:
        # It takes a while, in which no command has started.
        held.tree.complete(backend.can_layer)
    started = held.intend(
        gate,
        step=step.id,
        attempt=attempt,
        seconds=seconds,
        usd=price,
        deferred=step.step_type in WITHOUT_EFFECT,
    )
    held.tell("step_started", step=number, text=step.description)
    performer = Performer(held, step, question=question, decision=decision)
    done = performer.perform(backend, streamer(held, number))
    if done.halted is not None:
        return stops.pause(held, number, done.halted)
    status = ended_as(done.output.failure)
    check_transition("running", status)
    value = publishing.step_value(held, number, status=status, attempt=attempt)
    value["started_at"] = time_text(started)
    value["gate"] = gate.model_dump()
    value |= publishing.output_block(done)
    entries = {
        **done.entries,
        **publishing.call_files(held, done),
        **publishing.approval_files(held, found, gate),
    }
    publishing.publish_record(held, step.id, value, entries, status=status, number=number)
    failure = done.output.failure
    held.tell("step_finished", step=number, status=status, text=failure.message if failure else "")
    if failure is None:
        return None
    return stops.failed(held, step, failure)


def ended_as(failure: Failure | None) -> str:
    if failure is None:
        return "completed"
    return "interrupted" if failure.code == "cancelled" else "failed"


def streamer(held: Session, number: int) -> Callable[[bytes], None]:
    def stream(data: bytes) -> None:
        held.tell("output", step=number, text=data.decode("utf-8", "replace"))

    return stream


def _skip(held: Session, number: int, found: Evidence, decision: Decision) -> None:
    step = held.plan.file.plan.steps[number]
    latest = held.run.latest(step.id)
    check_transition(latest.status if latest else "pending", "skipped")
    value = publishing.step_value(
        held, number, status="skipped", attempt=latest.attempt if latest else 1
    )
    value |= {"kind": "skip", "gate": recording.gate_block(found, decision).model_dump()}
    publishing.publish_record(held, step.id, value, {}, status="skipped", number=number)
    held.tell("step_finished", step=number, status="skipped", text=decision.reasons[0].message)


def _skip_next(held: Session) -> None:
    """Leave out the first step that is not done; whoever asks is named as git here knows them."""
    number = _next(held)
    if number is None:
        raise UsageError("skipping a step: none is left", hint=f"planlock status {held.plan.id}")
    found = fresh_evidence(held)
    if isinstance(found, Stop):
        raise Refused("skipping a step: the plan has changed", reasons=found.reasons)
    by = held.project.identity()
    step = held.plan.file.plan.steps[number]
    latest = held.run.latest(step.id)
    check_transition(latest.status if latest else "pending", "skipped")
    value = publishing.step_value(
        held, number, status="skipped", attempt=latest.attempt if latest else 1
    )
    gate = recording.gate_block(found, Decision(answer=Answer.REFUSED))
    value |= {"kind": "skip", "gate": gate.model_dump(), "asked_by": f"{by.name} <{by.email}>"}
    publishing.publish_record(held, step.id, value, {}, status="skipped", number=number)
    held.tell("step_finished", step=number, status="skipped", text="as asked")
