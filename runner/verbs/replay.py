"""`replay`: do a recorded run again in a scratch workspace, ask no model, and compare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from runner.core.errors import AuthorityRefused
from runner.core.record import RecordFile
from runner.core.run import RunFile
from runner.git import history
from runner.project import Project
from runner.verbs import replay_compare, runs, taking
from runner.verbs.events import Listener
from runner.verbs.replay_compare import Difference
from runner.verbs.replay_step import Link, Replayer

Result = Literal["same", "output_differs", "differs", "not_replayed"]
Verdict = Literal["same", "outputs_differ", "differs"]
DONE_AGAIN = frozenset({"completed", "failed"})


@dataclass(frozen=True, kw_only=True)
class ReplayedStep:
    """One record that was done again, or why it was not; `why` also tells how an output differs."""

    record: str
    step: str
    step_type: str
    status: str
    result: Result
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    """What came of doing a run again; it ends at the first `difference`.

    An output that differs while all files are the same is told apart: programs print times.
    """

    plan: str
    run: int
    tip: str
    verdict: Verdict
    steps: tuple[ReplayedStep, ...]
    difference: Difference | None


def replay(project: Project, name: str, listener: Listener, *, network: bool) -> ReplayReport:
    """Do `PLAN/N` (or the newest run of `PLAN`) again; raises NotFound or AuthorityRefused.

    Only what a runner signed as allowed is done again. Commands that had a network are left out
    unless `network` lets them have it once more.
    """
    plan_id, number, tip = runs.find(project, name)
    run = runs.load_run(project.store, tip, plan_id, number)
    taking.check_chain(project, project.authority(), run, tip)
    links = _links(project, run, tip)
    with Replayer(project, run, listener, network=network) as again:
        steps, difference = _all(again, links)
    outputs = any(each.result == "output_differs" for each in steps)
    return ReplayReport(
        plan=plan_id,
        run=number,
        tip=tip,
        verdict="differs" if difference else "outputs_differ" if outputs else "same",
        steps=tuple(steps),
        difference=difference,
    )


def _links(project: Project, run: RunFile, tip: str) -> list[Link]:
    """The commits after the header's, each with its record; raises AuthorityRefused."""
    line = history.first_parents(project.git_dir, tip, stop=run.header.plan_tip)
    if len(line) != len(run.records) + 1:
        message = f"replaying {run.header.plan}/{run.header.run}: it has {len(line) - 1} commits"
        message += f" for {len(run.records)} records"
        raise AuthorityRefused(message, hint="planlock audit")
    pairs = zip(line[:-1], line[1:], run.records, strict=True)
    return [Link(before=before, commit=commit, file=file) for before, commit, file in pairs]


def _all(again: Replayer, links: list[Link]) -> tuple[list[ReplayedStep], Difference | None]:
    done: list[ReplayedStep] = []
    for link in links:
        found = _one(again, link)
        if isinstance(found, ReplayedStep):
            done.append(found)
        elif found is not None:
            done += _differing(link, found)
            return done, found
        again.settle(link)
    return done, None


def _differing(link: Link, difference: Difference) -> list[ReplayedStep]:
    told = _told(link.file)
    why = f"{difference.what}: {difference.replayed}"
    return [replace(told, result="differs", why=why)] if told else []


def _told(file: RecordFile) -> ReplayedStep | None:
    record = file.record
    if record.kind != "step" or record.step is None:
        return None
    return ReplayedStep(
        record=file.name,
        step=record.step.id,
        step_type=record.step.type,
        status=record.status,
        result="not_replayed",
    )


def _one(again: Replayer, link: Link) -> ReplayedStep | Difference | None:
    """Do one record again; of those that are no steps only look at the files."""
    record, told = link.file.record, _told(link.file)
    if told is None:
        there = record.rollback.commit if record.rollback else link.before
        return again.compare(link, there)
    if record.status not in DONE_AGAIN:
        return replace(told, why="nobody knows how it ended")
    found = again.perform(link)
    if isinstance(found, Difference):
        return found
    if isinstance(found, str):
        return replace(told, why=found)
    why = replay_compare.output(record, found)
    return replace(told, result="output_differs" if why else "same", why=why)
