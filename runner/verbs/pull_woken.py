"""What woke a workflow: where to look, and what is asked for. Nothing that the event says counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.core import desk_command
from runner.core.desk_command import Command
from runner.core.errors import FileAccessError, NotFound, UsageError
from runner.core.forge import Account, PullRequest
from runner.core.reviews import HEADS
from runner.core.run import plan_branch
from runner.core.text import visible
from runner.core.values import PLAN_ID
from runner.github import events
from runner.github.client import GitHub
from runner.github.events import Event
from runner.project import Project
from runner.verbs import pull_request, pull_run
from runner.verbs.pull_run import RUN, Told

NAME, PATH = "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Where to look, from a command line or an event; each may be wrong.

    `queued` is the commit of a merge queue.
    """

    number: int | None = None
    plan: str = ""
    comment: int | None = None
    queued: str = ""
    is_asked: bool = True


@dataclass(frozen=True, kw_only=True)
class Woken:
    """A pull request as it is now, and what to do about it; `told` is who asked in a comment.

    `is_asked` is False where nobody named it: a review came, went or changed.
    """

    pull: PullRequest
    command: Command
    told: Told | None = None
    is_asked: bool = True


def event(environment: Mapping[str, str]) -> Event | None:
    """The event that a workflow was started by; None outside of one. Raises UsageError."""
    name, path = environment.get(NAME), environment.get(PATH)
    if not name or not path:
        return None
    try:
        payload = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FileAccessError(f"reading {PATH}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"reading {PATH}: it is no JSON") from error
    return events.read_event(name, payload)


def hints(found: Event | None) -> Hints:
    """What an event points to."""
    if found is None:
        return Hints()
    start = plan_branch("").removeprefix(HEADS)
    branch, inputs = found.branch or "", found.inputs
    plan = branch.removeprefix(start) if branch.startswith(start) else inputs.get("plan", "")
    is_asked = found.kind != "workflow_run"
    return Hints(
        number=found.number,
        plan=plan,
        comment=found.comment,
        queued=found.commit or "",
        is_asked=is_asked,
    )


def with_word(woken: Woken, word: str | None) -> Woken:
    """The same with the command that somebody named on the command line."""
    found = desk_command.parse(f"/planlock {word}") if word else woken.command
    return woken if isinstance(found, str) else replace(woken, command=found)


def find(project: Project, forge: GitHub, where: Hints) -> Woken | None:
    """Read again what the hints point to; None where there is nothing to do. Raises ForgeError."""
    told = None
    if where.comment is not None:
        told = pull_run.read_command(
            forge, where.comment, is_person=lambda each: _is_person(project, each)
        )
        if told is None or told.command is None:
            return None
    number = told.comment.number if told else where.number
    command = told.command if told and told.command else RUN
    if number is not None:
        return Woken(pull=forge.pull_request(number), command=command, told=told)
    if not where.is_asked and not re.fullmatch(PLAN_ID, where.plan):
        return None  # a ping about a branch that carries no plan
    if not re.fullmatch(PLAN_ID, where.plan):
        said = f"{visible(where.plan)!r} is no plan's id" if where.plan else "none is named"
        raise UsageError(f"executing a plan: {said}", hint="--plan ID or --pull-request N")
    try:
        found = pull_request.find(project, forge, where.plan)
    except NotFound:
        if where.is_asked:
            raise
        return None  # its pull request was closed since
    return Woken(pull=found, command=command, is_asked=where.is_asked)


def _is_person(project: Project, account: Account) -> bool:
    project.home.fetch()
    return project.authority().policy.person_of_account(account.id) is not None
