"""The commits of a run: each adds one record and exactly the changes that it tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.errors import GitError
from runner.core.policy import PLANS_FOLDER
from runner.core.record import RECORD_FILE, Record, RecordFile, drafted_step, trailer_status
from runner.core.run import NAMESPACE, RUN_FILE, RunFile, plan_folder, run_folder
from runner.core.run_index import ENDS
from runner.core.values import parse_time
from runner.git import sshsig, trailers
from runner.git.graph import Change
from runner.git.objects import EXECUTABLE, FILE, LINK, Commit, Entry
from runner.git.sshsig import BadSignature
from runner.verbs import audit_fork_start, audit_objects, evidence, recording
from runner.verbs.audit_approvals import Ballots
from runner.verbs.audit_past import Past
from runner.verbs.evidence import PlanAt


@dataclass(frozen=True, kw_only=True)
class Link:
    """One commit of a run: the commit before it, the record that it adds, and all that it changes.

    `plan` is the file of the plan as it was before and as it is after.
    """

    commit: Commit
    before: Commit
    file: RecordFile
    approvals: tuple[Change, ...]
    changes: Mapping[str, Change]
    plan: tuple[Entry | None, Entry | None]

    @property
    def record(self) -> Record:
        return self.file.record


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A run as its commits tell it, oldest first."""

    past: Past
    ballots: Ballots
    run: RunFile
    tip: str
    links: list[Link] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.run.header.plan}/{self.run.header.run}"

    @property
    def folder(self) -> str:
        return run_folder(self.run.header.plan, self.run.header.run)

    def add(self, code: str, where: str, message: str) -> None:
        self.past.found.add(code, f"{self.name} {where}", message)

    def plan_before(self, link: Link) -> PlanAt | None:
        return self._plan(link.plan[0], link.before.oid)

    def plan_after(self, link: Link) -> PlanAt | None:
        return self._plan(link.plan[1], link.commit.oid)

    def _plan(self, entry: Entry | None, commit: str) -> PlanAt | None:
        return self.past.plan_of(entry, commit, self.run.header.plan, on_branch=True)

    def entries(self, link: Link, path: str) -> tuple[Entry | None, Entry | None]:
        """What a path was before a commit and is after it."""
        change = link.changes.get(path)
        if change is not None:
            return change.old, change.new
        same = self.past.store.entry(link.before.tree, path)
        return same, same

    def contents(self, link: Link, path: str) -> tuple[bytes | None, bytes | None]:
        """What a regular file held before a commit and holds after it; None for anything else."""
        old, new = (
            self.past.store.blob(each.oid) if each and each.mode in {FILE, EXECUTABLE} else None
            for each in self.entries(link, path)
        )
        return old, new


def walk(of: Walk) -> Iterator[Link]:
    """Check the commits from the header to the tip, and give those that add a record."""
    line = _line(of)
    if line is None:
        message = f"it does not start from {of.run.header.plan_tip[:12]}, which its header names"
        of.add("foreign_commit", of.tip[:12], message)
        return
    for position, (oid, compared) in enumerate(audit_objects.compared(of.past, line)):
        known = len(of.links)
        with of.past.found.reading(f"{of.name} {oid[:12]}"):
            commit, changes = of.past.commit(oid), compared.told()
            is_fork = position == 0 and of.run.header.fork is not None
            if len(commit.parents) != 1 and not is_fork:
                of.add("foreign_commit", oid[:12], "a merge; the runner makes none")
            if position == 0:
                own = audit_fork_start.changes(of.past, of.run.header, commit)
                _check_start(of, commit, changes if own is None else own)
            else:
                _check_link(of, commit, changes)
        yield from of.links[known:]


def _line(of: Walk) -> list[str] | None:
    line: list[str] = []
    for oid in of.past.graph.first_parents(of.tip):
        if oid == of.run.header.plan_tip:
            return line[::-1]
        line.append(oid)
    return None


