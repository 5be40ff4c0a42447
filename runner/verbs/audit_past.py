"""What an audit looks at: refs, the graph of commits, changes of `plans/`, plans and records."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from runner.core.errors import GitError
from runner.core.record import RecordFile
from runner.core.run import RUN_FILE, digest_bytes
from runner.git import graph, refs, tree_changes
from runner.git.ancestry import Ancestry
from runner.git.graph import Change, Touch
from runner.git.objects import Commit, Entry
from runner.git.objects_ahead import AheadStore
from runner.git.objects_kept import Recent
from runner.git.tree_changes import Pair
from runner.project import Authority, Project
from runner.verbs import evidence, runs
from runner.verbs.audit_findings import Findings
from runner.verbs.audit_names import LEASE_REF, NO_RUN, PLAN_REF, RECORDED, SEEN_REF, RunName
from runner.verbs.evidence import PlanAt

# How many commits of a history are read together.
AT_ONCE = 60
PLANS_KEPT, COMMITS_KEPT, DIGESTS_KEPT = 16, 256, 10_000


@dataclass
class Part:
    """What was found, and which commits were read, by their places in the graph."""

    found: Findings = field(default_factory=Findings)
    read: array[int] = field(default_factory=lambda: array("i"))


@dataclass
class Past:
    """`graph` holds the commits that plan branches, runs and the trusted branch descend from.

    `touches` are the changes below `plans/` that matter, `records` those of the run looked at.
    """

    project: Project
    trusted: Authority
    part: Part
    refs: dict[str, str]
    graph: Ancestry
    store: AheadStore
    touches: tuple[Touch, ...] = ()
    records: dict[str, RecordFile] = field(default_factory=dict)
    _plans: Recent[str, PlanAt] = field(default_factory=lambda: Recent(PLANS_KEPT))
    _commits: Recent[str, Commit] = field(default_factory=lambda: Recent(COMMITS_KEPT))
    _digests: Recent[str, str] = field(default_factory=lambda: Recent(DIGESTS_KEPT))
    _read: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self._read = bytearray(len(self.graph))

    @property
    def found(self) -> Findings:
        return self.part.found

    def changes(self, old: str | None, new: str) -> list[Change]:
        """Every path that differs between two commits; raises GitError."""
        before = self.store.commit(old).tree if old else None
        pair = Pair(old=before, new=self.store.commit(new).tree)
        return tree_changes.between(self.store, [pair])[0].told()

    def commit(self, oid: str) -> Commit:
        found = self._commits.get(oid)
        if found is None:
            found = self.store.commit(oid)
            self._commits.put(oid, found, 1)
        return found

    def digest(self, blob: str) -> str:
        """The digest of what a blob holds; raises GitError."""
        found = self._digests.get(blob)
        if found is None:
            found = digest_bytes(self.store.blob(blob))
            self._digests.put(blob, found, 1)
        return found

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
        return any(self.graph.descends(tip, commit) for tip in tips)

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
        return self.plan_of(entry, commit, plan, on_branch=on_branch)

    def plan_of(
        self, entry: Entry | None, commit: str, plan: str, *, on_branch: bool
    ) -> PlanAt | None:
        """The plan that a commit is known to have at its path."""
        if entry is None:
            return None
        found = self._plans.get(entry.oid)
        if found is None:
            found = evidence.plan_at(self.store, commit, plan, on_branch=on_branch)
            if found is None:
                return None
            self._plans.put(entry.oid, found, 1)
        return PlanAt(commit=commit, file=found.file, document=found.document, on_branch=on_branch)

    def record(self, oid: str, path: str) -> RecordFile:
        """Read each version of a record of a run once; raises InvalidDocument or GitError."""
        if oid not in self.records:
            self.records[oid] = runs.load_record(self.store, oid, path)
        return self.records[oid]

    def note_read(self, places: Iterable[int]) -> None:
        """Remember that commits were read, with all that differs from their first parents."""
        for place in places:
            self._read[place] = True

    def was_read(self, commit: str) -> bool:
        return bool(self._read[self.graph.place(commit)])

    @contextmanager
    def apart(self) -> Iterator[Part]:
        """Collect what is found and read by itself for a while."""
        before, self.part = self.part, Part()
        try:
            yield self.part
        finally:
            self.part = before

    def close(self) -> None:
        """End the processes that read objects; they start again when they are needed."""
        self.store.close()
        self.project.store.close()


def read(project: Project, trusted: Authority, found: Findings) -> Past:
    """Read refs and graph; a ref whose history is broken becomes a finding and is left out."""
    everything = sorted(refs.under(project.git_dir, "refs/").items())
    known = {ref: oid for ref, oid in everything if PLAN_REF.match(ref) or runs.RUN_REF.match(ref)}
    for ref, _ in everything:
        if NO_RUN.match(ref) and ref not in known:
            found.add("unreadable", ref, f"run numbers go from 1 to {runs.LAST_NUMBER}")
    try:
        whole = _graph(project, trusted, known)
    except GitError:
        known = dict(_sound(project, known, found))
        whole = _graph(project, trusted, known)
    for ref in [ref for ref, oid in known.items() if oid not in whole]:
        found.add("unreadable", ref, "it names no commit")
        del known[ref]
    store = AheadStore(project.git_dir, project.repository.objects)
    part = Part(found=found)
    return Past(project=project, trusted=trusted, part=part, refs=known, graph=whole, store=store)


def _graph(project: Project, trusted: Authority, known: Mapping[str, str]) -> Ancestry:
    tips = sorted({trusted.commit, *known.values()})
    return Ancestry(graph.commits(project.git_dir, tips))


def _sound(
    project: Project, known: Mapping[str, str], found: Findings
) -> Iterator[tuple[str, str]]:
    for ref, oid in known.items():
        with found.reading(ref):
            deque(graph.commits(project.git_dir, [oid]), maxlen=0)
            yield ref, oid
