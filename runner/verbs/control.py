"""What people ask of a run, from any terminal or machine, and whether it has been obeyed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from runner.core.errors import BranchBusy, Reason, Refused, RepositoryUnsuitable
from runner.core.run import RunFile, control_ref
from runner.core.text import visible
from runner.core.values import parse_time, time_text
from runner.git import control, refs
from runner.git.control import Request, Wish
from runner.git.refs import Move
from runner.project import Project
from runner.verbs import holder, runs

LOOK_S = 0.2
REMOTE_LOOK_S = 3.0
ATTEMPTS = 5
UNNAMED = "somebody at the runner's terminal"


class RunOver(Refused):
    """The run has ended, and nothing more can be asked of it."""

    code = "run_over"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A run that somebody asks something of."""

    plan: str
    number: int
    run: RunFile

    @property
    def name(self) -> str:
        return f"{self.plan}/{self.number}"


def _nothing() -> Wish | None:
    return None


def _asker(project: Project) -> str:
    """Who sits at this terminal, as git knows them."""
    try:
        by = project.identity()
    except RepositoryUnsuitable:
        return UNNAMED
    return f"{by.name} <{by.email}>"


@dataclass
class Wishes:
    """What is asked of a run while it is held; `here` is what the person at this terminal asks.

    A remote home is only looked at now and then: each look costs a connection.
    """

    here: Callable[[], Wish | None] = _nothing
    _next_look: float = 0.0

    def look(self, project: Project, plan: str, number: int) -> Request | None:
        """Give the request that holds; raises GitError where the home cannot be reached."""
        if mine := self.mine(project):
            return mine
        if project.home.url is not None and project.world.monotonic() >= self._next_look:
            self._next_look = project.world.monotonic() + REMOTE_LOOK_S
            project.home.fetch(plan)
        return standing(project, plan, number)

    def mine(self, project: Project) -> Request | None:
        """What the person at this terminal asks."""
        wish = self.here()
        if wish is None:
            return None
        return Request(wish=wish, asked_by=_asker(project), asked_at=project.world.now())


def open_run(project: Project, name: str) -> Target:
    """Find an open run by `PLAN/N`, or the newest of `PLAN`; raises NotFound or RunOver."""
    project.home.fetch(name.partition("/")[0])
    plan, number, tip = runs.find(project, name)
    run = runs.load_run(project.store, tip, plan, number)
    refuse_over(run)
    return Target(plan=plan, number=number, run=run)


def refuse_over(run: RunFile) -> None:
    """Raise RunOver for a run that has ended."""
    if run.ended:
        name = f"{run.header.plan}/{run.header.run}"
        message = f"run {name} is over: {run.records[-1].record.status}"
        raise RunOver(message, hint=f"planlock log {name}")


def standing(project: Project, plan: str, number: int) -> Request | None:
    """The request that holds now; none after `resume`."""
    oid = refs.read(project.git_dir, control_ref(plan, number))
    found = control.read(project.store, oid) if oid else None
    return None if found is None or found.wish == "resume" else found


def ask(project: Project, target: Target, wish: Wish, *, reason: str = "") -> Request:
    """Add a request; two at the same moment follow one another. Raises BranchBusy or GitError."""
    by = project.identity()
    request = Request(
        wish=wish,
        asked_by=f"{by.name} <{by.email}>",
        asked_at=project.world.now(),
        reason=reason,
    )
    ref = control_ref(target.plan, target.number)
    for left in reversed(range(ATTEMPTS)):
        old = refs.read(project.git_dir, ref)
        _check_not_cancelled(project, old, wish, target)
        new = control.write(project.store, request, parent=old, by=by)
        try:
            project.publisher.publish([Move(ref=ref, old=old, new=new)], reason=wish)
        except BranchBusy:
            if left == 0:
                raise
            project.home.fetch(target.plan)
        else:
            break
    return request


def _check_not_cancelled(
    project: Project, standing_oid: str | None, wish: Wish, target: Target
) -> None:
    """Raise Refused where somebody asked for the run's end: nothing takes that back."""
    found = control.read(project.store, standing_oid) if standing_oid else None
    if found is not None and found.wish == "cancel" and wish != "cancel":
        reason = Reason(code="cancelled", message=told(found), fix=f"planlock cancel {target.name}")
        message = f"run {target.name} was asked to end"
        raise Refused(message, reasons=(reason,), hint=reason.fix)


def told(request: Request) -> str:
    """Who asked for what, when and why, safe to show."""
    why = f": {request.reason}" if request.reason else ""
    done = {"pause": "paused", "cancel": "cancelled", "resume": "resumed"}[request.wish]
    return visible(f"{done} by {request.asked_by} at {time_text(request.asked_at)}{why}")


def refuse_paused(project: Project, plan: str, number: int) -> None:
    """Raise Refused where somebody paused the run, or asked for its end."""
    reason = why_it_waits(project, plan, number)
    if reason is not None:
        message = f"run {plan}/{number} does not go on"
        raise Refused(message, reasons=(reason,), hint=reason.fix)


def why_it_waits(project: Project, plan: str, number: int) -> Reason | None:
    """The request that holds, as a reason."""
    request = standing(project, plan, number)
    if request is None:
        return None
    name, text = f"{plan}/{number}", told(request)
    if request.wish == "cancel":
        return Reason(code="cancel_asked", message=text, fix=f"planlock cancel {name}")
    return Reason(code="paused", message=text, fix=f"planlock resume {name}")


def is_at_work(project: Project, target: Target) -> bool:
    """Whether some runner holds the run, judged as `run` judges it before it takes over."""
    lease = holder.lease(project, target.plan, target.number)
    return lease is not None and holder.is_at_work(lease, moment(project, target.run))


def moment(project: Project, run: RunFile) -> datetime:
    """The later of the clock and the run's last record."""
    return max(project.world.now(), parse_time(run.last_moment))


def wait(project: Project, target: Target, *, patience_s: float, until: Callable[[], bool]) -> bool:
    """Look again and again until something is so; whether it came to be so in time."""
    world, remote = project.world, project.home.url is not None
    deadline = world.monotonic() + patience_s
    while not until():
        if world.monotonic() >= deadline:
            return False
        world.sleep(REMOTE_LOOK_S if remote else LOOK_S)
        project.home.fetch(target.plan)
    return True
