"""`github propose`: an issue with the label `planlock` asks for a plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.core.errors import PlanlockError, Refused
from runner.core.forge import WRITERS, Account, Issue, PullRequest, TimelineEvent
from runner.core.inert import markdown
from runner.core.policy import Policy
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import plan, pull_open
from runner.verbs.plan import Into
from runner.verbs.planning import Progress, Wish
from runner.verbs.pull_comment import Board
from runner.verbs.pull_run import act_for

LABEL = "planlock"
# What an issue form makes of its fields.
_GOAL = re.compile(r"^### Goal\s*\n(?P<goal>.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_NOTHING = "_No response_"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An issue's goal, the person who set the label, and the one who wrote the goal."""

    issue: Issue
    goal: str
    author: str
    prompter: str
    labeler: Account


def propose(project: Project, forge: GitHub, number: int, tell: Progress) -> PullRequest | None:
    """Plan what an issue asks for, and open the plan's pull request; None where it asks nothing.

    Why nothing comes of it is answered below the issue, once.
    """
    issue = forge.issue(number)
    if not issue.is_open or LABEL not in issue.labels:
        return None
    project.home.fetch()
    board = Board.read(forge, number)
    try:
        asked = _asked(forge, issue, project.authority().policy)
        pull = _plan(project, forge, asked, tell)
    except PlanlockError as error:
        board.put("plan", f"No plan came of this issue: {markdown(error.message)}")
        raise
    board.put("plan", f"The plan is pull request #{pull.number}.")
    return pull


def _asked(forge: GitHub, issue: Issue, policy: Policy) -> Asked:
    """Who asked for what; raises Refused where that is nobody who may."""
    events = forge.timeline(issue.number)
    labeler, labeled_at = _labeler(events)
    if forge.rights(labeler).permission not in WRITERS:
        raise Refused(f"{labeler.login} set the label, and may not write here")
    author = policy.person_of_account(labeler.id)
    if author is None:
        message = f"{labeler.login} set the label, and the policy knows nobody with that account"
        raise Refused(message, hint="planlock people add, in a pull request")
    may = {labeler.login, issue.author.login if issue.author else ""}
    for at, login in _edits(forge, issue.number, events):
        _check_edit(at, login, labeled_at=labeled_at, may=may)
    wrote = policy.person_of_account(issue.author.id) if issue.author else None
    return Asked(
        issue=issue,
        goal=goal_of(issue),
        author=author.principal,
        prompter=wrote.principal if wrote else "",
        labeler=labeler,
    )


def _edits(
    forge: GitHub, number: int, events: Iterable[TimelineEvent]
) -> Iterator[tuple[datetime | None, str]]:
    """When and by which login the text was edited last, and each time the title was."""
    if (edit := forge.issue_edit(number)) is not None:
        yield edit
    for each in events:
        if each.name == "renamed":
            yield each.at, each.actor.login if each.actor else ""


def _check_edit(
    at: datetime | None, login: str, *, labeled_at: datetime | None, may: Collection[str]
) -> None:
    """Raise Refused where others wrote the goal than those who may then not approve the plan."""
    if at is None or labeled_at is None or at >= labeled_at:
        raise Refused("it was edited after the label was set", hint="set the label again")
    if login not in may:
        raise Refused(f"it was edited by {login or 'an account that is gone'}")


def _labeler(events: Iterable[TimelineEvent]) -> tuple[Account, datetime | None]:
    """Who set the label last, and when, as the server observed it."""
    found = [each for each in events if each.name == "labeled" and each.label == LABEL]
    actor = found[-1].actor if found else None
    if actor is None or not actor.is_person:
        raise Refused("nobody is known to have set the label")
    return actor, found[-1].at


def goal_of(issue: Issue) -> str:
    """The goal as the issue form has it; else the title, and the text below it."""
    found = _GOAL.search(issue.body.replace("\r\n", "\n"))
    goal = found["goal"].strip() if found else ""
    return goal if goal and goal != _NOTHING else f"{issue.title}\n\n{issue.body}".strip()


def _plan(project: Project, forge: GitHub, asked: Asked, tell: Progress) -> PullRequest:
    act_for(project, asked.labeler)
    wish = Wish(goal=asked.goal, author=asked.author, prompter=asked.prompter)
    into = Into(plan_id=f"issue-{asked.issue.number}", push=True)
    done = plan.plan(project, wish, into, tell)
    return pull_open.open_pull(project, forge, done.view.id, why=f"For #{asked.issue.number}.")
