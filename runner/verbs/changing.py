"""What a step changes: judged, searched for secrets, and only then stored."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core import gate, globs, risks
from runner.core.errors import StaleInput, StepFailed, WorkspaceSecurityError
from runner.core.gate import Decision, Question
from runner.core.paths import check_path, is_authority
from runner.core.plan import Step
from runner.core.policy import PLANS_FOLDER
from runner.core.record import Change
from runner.core.rules import judge_change
from runner.core.run import digest_bytes
from runner.core.text import visible
from runner.git import content as found_content
from runner.git.objects import EXECUTABLE, FILE, Entry
from runner.git.worktree import Found, WorkTree
from runner.sandbox import files
from runner.steps.contract import Failure, Output
from runner.verbs.secret_values import Secrets
from runner.verbs.session import Session

EDIT = "edit_file"


class Changing:
    """The changes of one step; `entries` are to be committed.

    `refused` stays where a step asked for a change that it may not make.
    """

    def __init__(
        self,
        session: Session,
        tree: WorkTree,
        *,
        question: Question,
        decision: Decision,
        secrets: Secrets,
    ) -> None:
        self.session = session
        self.project = session.project
        self.tree = tree
        self.step: Step = question.plan.plan.steps[question.step]
        self.question = question
        self.decision = decision
        self.secrets = secrets
        self.entries: dict[str, Entry | None] = {}
        self.refused: Failure | None = None

    def replace(
        self,
        workspace: files.Workspace,
        path: str,
        content: bytes,
        *,
        expect: str | None,
        mode: int | None,
    ) -> Change:
        self._refuse(path)
        self._refuse_secrets(path, content)
        change = workspace.write(path, content, expect=expect, mode=mode)
        return self._placed(change, content)

    def remove(self, workspace: files.Workspace, path: str, expect: str | None) -> Change:
        self._refuse(path)
        return self._gone(workspace.delete(path, expect=expect))

    def rename(
        self, workspace: files.Workspace, source: str, target: str, *, expect: str | None
    ) -> tuple[Change, Change]:
        self._refuse(source)
        self._refuse(target)
        gone, made = workspace.rename(source, target, expect=expect)
        content = workspace.read(target, max_bytes=files.MAX_BYTES)
        if digest_bytes(content) != made.after:
            raise StaleInput(f"{target}: changed while it was renamed")
        return self._gone(gone), self._placed(made, content)

    def _placed(self, change: files.Change, content: bytes) -> Change:
        path, git_mode = change.path, EXECUTABLE if change.mode & 0o100 else FILE
        self._refuse_secrets(path, content)
        entry = Entry(mode=git_mode, oid=self.project.store.write("blob", content))
        self.entries[path] = entry
        self.tree.settle(path, entry)
        return Change(
            path=path,
            before=change.before,
            after=change.after,
            mode=git_mode,
            size=len(content),
        )

    def _gone(self, change: files.Change) -> Change:
        self.entries[change.path] = None
        self.tree.settle(change.path, None)
        return Change(path=change.path, before=change.before, after=None, mode=None)

    def _refuse(self, path: str) -> None:
        """Judge a path that a step asks to change; an edit's own path the gate judged already."""
        self.tree.place(path)
        self._refuse_submodule(path)
        why = [] if self.step.step_type == EDIT else self._objections(check_path(path))
        if is_authority(path):
            why = [f"no step may change {PLANS_FOLDER}/"]
        if why:
            message = f"the step changes {path}, which needs more: {'; '.join(why)}"
            self.refused = Failure(code="unapproved_change", message=visible(message))
            raise StepFailed(message)
        self._refuse_secrets(path, b"")

    def _refuse_secrets(self, path: str, content: bytes) -> None:
        """Raise StepFailed before anything is stored that git would keep for ever."""
        if refused := self._secret_in(path, content):
            self.refused = refused
            raise StepFailed(refused.message)

    def _secret_in(self, path: str, content: bytes) -> Failure | None:
        for data in (path.encode("utf-8", "surrogateescape"), content):
            if name := self.secrets.name_in(data):
                message = f"the step leaves the secret {name} in {visible(path)}"
                return Failure(code="secret_in_change", message=message)
        return None

    def _refuse_submodule(self, path: str) -> None:
        if self.tree.is_in_submodule(path):
            reason = "lies in a submodule, which planlock does not change"
            raise WorkspaceSecurityError(path, reason, reason_code="submodule")

    def of_command(self, found: Sequence[Found], writes: Sequence[str]) -> Failure | list[Change]:
        """Keep what a command changed, or say why nothing of it is kept."""
        refused = self._unapproved(found, writes) or self._revealing(found)
        return refused or [self._keep(each) for each in found]

    def _unapproved(self, found: Sequence[Found], writes: Sequence[str]) -> Failure | None:
        for change in found:
            if not any(globs.matches(glob, change.path) for glob in writes):
                return Failure(
                    code="unapproved_change",
                    message=f"the command changed {change.path}, which `writes` does not list; list"
                    " it there, or a build product in .gitignore",
                )
            mode = change.after.mode if change.after else None
            labels = risks.of_change(gone=change.after is None, mode=mode)
            why = self._objections(change.path, labels)
            if why:
                return Failure(
                    code="unapproved_change",
                    message=f"the command changed {change.path}, which needs more: {'; '.join(why)}",
                )
        return None

    def _revealing(self, found: Sequence[Found]) -> Failure | None:
        """Look for secrets in all that changed before any of it is stored."""
        return next(filter(None, map(self._revealed, found)), None)

    def _revealed(self, change: Found) -> Failure | None:
        after = change.after
        data = (
            found_content.read(self.tree.root, change.path, mode=after.mode, most=change.size)
            if after
            else b""
        )
        return self._secret_in(change.path, data)

    def _objections(self, path: str, labels: frozenset[str] = frozenset()) -> list[str]:
        verdict = judge_change(
            self.question.policy.policy, path, of_step=risks.labels(self.step), labels=labels
        )
        lacking = gate.unmet(self.question, verdict.requirements, self.decision.approvals)
        return [*verdict.denied, *lacking]

    def _keep(self, change: Found) -> Change:
        store = self.project.store
        before = digest_bytes(store.blob(change.before.oid)) if change.before else None
        entry = self.tree.keep(change)
        self.entries[change.path] = entry
        return Change(
            path=change.path,
            before=before,
            after=digest_bytes(store.blob(entry.oid)) if entry else None,
            mode=entry.mode if entry else None,
            size=change.size,
        )

    def check_limits(self, output: Output) -> None:
        """Hold the run's changes against the policy's limits; raises StepFailed."""
        limits, index = self.question.policy.policy.limits, self.session.run.index
        if not output.changes:
            return
        files_changed = len(index.changed.union(each.path for each in output.changes))
        size = index.changed_bytes + sum(change.size for change in output.changes)
        if files_changed > limits.changed_files:
            raise StepFailed(
                f"{files_changed} changed files; the policy allows {limits.changed_files}"
            )
        if size > limits.changed_bytes:
            raise StepFailed(f"{size} changed bytes; the policy allows {limits.changed_bytes}")
