"""Read every approval record ever added, and judge whose each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from runner import schemas
from runner.core import validation
from runner.core.approval import NAMESPACE, WITNESS, Approval, Vote, sureness
from runner.core.errors import InvalidDocument
from runner.core.run import digest_bytes, plan_folder
from runner.git import sshsig
from runner.git.history_known import Changed
from runner.git.objects import ObjectStore
from runner.git.signers import Verdict
from runner.git.sshsig import BadSignature, Signed
from runner.project import Authority, Project
from runner.verbs import provenance
from runner.verbs.provenance import Moment

Places = Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A record with the signature beside it: what follows from their bytes alone.

    `namespace` is that in which it was signed: `WITNESS` where a machine tells of somebody.
    """

    record: Approval
    digest: str
    signed: Signed | None
    namespace: str = NAMESPACE
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Votes:
    """Votes, and by digest where the files of each record lie: (path, object id) pairs."""

    votes: tuple[Vote, ...] = ()
    places: Places


NO_VOTES = Votes(places={})


def read(  # noqa: PLR0913  # each is a different part of the question
    project: Project,
    plan: str,
    *,
    base: str,
    tips: Sequence[str],
    authority: Authority,
    at: datetime,
) -> Votes:
    """Read the records that any commit since `base` has added, judged at a moment."""
    folder = f"{plan_folder(plan)}/approvals"
    added = project.history.changed(tips, base=base, path=folder)
    return _judged(project.store, added, authority, provenance.moment(authority, at))


@lru_cache(maxsize=64)
def _judged(store: ObjectStore, added: Changed, authority: Authority, when: Moment) -> Votes:
    files: dict[str, set[str]] = {}
    for each in added.versions:
        files.setdefault(each.path, set()).add(each.oid)
    votes: dict[str, Vote] = {}
    places: dict[str, tuple[tuple[str, str], ...]] = {}
    for path in sorted(files):
        signatures = sorted(files.get(f"{path}.sig", ())) or [""]
        for oid in sorted(files[path]) if path.endswith(".yaml") else ():
            found = [(_ballot(store, path, oid, each), each) for each in signatures]
            judged = [(judge(ballot, authority, when.at), each) for ballot, each in found if ballot]
            # what a listed key signed goes before what lies here or elsewhere by somebody's trick
            for vote, used in judged:
                known = votes.get(vote.digest)
                if known is None or sureness(vote) > sureness(known):
                    votes[vote.digest] = vote
                    places[vote.digest] = ((path, oid), (f"{path}.sig", used))
    return Votes(votes=tuple(votes.values()), places=places)


@lru_cache(maxsize=8192)
def _ballot(store: ObjectStore, path: str, oid: str, signature: str) -> Ballot | None:
    """Read and verify a record once: what an object id names never changes.

    None where no decision can be read from it, which the audit lists. Whose the key is, and
    whether it counts, is judged anew each time.
    """
    data = store.blob(oid)
    try:
        record = read_record(data, path)
    except InvalidDocument:
        return None
    return verified(record, data, store.blob(signature) if signature else b"")


def read_record(data: bytes, path: str) -> Approval:
    """Read an approval record; raises InvalidDocument."""
    return validation.read_approval(data, file=path, schema=schemas.load("approval"))[1]


def verified(record: Approval, data: bytes, armored: bytes) -> Ballot:
    """Verify a record's signature: the key decides who it was, the namespace as what."""
    digest, trouble = digest_bytes(data), ""
    for namespace in (NAMESPACE, WITNESS):
        try:
            signed = sshsig.verify(armored, data, namespace=namespace)
        except BadSignature as error:
            trouble = trouble or f"signature: {error.reason}"
        else:
            return Ballot(record=record, digest=digest, signed=signed, namespace=namespace)
    trouble = trouble if armored else "no signature beside it"
    return Ballot(record=record, digest=digest, signed=None, trouble=trouble)


def judge(ballot: Ballot, authority: Authority, at: datetime) -> Vote:
    """Say whose the decision is at a moment, and how sure that is."""
    if ballot.signed is None:
        return _nobodys(ballot, ballot.trouble)
    verdict = authority.signers.find(ballot.signed, namespace=ballot.namespace, at=at)
    if ballot.namespace == WITNESS:
        lines = authority.signers.lines_of(ballot.signed)
        machine = next((each.principal for each in lines if WITNESS in each.namespaces), None)
        return _witnessed(ballot, authority, machine, verdict)
    owner = verdict.principal or authority.signers.listed(ballot.signed)
    return Vote(
        record=ballot.record,
        digest=ballot.digest,
        principal=owner,
        assurance=ballot.signed.assurance if owner else None,
        current=verdict.principal is not None,
        trouble=verdict.reason,
    )


def _witnessed(ballot: Ballot, authority: Authority, machine: str | None, verdict: Verdict) -> Vote:
    """What a machine signed is the decision of the person whose account it saw."""
    trouble = _misnamed(ballot.record, authority, machine)
    if machine is None or trouble:
        return _nobodys(ballot, trouble or verdict.reason)
    return Vote(
        record=ballot.record,
        digest=ballot.digest,
        principal=ballot.record.approver,
        assurance="forge",
        current=verdict.principal is not None,
        trouble=verdict.reason,
        witness=machine,
    )


def _misnamed(record: Approval, authority: Authority, machine: str | None) -> str:
    """Why a machine's word about a person does not count; empty where it does."""
    if machine is not None and authority.policy.person(machine):
        return f"{machine} is a person, and people sign for themselves"
    if record.review is None:
        return "a machine signed it, but it tells of no review"
    person = authority.policy.person_of_account(record.review.account.id)
    if person is None or person.principal != record.approver:
        return f"the policy has account {record.review.account.id} for somebody else"
    return ""


def _nobodys(ballot: Ballot, trouble: str) -> Vote:
    return Vote(
        record=ballot.record,
        digest=ballot.digest,
        principal=None,
        assurance=None,
        current=False,
        trouble=trouble,
    )
