"""What commits changed below `plans/`: of very many changes, those that an audit has to weigh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice

from runner.core.errors import GitError
from runner.core.policy import PLANS_FOLDER, POLICY_PATH, SIGNERS_PATH
from runner.core.run import run_folder
from runner.git import graph
from runner.git.graph import Touch
from runner.git.objects import FOLDER
from runner.verbs.audit_names import RECORDED, RunName
from runner.verbs.audit_past import Past

TIPS_KEPT = 32
# One git process remembers every commit that it was asked about.
COMMITS_ASKED = 10_000
Files = Mapping[str, str]


def read(past: Past) -> tuple[Touch, ...]:
    """Policy, keys, approvals, and records that were not always what their run tells last.

    A record that no commit has otherwise than the tip of its run has had that one version.
    """
    try:
        return _weighed(past, lambda: _listed(past))
    except GitError:
        return _weighed(past, lambda: _one_by_one(past))


def _listed(past: Past) -> Iterator[Touch]:
    commits = iter(past.graph)
    while some := list(islice(commits, COMMITS_ASKED)):
        yield from graph.touches(past.project.git_dir, some, folder=PLANS_FOLDER)


def _one_by_one(past: Past) -> Iterator[Touch]:
    """The same where some object is broken."""
    for commit in past.graph:
        with past.found.reading(f"commit {commit[:12]}"):
            for parent in past.graph.parents(commit) or (None,):
                for change in past.changes(parent, commit):
                    if change.path.startswith(f"{PLANS_FOLDER}/"):
                        yield Touch(commit=commit, change=change)


def _weighed(past: Past, every: Callable[[], Iterator[Touch]]) -> tuple[Touch, ...]:
    files = lru_cache(maxsize=TIPS_KEPT)(lambda name: _files(past, name))
    kept: list[Touch] = []
    odd: set[str] = set()
    for touch in every():
        name = _run(touch.change.path)
        if name is None:
            kept += [touch] if _matters(touch.change.path) else []
        elif not touch.change.new or touch.change.new.oid != files(name).get(touch.change.path):
            odd.add(touch.change.path)
    if not odd:
        return tuple(kept)
    return tuple(each for each in every() if each.change.path in odd or _matters(each.change.path))


def _run(path: str) -> RunName | None:
    match = RECORDED.match(path)
    return (match["plan"], int(match["run"])) if match and match["run"] else None


def _matters(path: str) -> bool:
    match = RECORDED.match(path)
    return bool(match and match["approval"]) or path in {POLICY_PATH, SIGNERS_PATH}


def _files(past: Past, name: RunName) -> Files:
    """The files of a run at a tip of it; none where there is no such run, or it cannot be read."""
    tip = next(iter(past.run_refs.get(name, {}).values()), None)
    folder = f"{run_folder(*name)}/"
    try:
        entry = past.store.entry(past.commit(tip).tree, folder[:-1]) if tip else None
        if entry is None or entry.mode != FOLDER:
            return {}
        return {path: each.oid for path, each in past.store.walk(entry.oid, folder)}
    except GitError:
        return {}
