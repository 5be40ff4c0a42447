"""`audit`: walk the history of a clone, offline, and re-decide every executed step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner import schemas
from runner.core import validation
from runner.core.errors import GitError
from runner.core.run import RUN_FILE, RunFile, RunHeader, digest_bytes, run_folder
from runner.git.objects import FOLDER, Entry
from runner.project import Project
from runner.verbs import (
    audit_approvals,
    audit_fork,
    audit_objects,
    audit_order,
    audit_past,
    audit_plans,
    audit_processes,
    audit_records,
    audit_shape,
    audit_touches,
    audit_unpublished,
    authority_changes,
)
from runner.verbs.audit_approvals import Ballots
from runner.verbs.audit_authority import Authorities
from runner.verbs.audit_decision import Judge
from runner.verbs.audit_findings import CODES, Finding, Findings
from runner.verbs.audit_names import RunName
from runner.verbs.audit_of_plan import OfPlan, Start, start_of
from runner.verbs.audit_order import Turns
from runner.verbs.audit_past import Past
from runner.verbs.audit_shape import Walk
from runner.verbs.authority_changes import AuthorityChange

# With fewer, copying this process is not worth it.
MANY_RUNS = 64

__all__ = ["CODES", "AuditReport", "Finding", "audit"]


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What was found; `notes` are facts for a reader, not faults. Counts are of records read.

    `trusted_as` says how `trusted` is known here: empty where this repository arbitrates itself.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    runs: int
    steps: int
    approvals: int
    trusted: str
    trusted_as: str
    authority_changes: tuple[AuthorityChange, ...]


def audit(project: Project) -> AuditReport:
    """Judge everything that this clone has; raises AuthorityRefused, NotGoverned."""
    offline = project.stay_offline()
    trusted = project.authority()
    found = Findings()
    for note in offline.notes:
        found.note(note)
    past = audit_past.read(project, trusted, found)
    with past.store:
        past.touches = audit_touches.read(past)
        ballots = Ballots(past)
        audit_records.check(past)
        audit_records.check_numbers(past)
        audit_approvals.check(past, ballots)
        steps = _audit_plans(past, ballots)
        audit_unpublished.check(past)
        audit_objects.check(past)
        changes = authority_changes.read(past)
    return AuditReport(
        findings=found.findings,
        notes=found.notes,
        runs=len(past.run_refs),
        steps=steps,
        approvals=len(ballots.places),
        trusted=str(trusted),
        trusted_as=offline.label,
        authority_changes=changes,
    )


@dataclass(frozen=True, kw_only=True)
class _Audited:
    """What the audit of a plan and its runs gave; `read` are the places of commits it has read."""

    found: Findings
    steps: int
    read: Sequence[int]


def _audit_plans(past: Past, ballots: Ballots) -> int:
    """Audit plan by plan, each with its runs; gives the number of steps recorded."""
    names: dict[str, list[RunName]] = {plan: [] for plan in past.plan_tips}
    for name in past.run_refs:
        names.setdefault(name[0], []).append(name)
    plans, authorities, steps = sorted(names), Authorities(past), 0

    def audit_plan(plan: str) -> _Audited:
        return _audit_plan(OfPlan(past=past, ballots=ballots, plan=plan), authorities, names[plan])

    processes = audit_processes.count(len(plans)) if len(past.run_refs) >= MANY_RUNS else 1
    past.close()  # a copy of this process needs pipes of its own
    results = audit_processes.each(audit_plan, plans, processes=processes)
    for each in results if processes > 1 else map(audit_plan, plans):
        past.found.add_all(each.found)
        past.note_read(each.read)
        steps += each.steps
    return steps


def _audit_plan(of: OfPlan, authorities: Authorities, names: Iterable[RunName]) -> _Audited:
    """Audit a plan and its runs, of which one at a time is in memory."""
    past, steps = of.past, 0
    with past.apart() as part:
        audit_plans.check(past, of.plan)
        for start in sorted(_starts(past, names), key=lambda each: each.when):
            with past.found.reading(f"{of.plan}/{start.name[1]}"):
                run = _load(past, start)
                steps += sum(1 for each in run.records if each.record.step)
                walk = Walk(past=past, ballots=of.ballots, run=run, tip=start.tip)
                _audit_run(walk, authorities, of)
    return _Audited(found=part.found, steps=steps, read=part.read)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """A run at one of its tips, and when it says that it started."""

    name: RunName
    tip: str
    when: Start


def _starts(past: Past, names: Iterable[RunName]) -> Iterator[_Start]:
    """The runs of a plan whose headers can be read and are theirs."""
    for name in names:
        for tip in _tips(past, name, past.run_refs[name]):
            with past.found.reading(f"{name[0]}/{name[1]}"):
                _, _, header = _header(past, name, tip)
                if (header.plan, header.run) != name:
                    message = f"its header is of {header.plan}/{header.run}"
                    past.found.add("header_differs", f"{name[0]}/{name[1]}", message)
                    continue
                yield _Start(name=name, tip=tip, when=start_of(header))


def _tips(past: Past, name: RunName, refs: Mapping[str, str]) -> list[str]:
    """The commits that no other ref of the run descends from: one, unless something is wrong."""
    heads = {ref: oid for ref, oid in refs.items() if not ref.startswith("refs/tags/")}
    every = dict.fromkeys(refs.values())
    tips = [
        oid
        for oid in every
        if not any(oid != each and past.graph.descends(each, oid) for each in every)
    ]
    behind = heads and not set(tips) & set(heads.values())
    if len(tips) > 1 or behind:
        where = ", ".join(f"{ref} at {oid[:12]}" for ref, oid in refs.items())
        past.found.add("tag_mismatch", f"{name[0]}/{name[1]}", where)
    seen = past.seen.get(name)
    if seen and not past.kept(seen, tips):
        message = f"no branch or tag of it has {seen[:12]}, which was seen there"
        past.found.add("run_rewritten", f"{name[0]}/{name[1]}", message)
    return tips


Files = Mapping[str, Entry]


def _header(past: Past, name: RunName, tip: str) -> tuple[Files, bytes, RunHeader]:
    """The files of a run's folder, its header as it is written, and as it is read."""
    folder, store = run_folder(*name), past.store
    entry = store.entry(past.commit(tip).tree, folder)
    files = store.tree(entry.oid) if entry and entry.mode == FOLDER else {}
    if RUN_FILE not in files:
        raise GitError(f"reading {folder}/{RUN_FILE} at {tip[:12]}: no such file there")
    data = store.blob(files[RUN_FILE].oid)
    path = f"{folder}/{RUN_FILE}"
    header = validation.read_stored(data, validation.HEADER, file=path, schema=schemas.load("run"))
    return files, data, header


