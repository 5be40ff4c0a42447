"""`log`: the story of a run, from git alone."""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.record import Contact, Record, RecordFile
from runner.core.run import RunFile, run_folder, run_status
from runner.core.values import usd
from runner.git import history
from runner.project import Project
from runner.verbs import evidence, runs


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record: its commit, what was done, by whose leave, with what effect and cost.

    `contacts_not_made` were asked for; what the steps of `not_undone` did outside the repository
    is still there after a rollback.
    """

    commit: str
    record: str
    kind: str
    step: str
    step_type: str
    status: str
    attempt: int
    started_at: str
    ended_at: str
    approvers: tuple[str, ...]
    reasons: tuple[str, ...]
    changes: tuple[str, ...]
    not_undone: tuple[str, ...]
    contacts: tuple[str, ...]
    contacts_not_made: tuple[str, ...]
    exit_code: int | None
    error: str
    output: str
    cost_usd: str
    sandbox: str


@dataclass(frozen=True, kw_only=True)
class RunStory:
    """A run and its records; `forked` says which run it left, and before which step."""

    plan: str
    run: int
    forked: str
    goal: str
    status: str
    branch_tip: str
    started_at: str
    trusted: str
    runner: str
    plan_digest: str
    entries: tuple[Entry, ...]
    cost_usd: str
    unpriced_calls: int


def log(project: Project, name: str) -> RunStory:
    """Tell a run, `PLAN/N` or `PLAN` for its newest; raises NotFound."""
    plan_id, number, tip = runs.find(project, name)
    run = runs.load_run(project.store, tip, plan_id, number)
    plan = evidence.plan_at(project.store, tip, plan_id, on_branch=True)
    commits = _commits(project, run, tip)
    header = run.header
    names = [step.id for step in plan.file.plan.steps] if plan else []
    return RunStory(
        plan=plan_id,
        run=number,
        forked=_forked(run),
        goal=plan.file.plan.goal if plan else "",
        status=run_status(run, names),
        branch_tip=tip,
        started_at=header.started_at,
        trusted=f"{header.trusted_ref}@{header.authority[:12]}",
        runner=header.runner,
        plan_digest=header.plan_digest,
        entries=tuple(_entry(each, commits.get(each.name, "")) for each in run.records),
        cost_usd=usd(run.cost.usd),
        unpriced_calls=run.cost.unpriced,
    )


def _forked(run: RunFile) -> str:
    fork = run.header.fork
    return f"run {run.header.plan}/{fork.run} before {fork.step}" if fork else ""


def _commits(project: Project, run: RunFile, tip: str) -> dict[str, str]:
    """The commit that added each record, by record name."""
    folder = run_folder(run.header.plan, run.header.run)
    added = history.versions(project.git_dir, [tip], base=run.header.plan_tip, folder=folder)
    return {each.path.rpartition("/")[2]: each.commit for each in added}


def _step_type(record: Record) -> str:
    if record.draft:
        return "draft"
    if record.kind == "undo":
        return "undo"
    if record.rollback:
        return f"to before {record.rollback.step}"
    return record.step.type if record.step else ""


def _is_made(contact: Contact) -> bool:
    """Whether it was allowed and nothing kept it from being made."""
    return contact.allowed and not contact.reason


def _contact(contact: Contact) -> str:
    if not _is_made(contact):
        kind = "not reached" if contact.allowed else "refused"
        return f"{contact.host} {kind}: {contact.reason}"
    sizes = f"{contact.sent} bytes sent, {contact.received} received"
    return f"{contact.host} ({contact.connections} connection(s), {sizes})"


def _entry(each: RecordFile, commit: str) -> Entry:
    record = each.record
    error = f"{record.error.code}: {record.error.message}" if record.error else ""
    return Entry(
        commit=commit,
        record=each.name,
        kind=record.kind,
        step=record.about or "",
        step_type=_step_type(record),
        status=record.status,
        attempt=record.attempt,
        started_at=record.started_at,
        ended_at=record.ended_at,
        approvers=tuple(record.gate.approvers) if record.gate else (),
        reasons=tuple(record.gate.reasons) if record.gate else (),
        changes=tuple(change.path for change in record.changes),
        not_undone=tuple(
            step.id
            for step in (record.rollback.steps if record.rollback else ())
            if step.undo in {"none", "left"}
        ),
        contacts=tuple(_contact(each) for each in record.contacts if _is_made(each)),
        contacts_not_made=tuple(_contact(each) for each in record.contacts if not _is_made(each)),
        exit_code=record.exit_code,
        error=error,
        output=record.output.text if record.output else "",
        cost_usd=usd(record.cost.usd) if record.calls else "",
        sandbox=record.executor.sandbox,
    )
