"""Which states of the trusted branch a run may rest on."""

from __future__ import annotations

from runner.core.errors import GitError, InvalidDocument, NotGoverned
from runner.core.policy import POLICY_PATH, SIGNERS_PATH
from runner.project import Authority
from runner.verbs.audit_past import Past

PATHS = (POLICY_PATH, SIGNERS_PATH)
Pair = tuple[str, str]


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
        if not past.graph.descends(past.trusted.commit, commit):
            return False
        if self._pairs is None:
            self._pairs = {pair(past, each) for each in past.line}
        return pair(past, commit) in self._pairs
