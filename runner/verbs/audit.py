"""`audit`: walk the history of a clone, offline, and re-decide every executed step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner import schemas
from runner.core import validation
from runner.core.errors import GitError
from runner.core.run import RUN_FILE, RunFile, digest_bytes, run_folder
from runner.git.objects import FOLDER
from runner.project import Project
from runner.verbs import (
    audit_approvals,
    audit_order,
    audit_past,
    audit_plans,
    audit_records,
    audit_shape,
    authority_changes,
)
from runner.verbs.audit_approvals import Ballots
from runner.verbs.audit_authority import Authorities
from runner.verbs.audit_decision import Judge
from runner.verbs.audit_findings import CODES, Finding, Findings
from runner.verbs.audit_past import Past, RunName
from runner.verbs.audit_shape import Walk
from runner.verbs.authority_changes import AuthorityChange

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
    ballots = Ballots(past)
    audit_records.check(past)
    audit_records.check_numbers(past)
    audit_approvals.check(past, ballots)
    known = dict(_read_runs(past))
    audit_plans.check(past)
    authorities = Authorities(past)
    for (name, tip), run in known.items():
        _audit_run(Walk(past=past, ballots=ballots, run=run, tip=tip), authorities, known, name)
    changes = authority_changes.read(past)
    return AuditReport(
        findings=found.findings,
        notes=found.notes,
        runs=len(past.run_refs),
        steps=sum(1 for run in known.values() for each in run.records if each.record.step),
        approvals=len(ballots.by_digest),
        trusted=str(trusted),
        trusted_as=offline.label,
        authority_changes=changes,
    )


Known = Mapping[tuple[RunName, str], RunFile]


def _read_runs(past: Past) -> Iterator[tuple[tuple[RunName, str], RunFile]]:
    for name, refs in past.run_refs.items():
        for tip in _tips(past, name, refs):
            with past.found.reading(f"{name[0]}/{name[1]}"):
                run = _load(past, name, tip)
                if (run.header.plan, run.header.run) != name:
                    message = f"its header is of {run.header.plan}/{run.header.run}"
                    past.found.add("header_differs", f"{name[0]}/{name[1]}", message)
                    continue
                yield (name, tip), run


def _tips(past: Past, name: RunName, refs: Mapping[str, str]) -> list[str]:
    """The commits that no other ref of the run descends from: one, unless something is wrong."""
    heads = {ref: oid for ref, oid in refs.items() if not ref.startswith("refs/tags/")}
    tips = [
        oid
        for oid in dict.fromkeys(refs.values())
        if not any(oid != each and oid in past.graph.ancestors(each) for each in refs.values())
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


def _load(past: Past, name: RunName, tip: str) -> RunFile:
    """As `runs.load_run`, reading each record once."""
    folder, store = run_folder(*name), past.store
    entry = store.entry(past.commit(tip).tree, folder)
    files = store.tree(entry.oid) if entry and entry.mode == FOLDER else {}
    if RUN_FILE not in files:
        raise GitError(f"reading {folder}/{RUN_FILE} at {tip[:12]}: no such file there")
    data = store.blob(files[RUN_FILE].oid)
    path = f"{folder}/{RUN_FILE}"
    _, header = validation.read_header(data, file=path, schema=schemas.load("run"))
    records = [
        past.record(each.oid, f"{folder}/{file}")
        for file, each in files.items()
        if file.endswith(".yaml") and file != RUN_FILE
    ]
    records.sort(key=lambda each: (each.number, each.name))
    return RunFile(header=header, header_digest=digest_bytes(data), records=tuple(records))


def _audit_run(walk: Walk, authorities: Authorities, known: Known, name: RunName) -> None:
    audit_plans.check_kept(walk.past, walk.run.header)
    audit_shape.walk(walk)
    audit_order.check(walk)
    header = walk.run.header
    others = {each: run for (each, _), run in known.items() if each[0] == name[0] and each != name}
    Judge(
        walk=walk,
        authorities=authorities,
        others=list(others.values()),
        authority=header.authority,
        plan_tip=header.plan_tip,
    ).judge()
    recorded = {
        (each.record.about, each.record.attempt)
        for each in walk.run.records
        if each.record.about is not None
    }
    audit_records.check_leases(walk.past, name, recorded)
