"""Every approval ever added: is it sound, whose is it, and what counted at a moment."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from runner import schemas
from runner.core import validation
from runner.core.approval import WITNESS, Approval, Vote, sureness
from runner.core.errors import GitError, InvalidDocument
from runner.core.policy import SIGNERS_PATH
from runner.core.run import digest_bytes
from runner.git.objects_kept import Recent
from runner.git.signers import AllowedSigners
from runner.git.signers import parse as parse_signers
from runner.project import Authority
from runner.verbs import votes
from runner.verbs.audit_names import RECORDED
from runner.verbs.audit_past import Past

# Of so many plans the approvals are kept in memory, and of so many states what counted there.
PLANS_KEPT, STATES_KEPT = 4, 64


@dataclass(frozen=True, kw_only=True)
class Version:
    """One content that a file has had, and the commits that brought it."""

    oid: str
    data: bytes
    commits: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One approval record; `plan` is the folder that it lies in."""

    plan: str
    path: str
    version: Version
    record: Approval
    signatures: tuple[Version, ...]
    _signed: dict[bytes, votes.Ballot] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> str:
        return digest_bytes(self.version.data)

    @property
    def is_witnessed(self) -> bool:
        """Whether it is signed in the namespace of what machines see."""
        found = [self.signed(each.data) for each in self.signatures]
        return any(each.signed and each.namespace == WITNESS for each in found)

    def signed(self, armored: bytes) -> votes.Ballot:
        """The record with one of its signatures, which is verified once."""
        if armored not in self._signed:
            self._signed[armored] = votes.verified(self.record, self.version.data, armored)
        return self._signed[armored]


class Ballots:
    """All approval records of a repository; their contents are read plan by plan.

    `places` has plan and path by digest, of the records that were read: after `check`, of all.
    """

    def __init__(self, past: Past) -> None:
        self.past = past
        self._brought: dict[str, dict[str, dict[str, set[str]]]] = {}
        for touch in past.touches:
            path, new = touch.change.path, touch.change.new
            match = RECORDED.match(path)
            if match and match["approval"] and new is not None:
                files = self._brought.setdefault(match["plan"], {})
                files.setdefault(path, {}).setdefault(new.oid, set()).add(touch.commit)
        self.places: dict[str, tuple[str, str]] = {}
        self._ballots: Recent[str, tuple[Ballot, ...]] = Recent(PLANS_KEPT)
        self._votes: Recent[Hashable, tuple[Vote, ...]] = Recent(STATES_KEPT)

    @property
    def plans(self) -> list[str]:
        return sorted(self._brought)

    def of(self, plan: str) -> tuple[Ballot, ...]:
        """The records in a plan's folder that can be read."""
        found = self._ballots.get(plan)
        if found is None:
            found = tuple(self._read(plan))
            self._ballots.put(plan, found, 1)
        return found

    def _read(self, plan: str) -> Iterator[Ballot]:
        files = {path: self._versions(plan, path) for path in sorted(self._brought.get(plan, {}))}
        for path, versions in files.items():
            for version in () if path.endswith(".sig") else versions:
                with self.past.found.reading(path, "approval_unreadable"):
                    record = validation.read_stored(
                        version.data,
                        validation.APPROVAL,
                        file=path,
                        schema=schemas.load("approval"),
                    )
                    self.places[digest_bytes(version.data)] = plan, path
                    yield Ballot(
                        plan=plan,
                        path=path,
                        version=version,
                        record=record,
                        signatures=files.get(f"{path}.sig", ()),
                    )

    def _versions(self, plan: str, path: str) -> tuple[Version, ...]:
        found = []
        for oid, commits in sorted(self._brought[plan][path].items()):
            with self.past.found.reading(path):
                data = self.past.store.blob(oid)
                found.append(Version(oid=oid, data=data, commits=frozenset(commits)))
        return tuple(found)

    def brought_by(self, path: str, oid: str) -> frozenset[str]:
        """The commits that added a file among the approvals with this content."""
        match = RECORDED.match(path)
        files = self._brought.get(match["plan"], {}) if match else {}
        return frozenset(files.get(path, {}).get(oid, ()))

    def commits(self, plan: str) -> frozenset[str]:
        """The commits that added files among a plan's approvals."""
        files = self._brought.get(plan, {}).values()
        return frozenset(oid for each in files for commits in each.values() for oid in commits)

    def find(self, digest: str) -> Ballot | None:
        plan, path = self.places.get(digest, ("", ""))
        every = (each for each in self.of(plan) if each.path == path and each.digest == digest)
        return next(every, None)

    def votes(
        self, plan: str, seen: frozenset[str], authority: Authority, at: datetime
    ) -> tuple[Vote, ...]:
        """The plan's records that some commit in `seen` had brought, judged as of `at`."""
        key = (plan, seen, authority.commit, authority.signers.as_of(at))
        known = self._votes.get(key)
        if known is None:
            known = self._judged(plan, seen, authority, at)
            self._votes.put(key, known, 1)
        return known

    def _judged(
        self, plan: str, seen: Container[str], authority: Authority, at: datetime
    ) -> tuple[Vote, ...]:
        found: dict[str, Vote] = {}
        for ballot in self.of(plan):
            if _brought(ballot.version, seen):
                vote = _judge(ballot, seen, authority, at)
                known = found.get(vote.digest)
                if known is None or sureness(vote) > sureness(known):
                    found[vote.digest] = vote
        return tuple(found.values())


