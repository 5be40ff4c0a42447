"""Add-only: no commit, merges included, changes or deletes an approval or a file of a run."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeAlias

from runner.core.errors import GitError
from runner.core.run import RUN_FILE, run_folder
from runner.git import graph, leases
from runner.git.graph import Touch
from runner.git.leases import Lease
from runner.verbs.audit_names import RECORDED, RunName
from runner.verbs.audit_past import Past

# A step, which attempt at it, and whether it is its undo command.
Started: TypeAlias = tuple[str, int, bool]


def check(past: Past) -> None:
    versions: dict[str, dict[str, str]] = {}
    for touch in past.touches:
        match = RECORDED.match(touch.change.path)
        if match is None:
            continue
        kind = "approval" if match["approval"] else "record"
        if touch.change.new is None:
            _deleted(past, kind, touch, versions)
        else:
            known = versions.setdefault(touch.change.path, {})
            known.setdefault(touch.change.new.oid, touch.commit)
    for path, known in versions.items():
        if len(known) > 1:
            kind = "approval" if "/approvals/" in path else "record"
            commits = ", ".join(commit[:12] for commit in known.values())
            past.found.add(f"{kind}_changed", path, f"{len(known)} versions, by commits {commits}")


def _deleted(past: Past, kind: str, touch: Touch, versions: dict[str, dict[str, str]]) -> None:
    """Report a path's first deletion: later merges only repeat it."""
    path = touch.change.path
    if "" in versions.get(f"{path}\0", {}):
        return
    versions.setdefault(f"{path}\0", {})[""] = touch.commit
    merge = "merge " if len(past.graph.parents(touch.commit)) > 1 else ""
    past.found.add(f"{kind}_deleted", path, f"deleted by {merge}commit {touch.commit[:12]}")


def check_numbers(past: Past) -> None:
    """Runs are numbered without gaps, and each one mentioned anywhere is on a branch or tag."""
    last: dict[str, int] = {}
    for plan, run in sorted(past.mentioned()):
        first = last.get(plan, 0) + 1
        if first < run:
            gap = f"{plan}/{first}" if first == run - 1 else f"{plan}/{first} to {plan}/{run - 1}"
            past.found.add("run_missing", gap, f"no branch and no tag, but there is run {run}")
        if (plan, run) not in past.run_refs:
            seen = f"{run_folder(plan, run)}/{RUN_FILE} was committed"
            past.found.add("run_missing", f"{plan}/{run}", f"no branch and no tag, but {seen}")
        last[plan] = run


def check_leases(past: Past, name: RunName, recorded: set[Started]) -> None:
    """Every step that the lease says was started, except the last, has left its record."""
    tip = past.leases.get(name)
    if tip is None:
        return
    where = f"{name[0]}/{name[1]}"
    with past.found.reading(f"lease of {where}"):
        started = [(each.step, each.attempt, each.undo) for each in intents(past, tip)]
        for step, attempt, undo in list(dict.fromkeys(started))[1:]:
            if (step, attempt, undo) not in recorded:
                what = "undo of step" if undo else "step"
                message = (
                    f"{what} {step} attempt {attempt} started, and a later one, but left no record"
                )
                past.found.add("record_deleted", where, message)


def intents(past: Past, tip: str) -> list[Lease]:
    """The steps that a lease says were about to start, newest first."""
    with suppress(GitError):  # told of where it is read
        past.store.drop()
        past.store.read_ahead(link for link, _ in graph.commits(past.project.git_dir, [tip]))
    found = []
    oid: str | None = tip
    while oid is not None:
        lease = leases.read(past.store, oid)
        if lease.step:
            found.append(lease)
        oid = next(iter(past.commit(oid).parents), None)
    return found
