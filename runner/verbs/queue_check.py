"""`github check` in a merge queue: the files of what would become the trusted branch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.core.errors import Problem, UsageError
from runner.core.forge import CheckConclusion, CheckRun
from runner.core.values import OBJECT_ID
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import pull_check, pull_tell


@dataclass(frozen=True, kw_only=True)
class QueueReport:
    """A commit of the queue, and what is wrong with the files below `plans/` that it changes."""

    commit: str
    files: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def conclusion(self) -> CheckConclusion:
        return "failure" if self.problems else "success"

    @property
    def title(self) -> str:
        if self.problems:
            return pull_check.wrong(self.problems)
        return "the files of plans/ are valid" if self.files else "no plan is touched"


def check(project: Project, commit: str) -> QueueReport:
    """Check the files of a commit that a queue made; raises UsageError, GitError.

    Approvals do not count here: the gate asks for them, and merging a plan runs nothing.
    """
    if not re.fullmatch(OBJECT_ID, commit):
        raise UsageError("checking a merge group: its commit is none")
    project.home.fetch()
    head = project.home.fetch_queued(commit)
    files, problems = pull_check.changed(project, head)
    return QueueReport(commit=head, files=files, problems=problems)


def tell(forge: GitHub, report: QueueReport, text: str) -> None:
    """Answer the queue, which waits for a check that is required; raises ForgeError."""
    forge.put_check(
        CheckRun(
            name=pull_tell.CHECK,
            commit=report.commit,
            conclusion=report.conclusion,
            title=report.title,
            text=text,
            annotations=pull_tell.remarks(report.problems),
        )
    )
