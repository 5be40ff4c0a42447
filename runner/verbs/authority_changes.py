"""Every change of policy and keys on the trusted branch: what changed, and who signed it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.core.policy_diff import Difference
from runner.core.values import time_text
from runner.git import sshsig
from runner.git.objects import Commit
from runner.git.signers import AllowedSigners
from runner.git.sshsig import BadSignature, Signed
from runner.verbs.audit_authority import pair
from runner.verbs.audit_past import Past
from runner.verbs.authority_changes_files import Moment, policy_file, signers_file
from runner.verbs.authority_changes_people import (
    NO_PERSON,
    CommitSigner,
    account,
    is_one_alone,
    people,
)

NAMES = {POLICY_PATH: "policy", SIGNERS_PATH: "keys"}
SSH = b"-----BEGIN SSH SIGNATURE-----"
LONG_AGO = datetime.min.replace(tzinfo=UTC)
Contents = tuple[bytes | None, bytes | None]


@dataclass(frozen=True, kw_only=True)
class AuthorityChange:
    """A commit of the trusted branch's own line; `merged` are those that it brought in.

    `date` is as the commit says. `stood_by` are the people of the policy before it who signed
    it or what it merged, proved by the keys before it; where a commit sets both up, there is
    nobody who could have. `doubtful` asks for a look: none of them signed the commit itself, or
    with a key that was revoked later on. `alone`: it loosens, and some of it only one stands by.
    """

    commit: str
    date: str
    signed_by: str | None
    signature: str
    stood_by: tuple[str, ...]
    account: str
    set_up: bool
    doubtful: bool
    alone: bool
    merged: tuple[CommitSigner, ...]
    changes: tuple[Difference, ...]


def read(past: Past) -> tuple[AuthorityChange, ...]:
    """Give every change, newest first; what nobody is proved to stand by is noted besides."""
    line = _Line(past)
    found: list[AuthorityChange] = []
    for oid in reversed(past.line):
        if oid in line.touched:
            with past.found.reading(f"commit {oid[:12]}"):
                found += line.changes(past.commit(oid))
    found.reverse()
    for change in found:
        if change.doubtful or change.alone:
            past.found.note(_warning(change))
    return tuple(found)


def _warning(change: AuthorityChange) -> str:
    word = "loosened" if any(each.loosens for each in change.changes) else "changed"
    text = f"policy or keys {word} in {change.commit[:12]}, {change.account}"
    if change.doubtful:
        return text
    part = " some of it" if len(change.stood_by) > 1 else " it"
    return f"{text}: loosens, and only {change.signed_by} stands behind{part}"


class _Line:
    """The trusted branch, walked from its oldest commit on."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.policy, self.keys = policy_file(), signers_file()
        commits = (touch.commit for touch in past.touches if touch.change.path in NAMES)
        self.touched = {oid: number for number, oid in enumerate(dict.fromkeys(commits))}
        self.latest = LONG_AGO
        self._seen = bytearray(len(past.graph))

    def changes(self, commit: Commit) -> Iterator[AuthorityChange]:
        """Give the commit's change, unless both files are as in its first parent."""
        before = self._files(commit.parents[0]) if commit.parents else (None, None)
        after = self._files(commit.oid)
        if before != after:
            yield self._change(commit, before, after)

    def _files(self, commit: str) -> Contents:
        tree, store = self.past.commit(commit).tree, self.past.store
        return store.file(tree, POLICY_PATH), store.file(tree, SIGNERS_PATH)

    def _change(self, commit: Commit, before: Contents, after: Contents) -> AuthorityChange:
        set_up = self.policy.last is None or self.keys.last is None
        keys = self.keys.value(after[1] if set_up else before[1])
        at = self.latest = max(self.latest, _when(commit) or LONG_AGO)
        signed = self._signer(commit, keys, at)
        merged = tuple(self._signer(each, keys, at) for each in self._brought(commit))
        mixed = tuple(self._merge(commit, before, after))
        names = [name for name, a, b in zip(NAMES.values(), before, after, strict=True) if a != b]
        changes = (*self._steps(commit, before, after), *mixed)
        few = bool(mixed) or is_one_alone(signed, merged)
        return AuthorityChange(
            commit=commit.oid,
            date=time_text(when) if (when := _when(commit)) else "",
            signed_by=signed.signed_by,
            signature=signed.signature,
            stood_by=() if set_up else people(signed, merged),
            account=_set_up(commit, signed, names) if set_up else account(signed, merged),
            set_up=set_up,
            doubtful=bool(signed.revoked) or not (signed.person or set_up),
            alone=not set_up and few and any(each.loosens for each in changes),
            merged=merged,
            changes=changes,
        )

    def _steps(self, commit: Commit, before: Contents, after: Contents) -> Iterator[Difference]:
        at = Moment(commit=commit.oid, when=_when(commit))
        yield from self.policy.step(before[0], after[0], at)
        yield from self.keys.step(before[1], after[1], at)

    def _merge(self, commit: Commit, before: Contents, after: Contents) -> Iterator[Difference]:
        """Point out what a merge wrote itself: no commit that it merged has it so."""
        sides = [self._files(parent) for parent in commit.parents[1:]]
        for number, path in enumerate(NAMES):
            known = {before[number], *(side[number] for side in sides)}
            if sides and after[number] not in known:
                yield Difference(what=f"{path} is as in none of the commits that were merged")

    def _signer(self, commit: Commit, keys: AllowedSigners | None, at: datetime) -> CommitSigner:
        """By the keys that counted before the change: nobody lets themselves in.

        What a merge brings in is judged as of the merge. Nor does an early date bring a key back
        to life: a change is no older than those before it.
        """
        signed = _verified(commit)
        if isinstance(signed, str):
            return CommitSigner(commit=commit.oid, signed_by=None, signature=signed)
        if keys is None:
            how = f"signed by {signed}, and no keys before it can be read"
            return CommitSigner(commit=commit.oid, signed_by=None, signature=how)
        who = keys.find(signed, namespace="git", at=at)
        if who.principal is None:
            how = f"signed, not counted: {who.reason}"
            return CommitSigner(commit=commit.oid, signed_by=None, signature=how)
        policy = self.policy.last
        person = policy.person(who.principal) if policy else None
        return CommitSigner(
            commit=commit.oid,
            signed_by=who.principal,
            signature=f"signed by {who.principal}{NO_PERSON if policy and not person else ''}",
            person=person.principal if person else None,
            revoked=self._revoked(signed, at),
        )

    def _revoked(self, signed: Signed, at: datetime) -> str:
        today = self.past.trusted.signers
        return today.find(signed, namespace="git", at=at).reason if today.listed(signed) else ""

    def _brought(self, commit: Commit) -> list[Commit]:
        """The commits that a merge brought in and that changed one of the files, newest first."""
        if len(commit.parents) < 2:
            return []
        graph = self.past.graph
        deque(graph.unmarked(self._seen, commit.parents[:1]), maxlen=0)
        arrived = graph.unmarked(self._seen, commit.parents[1:])
        new = [oid for oid in arrived if oid in self.touched]
        new.sort(key=self.touched.__getitem__, reverse=True)
        return [self.past.commit(oid) for oid in new if self._wrote(oid)]

    def _wrote(self, oid: str) -> bool:
        """Whether a commit has the files otherwise than each of its parents."""
        own = pair(self.past, oid)
        return all(pair(self.past, parent) != own for parent in self.past.graph.parents(oid))


def _verified(commit: Commit) -> Signed | str:
    """Who signed a commit, or why nobody is known to have done so."""
    if commit.signature is None:
        return "unsigned"
    if not commit.signature.startswith(SSH):
        return "signed otherwise than with an SSH key"
    try:
        return sshsig.verify(commit.signature, commit.signed_part, namespace="git")
    except BadSignature as error:
        return f"its signature is not valid: {error.reason}"


def _set_up(commit: Commit, signed: CommitSigner, names: Iterable[str]) -> str:
    what = f"{' and '.join(names)} set up by"
    if signed.signed_by:
        return f"{what} {signed.signed_by}, with a key that the commit itself lists"
    claimed = commit.committer.rpartition("> ")[0] + ">"
    return f"{what} {claimed}, by name only: {signed.signature}"


def _when(commit: Commit) -> datetime | None:
    """The time that a commit says, which proves nothing; None where it says none."""
    words = commit.committer.rpartition("> ")[2].split()
    try:
        return datetime.fromtimestamp(int(words[0]), tz=UTC)
    except (IndexError, ValueError, OverflowError, OSError):
        return None
