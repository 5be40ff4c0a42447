"""Keep the ledger in step with git: one run at a time while running, all of them on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.core.approval import Vote
from runner.core.errors import GitError
from runner.core.plan import PlanFile
from runner.core.run import RunFile
from runner.ledger.projection import ProjectedRun, Row, approval_row
from runner.project import Project
from runner.verbs import evidence, ledger, runs
from runner.verbs.ledger import CatchUpReport, CheckReport, RebuildReport


def put_run(  # noqa: PLR0913  # a run and where it stands
    project: Project, *, ref: str, before: str, commit: str, plan: PlanFile, run: RunFile
) -> None:
    """Write the rows that the newest record changed, or all where the ledger is not at `before`.

    Raises LedgerError, and the run goes on without.
    """
    ledger = project.ledger
    found = ProjectedRun(ref=ref, commit=commit, plan=plan, run=run)
    newest = found.newest(ledger.project)
    if newest is None or not ledger.add(newest, before=before):
        ledger.put(found.at(ledger.project))


def put_votes(project: Project, votes: Iterable[Vote]) -> None:
    """Write the rows of decisions; raises LedgerError."""
    repository = project.ledger.project
    project.ledger.put_approvals([_approval_row(repository, vote) for vote in votes])


def projected_runs(project: Project) -> Iterator[ProjectedRun]:
    """Every run of this repository as its branch tells it."""
    for plan_id, number, ref, commit in runs.every(project):
        yield _projected(project, plan_id, number, ref=ref, commit=commit)


def _projected(
    project: Project, plan_id: str, number: int, *, ref: str, commit: str
) -> ProjectedRun:
    plan = evidence.plan_at(project.store, commit, plan_id, on_branch=True)
    if plan is None:
        raise GitError(f"reading run {plan_id}/{number}: {ref} holds no plan")
    run = runs.load_run(project.store, commit, plan_id, number)
    return ProjectedRun(ref=ref, commit=commit, plan=plan.file, run=run)


def approval_rows(project: Project) -> Iterator[Row]:
    """Every decision ever recorded on the plans' branches, their runs and the trusted ref."""
    authority = project.authority()
    for plan in evidence.every_plan(project):
        if plan.file.plan.base is None:
            continue
        votes = evidence.gather(project, plan, now=project.world.now()).votes
        for vote in sorted(votes, key=lambda each: each.digest):
            yield _approval_row(authority.policy.repository, vote)


def _approval_row(repository: str, vote: Vote) -> Row:
    return approval_row(
        repository=repository,
        record=vote.record,
        digest=vote.digest,
        signer=vote.principal,
        assurance=vote.assurance,
    )


def catch_up(project: Project) -> CatchUpReport:
    """Project what moved since the ledger last looked; raises LedgerError."""
    known = {ref: (plan, run, commit) for plan, run, ref, commit in runs.every(project)}

    def read(ref: str) -> ProjectedRun:
        plan, run, commit = known[ref]
        return _projected(project, plan, run, ref=ref, commit=commit)

    tips = {ref: commit for ref, (_, _, commit) in known.items()}
    return ledger.catch_up(tips, list(approval_rows(project)), project.ledger, read=read)


def rebuild(project: Project) -> RebuildReport:
    """Drop what git can bring back, and bring it back; a damaged file is set aside first."""
    from runner.ledger.database import set_aside

    set_aside(project.ledger_url)
    return ledger.rebuild(projected_runs(project), approval_rows(project), project.ledger)


def check(project: Project) -> CheckReport:
    """Compare the ledger with git, row by row."""
    return ledger.check(projected_runs(project), approval_rows(project), project.ledger)