def _brought(version: Version, seen: Container[str]) -> bool:
    return any(commit in seen for commit in version.commits)


def _judge(ballot: Ballot, seen: Container[str], authority: Authority, at: datetime) -> Vote:
    armored = [each.data for each in ballot.signatures if _brought(each, seen)]
    found = [votes.judge(ballot.signed(each), authority, at) for each in armored or [b""]]
    return max(found, key=sureness)


def check(past: Past, ballots: Ballots) -> None:
    """Every record is signed by the person that it names, and lies where it belongs."""
    owners = _every_signers(past)
    for plan in ballots.plans:
        for ballot in ballots.of(plan):
            _check_place(past, ballot)
            _check_signature(past, ballot, owners)


def _check_place(past: Past, ballot: Ballot) -> None:
    record = ballot.record
    if record.plan != ballot.plan:
        message = f"it was given for plan {record.plan}"
    elif record.repository != past.trusted.policy.repository:
        message = f"it was given for repository {record.repository}"
    elif not ballot.path.endswith(f"/approvals/{record.id}.yaml"):
        message = f"its id is {record.id}"
    else:
        return
    past.found.add("approval_misplaced", ballot.path, message)


def _check_signature(past: Past, ballot: Ballot, owners: list[AllowedSigners]) -> None:
    if not ballot.signatures:
        past.found.add("approval_unsigned", ballot.path, "no signature beside it")
    approver = ballot.record.approver
    for each in ballot.signatures:
        found = ballot.signed(each.data)
        if found.signed is None:
            past.found.add("approval_unsigned", ballot.path, found.trouble)
        elif not any(_may_sign(signers, found, ballot.record) for signers in owners):
            whose = past.trusted.signers.listed(found.signed) or "nobody listed"
            message = f"it names {approver}, but {found.signed} of {whose} signed it"
            past.found.add("approval_forged", ballot.path, message)


def _may_sign(signers: AllowedSigners, found: votes.Ballot, record: Approval) -> bool:
    """Whether a key signs for the person named, or for a machine that tells of a review."""
    lines = signers.lines_of(found.signed) if found.signed else ()
    if not any(found.namespace in line.namespaces for line in lines):
        return False
    if found.namespace == WITNESS:
        return record.review is not None
    return found.signed is not None and signers.listed(found.signed) == record.approver


def _every_signers(past: Past) -> list[AllowedSigners]:
    """Each version of allowed_signers that the trusted branch has had: keys are retired."""
    versions = dict.fromkeys(
        touch.change.new.oid
        for touch in past.touches
        if touch.change.path == SIGNERS_PATH and touch.change.new and touch.commit in past.line_set
    )
    found = []
    for oid in versions:
        try:
            found.append(parse_signers(past.store.blob(oid), file=SIGNERS_PATH))
        except (GitError, InvalidDocument):
            continue  # such a version never counted
    return found
