"""What an audit may find, under stable codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.core.errors import GitError, InvalidDocument

CODES = {
    "approval_changed": "An approval record or its signature has more than one version.",
    "approval_deleted": "A commit, perhaps a merge, deleted an approval record.",
    "approval_forged": "An approval is not signed by a listed key of the person it names.",
    "approval_misplaced": "An approval lies in the folder of another plan, repository or record.",
    "approval_unreadable": "A file among the approvals is no approval record.",
    "approval_unsigned": "An approval has no valid signature beside it.",
    "approved_after": "A step used an approval that was given after it had started.",
    "authority_backwards": "A run used an older policy after a newer one.",
    "authority_untrusted": "A run used policy and keys that the trusted branch never had.",
    "call_missing": "A record names a model call whose file is not there.",
    "chain_broken": "The records of a run do not follow each other.",
    "changes_differ": "A commit changed other files than its record or its step says.",
    "cost_differs": "A sum or a call's cost is not what the files beside it say.",
    "digest_differs": "A recorded digest is not that of the plan at that point.",
    "draft_differs": "A draft changed the plan otherwise than by the text of the step it names.",
    "foreign_commit": "A run's branch has a commit that the runner does not make.",
    "fork_differs": "A run that left another does not start with what that one had done by then.",
    "header_differs": "A run's header is not about this run, plan or repository.",
    "not_allowed": "The gate, asked again, would not have decided as recorded.",
    "order": "Steps, attempts or times are not in order.",
    "over_budget": "A step spent more than policy, plan and approvals allowed.",
    "plan_backwards": "A run used an older state of the plan branch after a newer one.",
    "plan_rewritten": "A plan branch no longer has a commit that a run was based on.",
    "plan_strays": "A plan branch differs from its base outside the plan, or has no trusted base.",
    "plan_unsigned": "A plan that has run has commits that nobody of the policy signed.",
    "record_changed": "A record, header or call of a run has more than one version.",
    "record_deleted": "A record, header or call of a run was deleted, or never published.",
    "rollback_differs": "A rollback or undo is not of what the run did, or restored other files.",
    "run_missing": "A run that must have been is not on any branch or tag.",
    "run_rewritten": "A run no longer has a commit that this repository saw on its branch.",
    "tag_mismatch": "Branch and tag of a run have parted, or the branch fell behind.",
    "trailer_mismatch": "A commit's trailers are not what its record says.",
    "unapproved_change": "A step changed a path that it may not change, or not with these approvals.",
    "unpublished": "Steps were done here that the home never got: another machine had gone on.",
    "unreadable": "A ref, object or file that the audit needs cannot be read.",
    "unsigned_commit": "A commit of a run has no valid signature.",
    "unsigned_run": "A run's header or closing record has no valid signature.",
    "wrong_signer": "A run is signed by a key that is not its runner's on the trusted branch.",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing wrong; `where` is a ref, a run, a commit or a file."""

    code: str
    where: str
    message: str
    fix: str = ""


@dataclass
class Findings:
    """Collects findings and notes, each once, in the order in which they are met."""

    _findings: dict[Finding, None] = field(default_factory=dict)
    _notes: dict[str, None] = field(default_factory=dict)

    def add(self, code: str, where: str, message: str, fix: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"{code} is not a code of the audit")
        self._findings[Finding(code=code, where=where, message=message, fix=fix)] = None

    def note(self, text: str) -> None:
        self._notes[text] = None

    def add_all(self, other: Findings) -> None:
        self._findings |= other._findings
        self._notes |= other._notes

    @contextmanager
    def reading(self, where: str, code: str = "unreadable") -> Iterator[None]:
        """Turn what cannot be read inside into a finding, and go on after the block."""
        try:
            yield
        except (GitError, InvalidDocument) as error:
            self.add(code, where, error.message)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._findings)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)