def _load(past: Past, start: _Start) -> RunFile:
    """As `runs.load_run`, reading each record once."""
    files, data, header = _header(past, start.name, start.tip)
    names = [name for name in files if name.endswith(".yaml") and name != RUN_FILE]
    past.records.clear()
    past.store.drop()
    past.store.read_ahead(files[name].oid for name in names)
    folder = run_folder(*start.name)
    records = [past.record(files[name].oid, f"{folder}/{name}") for name in names]
    records.sort(key=lambda each: (each.number, each.name))
    found = RunFile(header=header, header_digest=digest_bytes(data), records=tuple(records))
    left = audit_fork.origin(past, start.tip, start.name[0], found)
    return replace(found, origin=left) if left else found


def _audit_run(walk: Walk, authorities: Authorities, of_plan: OfPlan) -> None:
    header = walk.run.header
    audit_plans.check_kept(walk.past, header)
    judge, turns = Judge.of(walk, authorities, of_plan), Turns()
    before = replace(walk.run, records=())
    for link in audit_shape.walk(walk):
        audit_order.check_link(walk, link, before, turns)
        judge.check_link(link, before)
        turns.note(link.record)
        before = before.with_record(link.file)
    audit_order.check(walk)
    audit_fork.check(walk)
    of_plan.books.add(walk.run)
    recorded = {
        (each.record.about, each.record.attempt, each.record.kind == "undo")
        for each in walk.run.records
        if each.record.about is not None
    }
    audit_records.check_leases(walk.past, (header.plan, header.run), recorded)
