"""`status` without a plan: every run that is open, and how each plan's newest one ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.core.errors import GitError, InvalidDocument
from runner.core.run import RunFile, run_status, run_tag
from runner.core.run_states import DONE
from runner.core.values import parse_time, time_text
from runner.git import refs
from runner.git.leases import Lease
from runner.project import Project
from runner.verbs import control, evidence, holder, runs
from runner.verbs.evidence import PlanAt

MOST_ENDED = 10


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run: its state, how many steps are behind it, and which one is next or under way.

    `seen` is when its holder gave its last sign of life.
    """

    plan: str
    run: int
    status: str
    done: int
    total: int
    step: str
    holder: str
    seen: str
    last: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Open runs, newest ones that ended, and how many more of those there are."""

    place: str
    open: tuple[RunLine, ...]
    ended: tuple[RunLine, ...]
    more: int


def overview(project: Project) -> Overview:
    """Look at the runs that this repository knows, as last fetched; asks no network."""
    known = list(runs.every(project))
    tags = refs.under(project.git_dir, run_tag("", 0)[:-2])
    is_over = {(plan, run) for plan, run, _, _ in known if run_tag(plan, run) in tags}
    newest = {plan: run for plan, run, _, _ in sorted(known)}
    ended = [each for each in known if each[:2] in is_over and newest[each[0]] == each[1]]
    going = [each for each in known if each[:2] not in is_over]
    return Overview(
        place=str(project.repository.top),
        open=tuple(_lines(project, going)),
        ended=tuple(_lines(project, ended[:MOST_ENDED])),
        more=max(len(ended) - MOST_ENDED, 0),
    )


def _lines(project: Project, known: list[tuple[str, int, str, str]]) -> Iterator[RunLine]:
    for plan, number, _, tip in sorted(known):
        try:
            run = runs.load_run(project.store, tip, plan, number)
            own = evidence.plan_at(project.store, tip, plan, on_branch=True)
            line = _line(project, own, run) if own else None
        except (InvalidDocument, GitError) as error:
            line = _unreadable(plan, number, str(error))
        if line is not None:
            yield line


def _unreadable(plan: str, number: int, why: str) -> RunLine:
    return RunLine(
        plan=plan,
        run=number,
        status="unreadable",
        done=0,
        total=0,
        step="",
        holder="",
        seen="",
        last="",
        why=why,
    )


def _line(project: Project, plan: PlanAt, run: RunFile) -> RunLine:
    names = [step.id for step in plan.file.plan.steps]
    left = [name for name in names if run.status(name) not in DONE]
    lease = holder.lease(project, plan.id, run.header.run)
    at_work = _at_work(project, run, lease)
    asked = None if run.ended else control.standing(project, plan.id, run.header.run)
    return RunLine(
        plan=plan.id,
        run=run.header.run,
        status=_status(run, names, at_work=at_work is not None),
        done=len(names) - len(left),
        total=len(names),
        step="" if run.ended else next(iter(left), ""),
        holder=at_work.holder if at_work else "",
        seen=time_text(at_work.taken_at) if at_work else "",
        last=run.last_moment,
        why=control.told(asked) if asked else "",
    )


def _at_work(project: Project, run: RunFile, lease: Lease | None) -> Lease | None:
    if run.ended or lease is None:
        return None
    now = max(project.world.now(), parse_time(run.last_moment))
    return lease if holder.is_at_work(lease, now) else None


def _status(run: RunFile, names: list[str], *, at_work: bool) -> str:
    """Why an open run that nobody holds does not go on is for `status PLAN` to tell."""
    recorded = run_status(run, names)
    if run.ended or recorded == "failed":
        return recorded
    return "running" if at_work else "paused"
