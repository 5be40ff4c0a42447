"""Where a new run leaves another of its plan: with what that one had done before a step."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from runner.core.errors import NotFound, Reason, Refused, UsageError
from runner.core.record import Record, RecordFile
from runner.core.run import RunFile, plan_folder
from runner.git.objects import FOLDER, ObjectStore, Tree
from runner.project import Project
from runner.verbs import runs, taking
from runner.verbs.evidence import Evidence, PlanAt

PLACE = re.compile(rf"^(?:(?P<plan>[a-z0-9-]+)/)?(?P<run>{runs.NUMBER}):(?P<step>[a-z0-9-]+)$")
OF_STEPS = frozenset({"step", "skip", "amendment"})


@dataclass(frozen=True, kw_only=True)
class Fork:
    """`origin` is the other run as it was at `commit`; `first` is the place of the step."""

    step: str
    first: int
    commit: str
    origin: RunFile

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.origin.index.before(self.step).skipped

    def block(self) -> dict[str, Any]:
        """What the header of the new run says of it."""
        return {"run": self.origin.header.run, "step": self.step, "commit": self.commit}


def find(project: Project, found: Evidence, name: str) -> Fork:
    """Look up `RUN:STEP`; raises UsageError, NotFound, Refused, or AuthorityRefused."""
    plan = found.plan
    number, step = _parsed(plan.id, name)
    first = plan.file.index(step)
    if first is None:
        raise NotFound(f"forking {name}: plan {plan.id} has no step {step!r}")
    tip = runs.of_plan(project, plan.id).get(number)
    if tip is None:
        raise NotFound(f"forking {name}: there is no run {plan.id}/{number}")
    run = runs.load_run(project.store, tip, plan.id, number)
    taking.check_chain(project, found.authority, run, tip)
    commit = before(project.store, run, plan, first, tip=tip)
    origin = runs.load_run(project.store, commit, plan.id, number)
    reasons = _reasons(run, origin, plan, first)
    if reasons:
        raise Refused(f"run {plan.id}/{number} cannot be left before {step}", reasons=reasons)
    return Fork(step=step, first=first, commit=commit, origin=origin)


def _parsed(plan: str, name: str) -> tuple[int, str]:
    match = PLACE.match(name)
    if match is None or match["plan"] not in {None, plan}:
        message = f"forking {name!r}: not a run of {plan} and a step"
        raise UsageError(message, hint=f"planlock run {plan} --from 1:STEP")
    return int(match["run"]), match["step"]


def before(store: ObjectStore, run: RunFile, plan: PlanAt, first: int, *, tip: str) -> str:
    """The run's commit before anything but the steps that come first was recorded."""
    kept = {None, *(step.id for step in plan.file.plan.steps[:first])}
    place = next((n for n, each in enumerate(run.records) if _is_beyond(each, kept)), None)
    back = 0 if place is None else len(run.records) - place
    for _ in range(back):
        tip = store.commit(tip).parents[0]
    return tip


def _is_beyond(file: RecordFile, kept: Collection[str | None]) -> bool:
    return file.record.kind not in OF_STEPS or file.record.about not in kept


def _reasons(run: RunFile, origin: RunFile, plan: PlanAt, first: int) -> tuple[Reason, ...]:
    """Why what the other run had done before a step cannot count as done."""
    fix = f"planlock run {plan.id} --new"
    if origin.header.base != plan.file.plan.base:
        message = f"the plan has another base than run {plan.id}/{run.header.run}"
        return (Reason(code="stale", message=message, fix=fix),)
    steps = plan.file.plan.steps
    done = origin.index.before(steps[first].id).latest
    pairs = zip(steps[:first], plan.file.digests, strict=False)
    found = (_trouble(run, done.get(step.id), step.id, digest) for step, digest in pairs)
    return tuple(replace(each, fix=fix) for each in found if each is not None)


def _trouble(run: RunFile, record: Record | None, step: str, digest: str) -> Reason | None:
    if record is None or record.step is None:
        return Reason(code="not_done", message=f"step {step} was not done there")
    if record.step.digest != digest:
        return Reason(code="stale", message=f"step {step} is not what was done there")
    if step in run.index.rolled_back or run.latest_undo(step) is not None:
        return Reason(code="rolled_back", message=f"step {step} was taken back there")
    return None


def tree_files(store: ObjectStore, plan: PlanAt) -> Tree:
    """The files of the plan's folder as the plan's branch has them."""
    folder = plan_folder(plan.id)
    entry = store.entry(store.commit(plan.commit).tree, folder)
    if entry is None or entry.mode != FOLDER:
        return {}
    return dict(store.walk(entry.oid, f"{folder}/"))
