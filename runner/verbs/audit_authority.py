"""The trusted branch: who changed policy and keys, and which of its states a run may rest on."""

from __future__ import annotations

from runner.core.errors import GitError, InvalidDocument, NotGoverned
from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.git import sshsig
from runner.git.objects import Commit
from runner.git.signers import parse as parse_signers
from runner.git.sshsig import BadSignature
from runner.project import Authority
from runner.verbs.audit_past import Past

PATHS = (POLICY_PATH, SIGNERS_PATH)
Pair = tuple[str, str]


def note_changes(past: Past) -> None:
    """Note each change of policy and keys, newest first, with who signed it."""
    touched = {touch.commit for touch in past.touches if touch.change.path in PATHS}
    for oid in past.line:
        if oid in touched:
            with past.found.reading(f"commit {oid[:12]}"):
                _note_change(past, past.commit(oid))


def _note_change(past: Past, commit: Commit) -> None:
    before = pair(past, commit.parents[0]) if commit.parents else ("", "")
    after = pair(past, commit.oid)
    names = [path for path, old, new in zip(PATHS, before, after, strict=True) if old != new]
    if names:
        changed = " and ".join(names)
        past.found.note(f"{changed} changed in {commit.oid[:12]}, {_signer(past, commit)}")


def _signer(past: Past, commit: Commit) -> str:
    """By the keys that counted before the commit: nobody lets themselves in."""
    if commit.signature is None:
        return "unsigned"
    try:
        key = sshsig.verify(commit.signature, commit.signed_part, namespace="git")
    except BadSignature as error:
        return f"its signature is not valid: {error.reason}"
    before = past.commit(commit.parents[0]).tree if commit.parents else None
    data = past.store.file(before, SIGNERS_PATH) if before else None
    try:
        signers = parse_signers(data or b"", file=SIGNERS_PATH)
    except InvalidDocument:
        return f"signed by key {key.fingerprint}; the keys listed before it were not readable"
    owner = signers.listed(key)
    return (
        f"signed by {owner}" if owner else f"signed by a key not listed before: {key.fingerprint}"
    )


def pair(past: Past, commit: str) -> Pair:
    """Which policy and keys a commit holds: the ids of the two files, empty where absent."""
    tree = past.commit(commit).tree
    policy, signers = (past.store.entry(tree, path) for path in PATHS)
    return policy.oid if policy else "", signers.oid if signers else ""


class Authorities:
    """States of the trusted branch by commit."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self._pairs: set[Pair] | None = None

    def at(self, commit: str, where: str) -> Authority | None:
        """Policy and keys as a record names them; a finding where the branch never had them."""
        past = self.past
        if not self._was_trusted(commit):
            message = f"{commit[:12]} is not on the history of {past.trusted}"
            past.found.add("authority_untrusted", where, message)
            return None
        try:
            return past.project.authority_at(commit)
        except (GitError, InvalidDocument, NotGoverned) as error:
            past.found.add("authority_untrusted", where, error.message)
            return None

    def _was_trusted(self, commit: str) -> bool:
        """On the branch's own line, or merged into it and equal to what that line has had.

        A commit of a side branch may hold a policy that nobody accepted; but after a merge in
        the wrong direction the branch's former tips lie on the side too.
        """
        past = self.past
        if commit in past.line_set:
            return True
        if commit not in past.graph.ancestors(past.trusted.commit):
            return False
        if self._pairs is None:
            self._pairs = {pair(past, each) for each in past.line}
        return pair(past, commit) in self._pairs
