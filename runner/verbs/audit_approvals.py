"""Every approval ever added: is it sound, whose is it, and what counted at a moment."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from runner import schemas
from runner.core import validation
from runner.core.approval import NAMESPACE, Approval, Vote, sureness
from runner.core.errors import GitError, InvalidDocument
from runner.core.policy import SIGNERS_PATH
from runner.core.run import digest_bytes, plan_folder
from runner.git import sshsig
from runner.git.signers import AllowedSigners
from runner.git.signers import parse as parse_signers
from runner.git.sshsig import BadSignature, Signed
from runner.project import Authority
from runner.verbs import votes
from runner.verbs.audit_past import RECORDED, Past


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

    @property
    def digest(self) -> str:
        return digest_bytes(self.version.data)


class Ballots:
    """All approval records of a repository."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self._commits: dict[str, frozenset[str]] = {}
        self._files = self._read_files()
        self.all = tuple(self._read_ballots())

    def _read_files(self) -> dict[str, dict[str, Version]]:
        commits: dict[tuple[str, str], set[str]] = {}
        for touch in self.past.touches:
            path, new = touch.change.path, touch.change.new
            match = RECORDED.match(path)
            if match and match["approval"] and new is not None:
                commits.setdefault((path, new.oid), set()).add(touch.commit)
        files: dict[str, dict[str, Version]] = {}
        for (path, oid), where in sorted(commits.items()):
            with self.past.found.reading(path):
                data = self.past.store.blob(oid)
                version = Version(oid=oid, data=data, commits=frozenset(where))
                files.setdefault(path, {})[oid] = version
        return files

    def _read_ballots(self) -> list[Ballot]:
        found = []
        for path, versions in self._files.items():
            match = RECORDED.match(path)
            for version in versions.values() if match and not path.endswith(".sig") else ():
                with self.past.found.reading(path, "approval_unreadable"):
                    _, record = validation.read_approval(
                        version.data, file=path, schema=schemas.load("approval")
                    )
                    signatures = tuple(self._files.get(f"{path}.sig", {}).values())
                    plan = match["plan"] if match else ""
                    found.append(
                        Ballot(
                            plan=plan,
                            path=path,
                            version=version,
                            record=record,
                            signatures=signatures,
                        )
                    )
        return found

    def brought_by(self, path: str, oid: str) -> frozenset[str]:
        """The commits that added a file among the approvals with this content."""
        version = self._files.get(path, {}).get(oid)
        return version.commits if version else frozenset()

    def commits(self, plan: str) -> frozenset[str]:
        """The commits that added files among a plan's approvals."""
        if plan not in self._commits:
            paths = (path for path in self._files if path.startswith(f"{plan_folder(plan)}/"))
            versions = (each for path in paths for each in self._files[path].values())
            self._commits[plan] = frozenset().union(*(each.commits for each in versions))
        return self._commits[plan]

    @cached_property
    def by_digest(self) -> Mapping[str, Ballot]:
        return {each.digest: each for each in self.all}

    def votes(
        self, plan: str, seen: Container[str], authority: Authority, at: datetime
    ) -> tuple[Vote, ...]:
        """The plan's records that some commit in `seen` had brought, judged as of `at`."""
        found: dict[str, Vote] = {}
        for ballot in self.all:
            if ballot.plan == plan and _brought(ballot.version, seen):
                vote = _judge(ballot, seen, authority, at)
                known = found.get(vote.digest)
                if known is None or sureness(vote) > sureness(known):
                    found[vote.digest] = vote
        return tuple(found.values())


def _brought(version: Version, seen: Container[str]) -> bool:
    return any(commit in seen for commit in version.commits)


def _judge(ballot: Ballot, seen: Container[str], authority: Authority, at: datetime) -> Vote:
    armored = [each.data for each in ballot.signatures if _brought(each, seen)]
    found = [
        votes.judge(votes.verified(ballot.record, ballot.version.data, each), authority, at)
        for each in armored or [b""]
    ]
    return max(found, key=sureness)


def check(past: Past, ballots: Ballots) -> None:
    """Every record is signed by the person that it names, and lies where it belongs."""
    owners = _every_signers(past)
    for ballot in ballots.all:
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
        try:
            signed = sshsig.verify(each.data, ballot.version.data, namespace=NAMESPACE)
        except BadSignature as error:
            past.found.add("approval_unsigned", ballot.path, f"signature: {error.reason}")
            continue
        if not any(_may_sign(signers, signed, approver) for signers in owners):
            whose = past.trusted.signers.listed(signed) or "nobody listed"
            message = f"it names {approver}, but {signed} of {whose} signed it"
            past.found.add("approval_forged", ballot.path, message)


def _may_sign(signers: AllowedSigners, signed: Signed, principal: str) -> bool:
    lines = signers.lines_of(signed)
    return signers.listed(signed) == principal and any(
        NAMESPACE in line.namespaces for line in lines
    )


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
