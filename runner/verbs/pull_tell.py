"""Tell on a pull request what is to be told there, as far as the token may."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.core.errors import ForgeDenied, Problem
from runner.core.forge import Annotation, CheckRun
from runner.github.client import GitHub
from runner.verbs.pull_check import PullReport
from runner.verbs.pull_comment import Board, answer_reviews
from runner.verbs.pull_request import plan_of

CHECK = "planlock"
MOST_ANNOTATIONS = 200


def tell(forge: GitHub, report: PullReport, text: str) -> list[str]:
    """Write the comment, the check run, and answers to reviews; gives what was not allowed.

    The token of a fork's pull request may write nothing: then the workflow's own log tells.
    """
    refused: list[str] = []
    _try(refused, "the check run", lambda: forge.put_check(_check(report, text)))
    _try(refused, "the comment", lambda: _comment(forge, report, text))
    return refused


def _try(refused: list[str], what: str, write: Callable[[], None]) -> None:
    try:
        write()
    except ForgeDenied as error:
        refused.append(f"{what}: {error.message}")


def _comment(forge: GitHub, report: PullReport, text: str) -> None:
    """One comment a plan; a pull request without plans is left alone."""
    if not report.is_worth_telling:
        return
    board = Board.read(forge, report.pull.number)
    name = plan_of(report.pull)
    board.put(f"plan:{name}" if name else "files", text)
    if report.plan is not None:
        answer_reviews(board, report.plan.seen.weighed.uncounted)


def _check(report: PullReport, text: str) -> CheckRun:
    return CheckRun(
        name=CHECK,
        commit=report.pull.head.commit,
        conclusion=report.conclusion,
        title=report.title,
        text=text,
        annotations=remarks(report.problems),
    )


def remarks(problems: Sequence[Problem]) -> tuple[Annotation, ...]:
    """What is wrong, beside the lines where it stands."""
    return tuple(
        Annotation(
            path=each.file,
            line=max(1, each.line),
            title=each.code,
            message=f"{each.message}; {each.fix}" if each.fix else each.message,
        )
        for each in problems[:MOST_ANNOTATIONS]
    )
