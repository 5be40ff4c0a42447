"""Why a run stops before its end, and with what for people to do."""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.errors import Reason
from runner.core.plan import Step
from runner.steps.contract import Failure
from runner.verbs.session import Session

# What to change where the same step would only fail again.
_NAMES = dict.fromkeys(
    (
        "workspace_control_character",
        "workspace_device_name",
        "workspace_dot",
        "workspace_encoding",
        "workspace_separator",
        "workspace_too_deep",
        "workspace_too_long",
    ),
    "give the file another name",
)
_OF_COMMANDS = {
    **_NAMES,
    "unapproved_change": "declare the change or leave it out",
    "secret_in_change": "keep the secret out of files",
    "workspace_protected_changed": "leave .git and plans/ alone",
    "workspace_submodule": "leave the submodule alone",
    "workspace_git_dir": "make repositories in $TMPDIR, or remove their .git",
    "workspace_special_file": "make pipes and sockets in $TMPDIR, or remove them",
    "workspace_too_large": "write less",
}
_OF_OTHERS = {
    **_NAMES,
    **dict.fromkeys(
        ("workspace_symlink", "workspace_not_regular", "workspace_traversal"),
        "name a file of the repository itself",
    ),
    "not_text": "read the file with a command",
    "secret_in_change": "keep the secret out of files",
    "stale": "bring what the step replaces up to date",
    "workspace_hard_link": "name a file that is no hard link",
    "workspace_mode": 'set the mode to "0644" or "0755"',
    "workspace_too_large": "read the part that matters with a command",
}


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why the loop ended."""

    status: str
    step: str = ""
    reasons: tuple[Reason, ...] = ()
    message: str = ""


def again(plan: str, *, ended: bool = False) -> str:
    """The command that does a step which was not done: in another run once this one has ended."""
    return f"planlock run {plan} --new" if ended else f"planlock resume {plan} --retry"


def fix(plan: str, code: str, step_type: str, *, ended: bool = False) -> str:
    """What to do about a failed step: change it where a retry cannot help."""
    changes = _OF_COMMANDS if step_type == "run_command" else _OF_OTHERS
    if change := changes.get(code):
        return f"{change}: planlock propose {plan}, then planlock run {plan} --new"
    return again(plan, ended=ended)


def failed(held: Session, step: Step, failure: Failure) -> Stop:
    what_helps = fix(held.plan.id, failure.code, step.step_type)
    reason = Reason(code=failure.code, message=failure.message, fix=what_helps)
    return Stop(status="failed", step=step.id, reasons=(reason,))


def still_failed(held: Session, number: int, status: str) -> Stop:
    step = held.plan.file.plan.steps[number]
    latest = held.run.latest(step.id)
    code = latest.error.code if latest and latest.error else ""
    reason = Reason(
        code="step_failed",
        message=f"step {number + 1} {step.id} {status} and is not repeated by itself",
        fix=fix(held.plan.id, code, step.step_type),
    )
    return Stop(status="failed", step=step.id, reasons=(reason,))


def going_back(held: Session) -> Stop:
    """Effects of the run have begun to be undone: nothing may build on them any more."""
    return Stop(status="paused", reasons=(rolling_back(held.plan.id, held.number),))


def rolling_back(plan: str, number: int) -> Reason:
    """Why a run does not go on of which a step was undone."""
    fix = f"planlock rollback {plan}/{number}"
    message = "its rollback has begun, and the run does not go on"
    return Reason(code="rolling_back", message=message, fix=fix)


def pause(held: Session, number: int, *reasons: Reason) -> Stop:
    """Money, a model or something of this machine is missing: the step has not failed."""
    held.tell("waiting", step=number, status="paused")
    step = held.plan.file.plan.steps[number]
    return Stop(status="paused", step=step.id, reasons=reasons)


def wait(held: Session, number: int, reasons: tuple[Reason, ...]) -> Stop:
    if {each.code for each in reasons} == {"budget_exceeded"}:
        return pause(held, number, *reasons)
    step = held.plan.file.plan.steps[number]
    held.tell("waiting", step=number, status="awaiting_approval")
    return Stop(status="awaiting_approval", step=step.id, reasons=reasons)