def _check_start(of: Walk, commit: Commit, changes: Sequence[Change]) -> None:
    """The first commit adds the header, its signature, and the decisions that it names."""
    header = of.run.header
    path = f"{of.folder}/{RUN_FILE}"
    changed = {change.path for change in changes}
    brought = _witnessed(of, changes, header.desk.decisions if header.desk else ())
    if changed - brought != {path, f"{path}.sig"}:
        of.add("foreign_commit", commit.oid[:12], f"changes {_names(changed)}, not just {path}")
    _check_signed_file(of, commit, path, header.started_at)
    _check_signed_commit(of, commit, header.started_at)
    expected = [
        ("Plan", header.plan),
        ("Plan-Digest", header.plan_digest),
        ("Run", str(header.run)),
        ("Authority", header.authority),
    ]
    _check_trailers(of, commit, expected)


def _witnessed(of: Walk, changes: Sequence[Change], decisions: Sequence[str]) -> set[str]:
    """Of added approvals those that a machine signed for a review and that the runner names."""
    if not decisions:
        return set()
    known = {each.version.oid: each for each in of.ballots.of(of.run.header.plan)}
    added = {each.path: each.new for each in changes if each.old is None and each.new is not None}
    paths = set()
    for path, new in added.items():
        ballot = known.get(new.oid)
        if ballot and ballot.digest in decisions and ballot.is_witnessed:
            paths |= {path, f"{path}.sig"}
    return paths & added.keys()


def _check_signed_file(of: Walk, commit: Commit, path: str, moment: str) -> None:
    """Header and closing record are signed in a namespace of their own."""
    data, armored = (of.past.store.file(commit.tree, name) for name in (path, f"{path}.sig"))
    if data is None or armored is None:
        of.add("unsigned_run", path, "no signature beside it")
        return
    try:
        signed = sshsig.verify(armored, data, namespace=NAMESPACE)
    except BadSignature as error:
        of.add("unsigned_run", path, f"signature: {error.reason}")
        return
    found = of.past.trusted.signers.find(signed, namespace=NAMESPACE, at=parse_time(moment))
    if found.principal != of.run.header.runner:
        whose = found.reason or f"signed by {found.principal}"
        of.add("wrong_signer", path, f"not by {of.run.header.runner}: {whose}")


def _check_signed_commit(of: Walk, commit: Commit, moment: str) -> None:
    """The key decides who it was; author and committer prove nothing."""
    if commit.signature is None:
        of.add("unsigned_commit", commit.oid[:12], "no signature")
        return
    try:
        signed = sshsig.verify(commit.signature, commit.signed_part, namespace="git")
    except BadSignature as error:
        of.add("unsigned_commit", commit.oid[:12], f"signature: {error.reason}")
        return
    found = of.past.trusted.signers.find(signed, namespace="git", at=parse_time(moment))
    if found.principal != of.run.header.runner:
        whose = found.reason or f"signed by {found.principal}"
        of.add("wrong_signer", commit.oid[:12], f"not by {of.run.header.runner}: {whose}")


def _check_trailers(of: Walk, commit: Commit, expected: Sequence[trailers.Trailer]) -> None:
    wanted = [(name, trailers.one_line(value)) for name, value in expected if value]
    found = trailers.read(commit.message)
    if found != wanted:
        odd = sorted({*found} ^ {*wanted}) or "their order"
        of.add("trailer_mismatch", commit.oid[:12], f"trailers differ from the record in {odd}")


def _check_link(of: Walk, commit: Commit, changes: Sequence[Change]) -> None:
    added = [each for each in changes if each.old is None and _is_record(of, each.path)]
    if len(added) != 1 or added[0].new is None:
        moment = of.links[-1].record.ended_at if of.links else of.run.header.started_at
        _check_signed_commit(of, commit, moment)
        message = f"adds {len(added)} records and changes {_names(each.path for each in changes)}"
        of.add("foreign_commit", commit.oid[:12], message)
        return
    change = added[0]
    file = of.past.record(added[0].new.oid, change.path)
    number = len(of.links) + 1
    if file.number != number:
        of.add("foreign_commit", commit.oid[:12], f"adds {file.name} where {number} is next")
    link = _link(of, commit, file, changes)
    of.links.append(link)
    _check_signed_commit(of, commit, file.record.ended_at)
    if file.record.kind in ENDS:
        _check_signed_file(of, commit, change.path, file.record.ended_at)
    _check_trailers(of, commit, _trailers(of, link))
    _check_paths(of, link, changes)


