"""`github execute`: woken by a forge, read everything again, and do what may be done now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from runner.core import desk_command
from runner.core.desk_command import Command
from runner.core.errors import (
    AuthorityRefused,
    ForgeDenied,
    ForgeError,
    InvalidDocument,
    NotFound,
    OutsideError,
    PlanlockError,
    Reason,
    Refused,
    RunHeld,
)
from runner.core.forge import WRITERS, Account, Comment, PullRequest
from runner.core.inert import markdown
from runner.core.text import visible
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import cancel as stopping
from runner.verbs import execute
from runner.verbs.events import Listener
from runner.verbs.execute import Options
from runner.verbs.pull_comment import Board
from runner.verbs.pull_request import Reader, plan_of
from runner.verbs.run_report import RunReport

RUN = Command(verb="run")
PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """What somebody asked for in a comment, and where; `command` is None where it is not obeyed."""

    comment: Comment
    command: Command | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of being woken: a run's report, or why there is none.

    `failed` where something outside broke, rather than being refused.
    """

    plan: str
    failed: bool = False
    report: RunReport | None = None
    message: str = ""
    reasons: tuple[Reason, ...] = ()


def read_command(
    forge: GitHub, comment_id: int, *, is_person: Callable[[Account], bool]
) -> Told | None:
    """Read a comment again, and answer one that is not obeyed; None where nobody has to know.

    Only people who may write are obeyed, only what they wrote first (design, section 11). What was
    approved for one run is run once more only for `is_person`, people of the policy.
    """
    comment = forge.comment(comment_id)
    author = comment.author
    if not desk_command.is_meant(comment.body) or author is None or not author.is_person:
        return None
    permission = forge.rights(author).permission
    if permission == "none":
        return None
    command = desk_command.parse(comment.body)
    if permission not in WRITERS:
        why = f"it needs the right to write here, and yours is to {permission}"
    elif comment.edited:
        why = "it was edited: write a new comment"
    elif isinstance(command, Command) and "--new" in command.options and not is_person(author):
        why = "a further run is started by people of the policy"
    elif isinstance(command, str):
        why = f"{command}\n\n{desk_command.HELP}"
    else:
        with suppress(ForgeDenied):  # a courtesy: a run may take a while
            forge.react(comment.id, "eyes")
        return Told(comment=comment, command=command)
    board = Board.read(forge, comment.number)
    who = markdown(author.login)
    board.once(f"comment:{comment.id}", f"{who}, your command was not obeyed: {why}")
    return Told(comment=comment, command=None)


def run(
    project: Project, forge: GitHub, pull: PullRequest, command: Command, listener: Listener
) -> Outcome:
    """Go on with the plan's run, or start one, as far as the gate lets it; raises ForgeError."""
    plan = plan_of(pull)
    if not plan:
        return Outcome(plan="", message=f"branch {visible(pull.head.branch)} is no plan's")
    reader = Reader(project=project, forge=forge, number=pull.number)
    options = Options(
        desk=reader.desk(),
        retry="--retry" in command.options,
        skip="--skip" in command.options,
        new="--new" in command.options,
    )
    try:
        report = execute.run(project, plan, options, listener)
    except (AuthorityRefused, NotFound, InvalidDocument) as error:
        return Outcome(plan=plan, message=error.message, reasons=_reasons(error))
    except RunHeld as error:
        return Outcome(plan=plan, message=error.message)
    except Refused as error:
        return Outcome(plan=plan, message=error.message, reasons=error.reasons)
    except ForgeError:
        raise  # it could not be told there either
    except OutsideError as error:
        return Outcome(plan=plan, failed=True, message=error.message, reasons=_reasons(error))
    return Outcome(plan=plan, report=report, message=report.message, reasons=report.reasons)


def cancel(project: Project, pull: PullRequest, listener: Listener) -> Outcome:
    """End the plan's open run, or ask whoever holds it to."""
    plan = plan_of(pull)
    try:
        done = stopping.cancel(project, plan, listener, reason="", patience_s=PATIENCE_S)
    except (Refused, NotFound) as error:
        return Outcome(plan=plan, message=error.message, reasons=_reasons(error))
    said = "is over" if done.is_over else "was asked to end"
    return Outcome(plan=plan, message=f"run {plan}/{done.run} {said}")


def act_for(project: Project, author: Account | None) -> None:
    """Let what is asked for be recorded in the name of an account of the forge."""
    if author is not None:
        login = visible(author.login)
        project.act_for(login, f"{author.id}+{login}@users.noreply.github.com")


def _reasons(error: PlanlockError) -> tuple[Reason, ...]:
    if isinstance(error, Refused) and error.reasons:
        return error.reasons
    return (Reason(code=error.code, message=error.message, fix=error.hint),)
