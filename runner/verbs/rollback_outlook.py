"""What a rollback would take back of a run, and what it could not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runner.core.errors import NotFound, Refused, UsageError
from runner.core.plan import PlanFile, Step, commands, undo_step
from runner.core.rollback import Backward, Undo, backward, done_here, own_records
from runner.core.run import RunFile, plan_folder, run_folder
from runner.core.text import visible
from runner.git import graph
from runner.git.graph import Change
from runner.git.objects import ObjectStore
from runner.project import Project
from runner.verbs import ending, evidence, holder, rollback_merged, runs
from runner.verbs.control import RunOver
from runner.verbs.evidence import PlanAt
from runner.verbs.rollback_merged import Merged


@dataclass(frozen=True, kw_only=True)
class StepBack:
    """One step; `command` undoes it, and may contact `hosts` and gets `secrets`."""

    number: int
    id: str
    step_type: str
    status: str
    undo: Undo
    last_undo: str
    command: str
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A run before its rollback to before `step`: the files of `commit` come back.

    `proposed` is the branch that takes the changes of a merged run back, `conflicts` the paths
    that others have changed since.
    """

    plan: str
    run: int
    tip: str
    step: str
    number: int
    commit: str
    steps: tuple[StepBack, ...]
    restored: tuple[str, ...]
    proposed: str
    conflicts: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.plan}/{self.run}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run goes back to: `first` counts from 0, `left` are the files as it left them."""

    project: Project
    run: RunFile
    plan: PlanAt
    tip: str
    first: int
    commit: str

    @property
    def step(self) -> Step:
        return self.plan.file.plan.steps[self.first]

    def merged(self) -> Merged | None:
        """What to do about the trusted branch, where it has the run."""
        return rollback_merged.find(self.project, self.run, self.tip, tuple(self.changes()))

    def changes(self) -> Iterator[Change]:
        """What the run changed from there on: `old` is what comes back."""
        store = self.project.store
        trees = [store.commit(oid).tree for oid in (self.commit, self.tip)]
        return outside(graph.diff(store, *trees), self.plan.id)


def outside(changes: Iterable[Change], plan: str) -> Iterator[Change]:
    """Leave out what lies in the folder of a plan."""
    return (each for each in changes if not each.path.startswith(f"{plan_folder(plan)}/"))


def look(project: Project, name: str, to: str = "") -> Outlook:
    """Tell what rolling a run back to before a step, or its first, would do.

    Raises NotFound, RunOver for one that is rolled back already, UsageError, or Refused.
    """
    place, started = _find(project, name, to)
    backs = backward(place.run, place.plan.file, place.first, started=started)
    merged = place.merged()
    return Outlook(
        plan=place.plan.id,
        run=place.run.header.run,
        tip=place.tip,
        step=place.step.id,
        number=place.first + 1,
        commit=place.commit,
        steps=tuple(map(_step, backs)),
        restored=tuple(visible(each.path) for each in place.changes()),
        proposed=merged.branch if merged else "",
        conflicts=tuple(map(visible, merged.conflicts)) if merged else (),
    )


def _find(project: Project, name: str, to: str) -> tuple[Place, str]:
    project.home.fetch(name.partition("/")[0])
    plan_id, number, tip = runs.find(project, name)
    run = runs.load_run(project.store, tip, plan_id, number)
    if run.index.end is not None and run.index.end.kind == "rollback":
        message = f"run {plan_id}/{number} is already rolled back"
        raise RunOver(message, hint=f"planlock log {plan_id}/{number}")
    plan = evidence.plan_at(project.store, tip, plan_id, on_branch=True)
    if plan is None:
        raise NotFound(f"rolling back {plan_id}/{number}: its branch holds no plan")
    started = _started(project, plan, run)
    first = _first(run, plan.file, to, started)
    return place_at(project, run, plan, tip=tip, first=first), started


def place_at(project: Project, run: RunFile, plan: PlanAt, *, tip: str, first: int) -> Place:
    """The place before a step in a run that has come to a commit."""
    step = plan.file.plan.steps[first].id
    commit = commit_before(project.store, run, tip, step)
    return Place(project=project, run=run, plan=plan, tip=tip, first=first, commit=commit)


def _started(project: Project, plan: PlanAt, run: RunFile) -> str:
    """The command that had started when its runner went away, and left no record."""
    lease = holder.lease(project, plan.id, run.header.run)
    if lease is None or lease.undo:
        return ""
    found = ending.unrecorded(project, plan.file, run, lease)
    return "" if found is None else lease.step


def _first(run: RunFile, plan: PlanFile, to: str, started: str) -> int:
    """The place of the first step to take back."""
    name = f"{run.header.plan}/{run.header.run}"
    done = [*done_here(run, plan), *([plan.places[started]] if started else [])]
    if to and plan.index(to) is None:
        known = ", ".join(step.id for step in plan.plan.steps)
        raise UsageError(f"plan {plan.plan.id} has no step {to!r}", hint=f"steps: {known}")
    if not done:
        message = f"run {name} has done nothing that could be taken back"
        raise Refused(message, hint=f"planlock cancel {name}")
    first = plan.places[to] if to else min(done)
    if first not in done:
        known = ", ".join(plan.plan.steps[number].id for number in done)
        message = f"rolling back to before {to}: run {name} did nothing in that step"
        raise UsageError(message, hint=f"steps that it did: {known}")
    undone = min((plan.places[step] for step in run.index.undos), default=first)
    if undone < first:
        step = plan.plan.steps[undone].id
        message = f"rolling back to before {to}: the undo command of {step} has been started"
        raise UsageError(message, hint=f"planlock rollback {name} --to {step}")
    return first


def commit_before(store: ObjectStore, run: RunFile, tip: str, step: str) -> str:
    """The commit of a run before the first record about a step; its tip where there is none."""
    if not own_records(run, step):
        return tip
    name = next(each.name for each in run.records if each.record.about == step)
    path = f"{run_folder(run.header.plan, run.header.run)}/{name}"
    while store.entry(store.commit(tip).tree, path) is not None:
        tip = store.commit(tip).parents[0]
    return tip


def _step(back: Backward) -> StepBack:
    undo = undo_step(back.step)
    given = next(commands(undo), None) if undo else None
    return StepBack(
        number=back.number + 1,
        id=back.step.id,
        step_type=back.step.step_type,
        status=back.status,
        undo=back.undo,
        last_undo=back.last,
        command=visible(given.command) if given else "",
        hosts=tuple(given.network) if given else (),
        secrets=tuple(given.secrets) if given else (),
        note=visible(back.note),
    )
