"""`pause`: let a run stop before its next step."""

from __future__ import annotations

from dataclasses import dataclass

from runner.project import Project
from runner.verbs import control


@dataclass(frozen=True, kw_only=True)
class PauseReport:
    """`is_paused` is False where a runner is still busy with a step; it stops after that."""

    plan: str
    run: int
    is_paused: bool


def pause(project: Project, name: str, *, reason: str, patience_s: float) -> PauseReport:
    """Ask the run's holder to stop after its step; raises NotFound or RunOver."""
    target = control.open_run(project, name)
    control.ask(project, target, "pause", reason=reason)
    is_paused = control.wait(
        project,
        target,
        patience_s=patience_s,
        until=lambda: not control.is_at_work(project, target),
    )
    return PauseReport(plan=target.plan, run=target.number, is_paused=is_paused)
