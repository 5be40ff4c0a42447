"""The first commit of a run that left another: that one's files, and the plan's as they are now."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.run import RUN_FILE, RunHeader, plan_folder
from runner.git.graph import Change
from runner.git.objects import Commit
from runner.verbs.audit_past import Past


def changes(past: Past, header: RunHeader, commit: Commit) -> Sequence[Change] | None:
    """What it changed of the run that was left, but for the plan's files; None for no fork.

    Raises GitError.
    """
    fork = header.fork
    if fork is None:
        return None
    if commit.parents != (header.plan_tip, fork.commit):
        message = f"its first commit does not follow {fork.commit[:12]} and the plan's branch"
        past.found.add("fork_differs", f"{header.plan}/{header.run} {RUN_FILE}", message)
    store, tree = past.store, past.commit(header.plan_tip).tree
    folder = f"{plan_folder(header.plan)}/"
    return [
        each
        for each in past.changes(fork.commit, commit.oid)
        if not (
            each.path.startswith(folder)
            and each.new is not None
            and each.new == store.entry(tree, each.path)
        )
    ]
