"""The pull request of a run: what it changed and what happened, offered for merging."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.core.errors import PlanlockError
from runner.core.forge import PullRequest
from runner.core.reviews import HEADS
from runner.github.client import GitHub
from runner.project import Project
from runner.verbs import audit, log
from runner.verbs.audit_findings import Finding
from runner.verbs.log import RunStory
from runner.verbs.run_report import RunReport


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run as its pull request tells it; `findings` are the audit's, of the whole repository.

    `unaudited` says why there was none.
    """

    story: RunStory
    report: RunReport
    plan_pull: PullRequest
    findings: tuple[Finding, ...]
    unaudited: str = ""

    @property
    def title(self) -> str:
        done = sum(each in {"completed", "skipped"} for each in self.report.steps.values())
        state = self.report.status.replace("_", " ")
        return f"Run {self.story.plan}/{self.story.run}: {state}, {done} of {len(self.report.steps)} steps"


def gather(project: Project, report: RunReport, plan_pull: PullRequest) -> Results:
    """Read the run back from git, and audit it."""
    story = log.log(project, f"{report.plan}/{report.run}")
    findings: tuple[Finding, ...] = ()
    unaudited = ""
    try:
        findings = _audited(project)
    except PlanlockError as error:
        unaudited = error.message
    return Results(
        story=story,
        report=report,
        plan_pull=plan_pull,
        findings=findings,
        unaudited=unaudited,
    )


def _audited(project: Project) -> tuple[Finding, ...]:
    """An audit goes by what is here, and a project that it has opened stays so: one of its own."""
    with Project(project.world) as offline:
        # a job's checkout does not know which branch is the home's default
        trusted = project.home.trusted_ref
        offline.settings = replace(offline.settings, trusted_ref=trusted)
        return audit.audit(offline).findings


def put(project: Project, forge: GitHub, results: Results, body: str) -> PullRequest | None:
    """Open the run's pull request, or bring it up to date; None where it is closed already."""
    branch = results.report.branch
    base = project.home.trusted_ref.removeprefix(HEADS)
    known = forge.pull_requests(branch=branch, state="all")
    ours = [each for each in known if each.base.branch == base and not each.is_from_fork]
    if any(each.is_open for each in ours):
        number = next(each.number for each in ours if each.is_open)
        return forge.edit_pull_request(number, title=results.title, body=body)
    if ours:
        return None
    return forge.open_pull_request(branch=branch, base=base, title=results.title, body=body)
