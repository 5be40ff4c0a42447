"""`cancel`: end a run before its last step, with the command that is running."""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.errors import RunHeld
from runner.core.run import run_branch
from runner.git import refs
from runner.git.control import Request
from runner.project import Project
from runner.verbs import control, ending, runs, taking
from runner.verbs.control import Target
from runner.verbs.events import Listener


@dataclass(frozen=True, kw_only=True)
class CancelReport:
    """`is_over` is False where the run's holder has not ended it yet."""

    plan: str
    run: int
    is_over: bool


def cancel(
    project: Project, name: str, listener: Listener, *, reason: str, patience_s: float
) -> CancelReport:
    """Ask the run's holder to end it, or end it where nobody holds it; raises RunOver."""
    target = control.open_run(project, name)
    request = control.ask(project, target, "cancel", reason=reason)
    is_over = control.wait(
        project,
        target,
        patience_s=patience_s,
        until=lambda: _is_over(project, target) or _end(project, target, request, listener),
    )
    return CancelReport(plan=target.plan, run=target.number, is_over=is_over)


def _is_over(project: Project, target: Target) -> bool:
    tip = refs.read(project.git_dir, run_branch(target.plan, target.number))
    return tip is not None and runs.load_run(project.store, tip, target.plan, target.number).ended


def _end(project: Project, target: Target, request: Request, listener: Listener) -> bool:
    """End a run that nobody holds; False where somebody does."""
    if control.is_at_work(project, target):
        return False
    try:
        held = taking.take_over(
            project, target.plan, target.number, authority=project.authority(), listener=listener
        )
    except (RunHeld, control.RunOver):
        return False
    with taking.holding(held):
        ending.settle_intent(held)
        ending.end(held, status="cancelled", asked=request)
    return True