def _link(of: Walk, commit: Commit, file: RecordFile, changes: Sequence[Change]) -> Link:
    path = evidence.plan_path(of.run.header.plan)
    before = of.past.commit(commit.parents[0])
    last = of.links[-1] if of.links else None
    if last is not None and last.commit.oid == before.oid:
        plan = last.plan[1]
    else:
        plan = of.past.store.entry(before.tree, path)
    by_path = {each.path: each for each in changes}
    return Link(
        commit=commit,
        before=before,
        file=file,
        approvals=tuple(each for each in changes if _is_approval(of, each.path)),
        changes=by_path,
        plan=(plan, by_path[path].new if path in by_path else plan),
    )


def _is_record(of: Walk, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == of.folder and RECORD_FILE.match(name) is not None


def _is_approval(of: Walk, path: str) -> bool:
    return path.startswith(f"{plan_folder(of.run.header.plan)}/approvals/")


def _trailers(of: Walk, link: Link) -> list[trailers.Trailer]:
    record, header = link.record, of.run.header
    plan = of.plan_after(link)
    digest = plan.file.digest if plan else ""
    step, status = record.step.model_dump() if record.step else None, str(record.status)
    if record.drafted:
        step, status = drafted_step(record.drafted, status)
    if step is None:
        pairs = [("Plan", header.plan), ("Plan-Digest", digest), ("Run", str(header.run))]
        return [*pairs, ("Run-Status", record.status)]
    return recording.step_trailers(
        plan=header.plan,
        digest=digest,
        run=header.run,
        step=step,
        status=trailer_status(record.kind, status),
        approvers=record.gate.approvers if record.gate else (),
        calls=[call.model_dump() for call in record.calls],
    )


def _check_paths(of: Walk, link: Link, changes: Sequence[Change]) -> None:
    """Below `plans/` only what belongs to the record; elsewhere exactly what the record tells."""
    record, own = link.record, f"{of.folder}/{link.file.name}"
    allowed = {own, *(f"{of.folder}/{call.file}" for call in record.calls)}
    if record.kind in ENDS:
        allowed.add(f"{own}.sig")
    if record.kind == "amendment":
        allowed.add(evidence.plan_path(of.run.header.plan))
    outside = {}
    allowed |= _witnessed(of, link.approvals, record.decisions)
    for each in changes:
        if not each.path.startswith(f"{PLANS_FOLDER}/"):
            outside[each.path] = each
        elif each in link.approvals and each.path not in allowed:
            _check_copied(of, link, each)
        elif each.path not in allowed or (each.new and each.new.mode != FILE):
            of.add("foreign_commit", link.commit.oid[:12], f"changes {each.path} beside its record")
    _check_changes(of, link, outside)


def _check_copied(of: Walk, link: Link, change: Change) -> None:
    """An approval comes to a run as a copy of what another branch has."""
    if change.new is None:
        return  # a deletion, which is reported for what it is
    tip = link.record.gate.plan_tip if link.record.gate else ""
    own = {each.commit.oid for each in of.links}
    elsewhere = of.ballots.brought_by(change.path, change.new.oid) - own
    if not elsewhere and tip in of.past.graph:
        message = f"adds {change.path}, which no other branch has with this content"
        of.add("foreign_commit", link.commit.oid[:12], message)


def _check_changes(of: Walk, link: Link, outside: Mapping[str, Change]) -> None:
    told = {each.path: each for each in link.record.changes}
    where = link.commit.oid[:12]
    for path in sorted({*outside} - {*told}):
        of.add("changes_differ", where, f"changes {path}, of which {link.file.name} tells nothing")
    for path, each in sorted(told.items()):
        old, new = of.entries(link, path)
        found = (_digest(of, old), _digest(of, new), new.mode if new else None)
        if found != (each.before, each.after, each.mode):
            message = f"{link.file.name} tells another content or mode of {path}"
            of.add("changes_differ", where, message)


def _digest(of: Walk, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    if entry.mode not in {FILE, EXECUTABLE, LINK}:
        raise GitError(f"reading {entry.oid}: mode {entry.mode} is neither file nor link")
    return of.past.digest(entry.oid)


def _names(paths: Iterable[str]) -> str:
    names = sorted(paths)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "") or "nothing"
