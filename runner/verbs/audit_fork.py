"""A run that left another: does it start with what that one had done before the step?"""

from __future__ import annotations

from runner.core.run import RUN_FILE, RecordedFork, RunFile, run_folder
from runner.core.values import parse_time
from runner.verbs import runs
from runner.verbs.audit_past import Past
from runner.verbs.audit_shape import Walk
from runner.verbs.evidence import PlanAt


def origin(past: Past, tip: str, plan: str, run: RunFile) -> RunFile | None:
    """The run that a fork left, as the fork's own branch has it; raises GitError."""
    fork = run.header.fork
    if fork is None or fork.run >= run.header.run:
        return None
    return runs.load_run(past.store, tip, plan, fork.run)


def check(walk: Walk) -> None:
    """Check what the header says of the run that was left."""
    fork = walk.run.header.fork
    if fork is None:
        return
    with walk.past.found.reading(f"{walk.name} {RUN_FILE}"):
        _check_commit(walk, fork)
        plan = walk.past.plan_at(walk.run.header.plan_tip, walk.run.header.plan, on_branch=True)
        if plan is not None and walk.run.origin is not None:
            _check_steps(walk, fork, walk.run.origin, plan)


def _check_commit(walk: Walk, fork: RecordedFork) -> None:
    """The commit is one that the runner made for the other run."""
    past, plan = walk.past, walk.run.header.plan
    tips = past.run_refs.get((plan, fork.run), {}).values()
    path = f"{run_folder(plan, fork.run)}/{RUN_FILE}"
    is_its_own = any(fork.commit in past.graph.first_parents(tip) for tip in dict.fromkeys(tips))
    if not is_its_own or past.store.entry(past.commit(fork.commit).tree, path) is None:
        _add(walk, f"{fork.commit[:12]} is not of run {plan}/{fork.run}")


def _check_steps(walk: Walk, fork: RecordedFork, left: RunFile, plan: PlanAt) -> None:
    first = plan.file.index(fork.step)
    if first is None:
        _add(walk, f"the plan has no step {fork.step}")
        return
    done = left.index.before(fork.step).latest
    gone = _taken_back(walk, fork)
    for number, step in enumerate(plan.file.plan.steps):
        record = done.get(step.id)
        if number >= first:
            if left.latest(step.id) is not None:
                _add(walk, f"step {step.id} had been tried before it was left")
        elif record is None or record.step is None or step.id in gone:
            _add(walk, f"step {step.id} was not done, or was taken back")
        elif record.step.digest != plan.file.digests[number]:
            _add(walk, f"step {step.id} is not the one that was done")


def _taken_back(walk: Walk, fork: RecordedFork) -> set[str]:
    """The steps that the other run had taken back when it was left."""
    plan, started = walk.run.header.plan, parse_time(walk.run.header.started_at)
    tips = walk.past.run_refs.get((plan, fork.run), {}).values()
    found: set[str] = set()
    for tip in dict.fromkeys(tips):
        for each in runs.load_run(walk.past.store, tip, plan, fork.run).records:
            record = each.record
            if parse_time(record.ended_at) >= started:
                continue
            if record.kind == "undo" and record.step is not None:
                found.add(record.step.id)
            found.update(step.id for step in (record.rollback.steps if record.rollback else ()))
    return found


def _add(walk: Walk, message: str) -> None:
    walk.add("fork_differs", RUN_FILE, message)
