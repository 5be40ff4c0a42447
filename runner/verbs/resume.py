"""`resume`: go on with a run that is open."""

from __future__ import annotations

from runner.core.errors import UsageError
from runner.project import Project
from runner.verbs import control, execute, taking
from runner.verbs.events import Listener
from runner.verbs.execute import Options
from runner.verbs.run_report import RunReport


def resume(project: Project, name: str, options: Options, listener: Listener) -> RunReport:
    """Withdraw a pause and go on; raises NotFound, RunOver, Refused, RunHeld or OutsideError."""
    if options.retry and options.skip:
        raise UsageError("going on: --retry and --skip exclude each other", hint="name one of them")
    target = control.open_run(project, name)
    request = control.standing(project, target.plan, target.number)
    if request is not None and request.wish == "cancel":
        control.refuse_paused(project, target.plan, target.number)
    if request is not None:
        control.ask(project, target, "resume")
    held = taking.take_over(
        project, target.plan, target.number, authority=project.authority(), listener=listener
    )
    return execute.drive(held, options)
