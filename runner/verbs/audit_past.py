"""Everything that an audit looks at, read once: refs, the graph of commits, changes of `plans/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from runner.core.errors import GitError
from runner.core.policy import PLANS_FOLDER
from runner.core.run import RUN_FILE, RecordFile
from runner.git import graph, refs
from runner.git.graph import Change, Graph, Touch
from runner.git.objects import FOLDER, Commit, ObjectStore
from runner.project import Authority, Project
from runner.verbs import evidence, runs
from runner.verbs.audit_findings import Findings
from runner.verbs.evidence import PlanAt
from runner.verbs.runs import NUMBER

PLAN_REF = re.compile(
    r"^refs/(?:heads|remotes/[^/]+|planlock/home/heads)/plan/(?P<plan>[a-z0-9-]+)$"
)
SEEN_REF = re.compile(
    rf"^refs/planlock/seen/(?:plan|run)/(?P<plan>[a-z0-9-]+)(?:/(?P<run>{NUMBER}))?$"
)
LEASE_REF = re.compile(rf"^refs/planlock/leases/(?P<plan>[a-z0-9-]+)/(?P<run>{NUMBER})$")
RECORDED = re.compile(
    rf"^plans/(?P<plan>[a-z0-9-]+)/(?:(?P<approval>approvals/)|runs/(?P<run>{NUMBER})/)"
)

NO_RUN = re.compile(r"^refs/(?:heads/planlock|tags/planlock-run)/[a-z0-9-]+/[0-9]+$")

RunName = tuple[str, int]


@dataclass
class Past:
    """`graph` holds the commits that plan branches, runs and the trusted branch descend from."""

    project: Project
    trusted: Authority
    found: Findings
    refs: dict[str, str]
    graph: Graph
    _plans: dict[str, PlanAt] = field(default_factory=dict)
    _records: dict[str, RecordFile] = field(default_factory=dict)

    @property
    def store(self) -> ObjectStore:
        return self.project.store

    @cached_property
    def touches(self) -> tuple[Touch, ...]:
        """What commits changed below `plans/`, oldest first, merges against every parent."""
        try:
            found = graph.touches(self.project.git_dir, self.graph.parents, folder=PLANS_FOLDER)
        except GitError:
            found = [touch for commit in self.graph.parents for touch in self._one_by_one(commit)]
        return tuple(found)

    def _one_by_one(self, commit: str) -> list[Touch]:
        """The same for one commit, where some object is broken."""
        touches: list[Touch] = []
        with self.found.reading(f"commit {commit[:12]}"):
            for parent in self.graph.parents[commit] or (None,):
                changes = self.changes(parent, commit)
                touches += [Touch(commit=commit, change=change) for change in changes]
        return [each for each in touches if each.change.path.startswith(f"{PLANS_FOLDER}/")]

    def changes(self, old: str | None, new: str) -> tuple[Change, ...]:
        """Every path that differs between two commits; raises GitError."""
        before = self.store.commit(old).tree if old else None
        return tuple(graph.diff(self.store, before, self.store.commit(new).tree))

    def commit(self, oid: str) -> Commit:
        return self.store.commit(oid)

    @cached_property
    def line(self) -> tuple[str, ...]:
        """The trusted branch along first parents, newest first."""
        return tuple(self.graph.first_parents(self.trusted.commit))

    @cached_property
    def line_set(self) -> frozenset[str]:
        return frozenset(self.line)

    @cached_property
    def plan_tips(self) -> dict[str, tuple[str, ...]]:
        """The plan branches, here and in the home: plan → tips."""
        tips: dict[str, tuple[str, ...]] = {}
        for ref, oid in self.refs.items():
            if match := PLAN_REF.match(ref):
                tips[match["plan"]] = (*tips.get(match["plan"], ()), oid)
        return tips

    @cached_property
    def run_refs(self) -> dict[RunName, dict[str, str]]:
        """The branches and tags of each run: ref → commit."""
        found: dict[RunName, dict[str, str]] = {}
        for ref, oid in self.refs.items():
            if match := runs.RUN_REF.match(ref):
                found.setdefault((match["plan"], int(match["run"])), {})[ref] = oid
        return dict(sorted(found.items()))

    @cached_property
    def leases(self) -> dict[RunName, str]:
        """The tips of the leases that this repository has; a plain clone has none."""
        found = refs.under(self.project.git_dir, "refs/planlock/leases/")
        matches = ((LEASE_REF.match(ref), oid) for ref, oid in found.items())
        return {(match["plan"], int(match["run"])): oid for match, oid in matches if match}

    @cached_property
    def seen(self) -> dict[tuple[str, int | None], str]:
        """What this repository saw last on plan branches (run None) and runs."""
        found = refs.under(self.project.git_dir, "refs/planlock/seen/")
        matches = ((SEEN_REF.match(ref), oid) for ref, oid in found.items())
        return {
            (match["plan"], int(match["run"]) if match["run"] else None): oid
            for match, oid in matches
            if match
        }

    def kept(self, commit: str, tips: Iterable[str]) -> bool:
        return any(commit in self.graph.ancestors(tip) for tip in tips)

    def mentioned(self) -> set[RunName]:
        """Runs that leave a trace somewhere: a ref, a lease, a header in any commit."""
        names = {*self.run_refs, *self.leases}
        for touch in self.touches:
            match = RECORDED.match(touch.change.path)
            if match and match["run"] and touch.change.path.endswith(f"/{RUN_FILE}"):
                names.add((match["plan"], int(match["run"])))
        return names

    def plan_at(self, commit: str, plan: str, *, on_branch: bool) -> PlanAt | None:
        """As `evidence.plan_at`, reading each version of a plan once."""
        entry = self.store.entry(self.commit(commit).tree, evidence.plan_path(plan))
        if entry is None:
            return None
        if entry.oid not in self._plans:
            found = evidence.plan_at(self.store, commit, plan, on_branch=on_branch)
            if found is None:
                return None
            self._plans[entry.oid] = found
        found = self._plans[entry.oid]
        return PlanAt(commit=commit, file=found.file, document=found.document, on_branch=on_branch)

    def record(self, oid: str, path: str) -> RecordFile:
        """Read each version of a record once; raises InvalidDocument or GitError."""
        if oid not in self._records:
            self._records[oid] = runs.load_record(self.store, oid, path)
        return self._records[oid]


def read(project: Project, trusted: Authority, found: Findings) -> Past:
    """Read refs and graph; a ref whose history is broken becomes a finding and is left out."""
    everything = sorted(refs.under(project.git_dir, "refs/").items())
    known = {ref: oid for ref, oid in everything if PLAN_REF.match(ref) or runs.RUN_REF.match(ref)}
    for ref, _ in everything:
        if NO_RUN.match(ref) and ref not in known:
            found.add("unreadable", ref, f"run numbers go from 1 to {runs.LAST_NUMBER}")
    tips = sorted({trusted.commit, *known.values()})
    try:
        whole = graph.load(project.git_dir, tips)
    except GitError:
        known = dict(_sound(project, known, found))
        whole = graph.load(project.git_dir, sorted({trusted.commit, *known.values()}))
    for ref in [ref for ref, oid in known.items() if oid not in whole]:
        found.add("unreadable", ref, "it names no commit")
        del known[ref]
    past = Past(project=project, trusted=trusted, found=found, refs=known, graph=whole)
    _check_objects(past)
    return past


def _check_objects(past: Past) -> None:
    """Read the commits and folders that git is asked about: git does not compare them with ids."""
    seen: set[str] = set()
    for commit in past.graph.parents:
        with past.found.reading(f"commit {commit[:12]}"):
            top = past.commit(commit).tree
            plans = past.store.entry(top, PLANS_FOLDER)
            if plans is not None and plans.mode == FOLDER:
                _check_folders(past.store, plans.oid, seen)


def _check_folders(store: ObjectStore, tree: str, seen: set[str]) -> None:
    if tree in seen:
        return
    for entry in store.tree(tree).values():
        if entry.mode == FOLDER:
            _check_folders(store, entry.oid, seen)
    seen.add(tree)


def _sound(project: Project, known: dict[str, str], found: Findings) -> Iterator[tuple[str, str]]:
    for ref, oid in known.items():
        with found.reading(ref):
            graph.load(project.git_dir, [oid])
            yield ref, oid
