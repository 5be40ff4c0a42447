"""Do one step in the run's workspace, and find out exactly what it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from runner.core import gate, globs, risks
from runner.core.errors import (
    ModelError,
    Reason,
    SandboxUnavailable,
    StaleInput,
    StepFailed,
    WorkspaceSecurityError,
)
from runner.core.gate import Decision, Question
from runner.core.paths import check_path, is_authority
from runner.core.plan import (
    ModelInput,
    RunCommandInput,
    Step,
    model_problems,
)
from runner.core.policy import PLANS_FOLDER
from runner.core.rules import judge_change
from runner.core.run import Change, digest_bytes
from runner.core.text import visible
from runner.core.values import Strict
from runner.git.objects import EXECUTABLE, FILE, Entry
from runner.git.worktree import Found, WorkTree
from runner.sandbox import files
from runner.sandbox.contract import Backend, Command, Limits, Outcome, Room
from runner.steps import registry
from runner.steps.contract import Context, Failure, Output, StepType
from runner.verbs import asking, questions, recording, tools
from runner.verbs.asking import StepModels
from runner.verbs.session import Session

EDIT = "edit_file"


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What a step did: its output, the tree entries to commit, and the model's calls in full.

    A step that is `halted` lacks money or a model: it has not failed, and nothing is recorded.
    """

    output: Output
    entries: Mapping[str, Entry | None]
    transcripts: Sequence[dict[str, Any]] = ()
    halted: Reason | None = None


class Performer:
    """Performs one step of a held run; `backend` confines commands."""

    def __init__(
        self, session: Session, step: Step, *, question: Question, decision: Decision
    ) -> None:
        if session.tree is None:
            raise ValueError("a step needs the run's work tree")
        self.session = session
        self.step = step
        self.question = question
        self.decision = decision
        self.tree: WorkTree = session.tree
        self.entries: dict[str, Entry | None] = {}
        self.models = StepModels(session, step, question=question, decision=decision)
        self.halted: Reason | None = None
        self.unapproved: Failure | None = None

    def perform(self, backend: Backend | None, progress: Callable[[bytes], None]) -> Performed:
        """Execute the step; failures of the step itself are in the output."""
        plugins = self.question.policy.policy.plugins
        step_type = registry.find(self.step.step_type, plugins)
        with files.Workspace(self.tree.root) as workspace:
            context = Context(
                goal=self.session.plan.file.plan.goal,
                outputs=self._outputs(),
                read=lambda path, limit: workspace.read(path, max_bytes=limit),
                replace=lambda path, content, expect, mode: self._replace(
                    workspace, path, content, expect=expect, mode=mode
                ),
                remove=lambda path, expect: self._remove(workspace, path, expect),
                command=lambda asked: self._command(asked, backend, progress),
                ask=lambda prompt: questions.answer(self.models, prompt, progress),
            )
            output = self._guarded(lambda: step_type.execute(context, _typed(step_type, self.step)))
        return Performed(
            output=replace(output, calls=self.models.recorded()),
            entries=self.entries,
            transcripts=self.models.transcripts,
            halted=self.halted if self.halted and self.models.remembered else None,
        )

    def _guarded(self, execute: Callable[[], Output]) -> Output:
        """A failed step ends this call, and the next one starts from a fresh work tree."""
        try:
            output = execute()
            self._check_limits(output)
        except (StaleInput, StepFailed, SandboxUnavailable) as error:
            output = _failed(error.code, error.message)
        except WorkspaceSecurityError as error:
            output = _failed(f"workspace_{error.reason_code}", error.message)
        except ModelError as error:
            output = _failed(error.code, error.message)
            self.halted = asking.halted(error) if isinstance(error, asking.HALTS) else None
        if self.unapproved is not None:
            # Also where a plugin went on in spite of the refusal.
            output = replace(output, failure=self.unapproved)
        if output.failure is not None:
            self.entries.clear()
            output = replace(output, changes=())
        return output

    def _outputs(self) -> dict[str, str]:
        found = {}
        for step in self.session.plan.file.plan.steps:
            record = self.session.run.latest(step.id)
            if record and record.status == "completed" and record.output:
                found[step.id] = record.output.text
        return found

    def _replace(
        self,
        workspace: files.Workspace,
        path: str,
        content: bytes,
        *,
        expect: str | None,
        mode: int | None,
    ) -> Change:
        self._refuse(path)
        change = workspace.write(path, content, expect=expect, mode=mode)
        git_mode = EXECUTABLE if change.mode & 0o100 else FILE
        entry = Entry(mode=git_mode, oid=self.session.project.store.write("blob", content))
        self.entries[path] = entry
        self.tree.settle(path, entry)
        return Change(
            path=path,
            before=change.before,
            after=change.after,
            mode=git_mode,
            size=len(content),
        )

    def _remove(self, workspace: files.Workspace, path: str, expect: str | None) -> Change:
        self._refuse(path)
        change = workspace.delete(path, expect=expect)
        self.entries[path] = None
        self.tree.settle(path, None)
        return Change(path=path, before=change.before, after=None, mode=None)

    def _refuse(self, path: str) -> None:
        """Judge a path that a step asks to change; an edit's own path the gate judged already."""
        self._refuse_submodule(path)
        why = [] if self.step.step_type == EDIT else self._objections(check_path(path))
        if is_authority(path):
            why = [f"no step may change {PLANS_FOLDER}/"]
        if why:
            message = f"the step changes {path}, which needs more: {'; '.join(why)}"
            self.unapproved = Failure(code="unapproved_change", message=visible(message))
            raise StepFailed(message)

    def _refuse_submodule(self, path: str) -> None:
        if any(path == each or path.startswith(f"{each}/") for each in self.tree.submodules):
            reason = "lies in a submodule, which planlock does not change"
            raise WorkspaceSecurityError(path, reason, reason_code="submodule")

    def _command(
        self, given: RunCommandInput, backend: Backend | None, progress: Callable[[bytes], None]
    ) -> Output:
        if backend is None:
            raise ValueError("a command needs a sandbox backend")
        self._check_reads(given.reads)
        self.tree.index()
        command = Command(
            script=given.command,
            working_dir=given.working_dir,
            env=given.env,
            limits=Limits(timeout_s=given.timeout_s),
        )
        outcome = backend.run(command, self._room(), on_output=progress, cancelled=self._tick)
        output = _command_output(outcome)
        if output.failure is not None:
            return output
        try:
            found = self.tree.changes(given.writes)
        except WorkspaceSecurityError as error:
            failure = Failure(code=f"workspace_{error.reason_code}", message=visible(error.message))
            return replace(output, failure=failure)
        unapproved = self._unapproved(found, given.writes)
        if unapproved is not None:
            return replace(output, failure=unapproved)
        return replace(output, changes=tuple(self._keep(each) for each in found))

    def _tick(self) -> bool:
        """Let the listener show that time goes by; nobody cancels a command from here yet."""
        self.session.tell("tick", step=self.question.step)
        return False

    def _check_reads(self, reads: Sequence[str]) -> None:
        for glob in reads:
            if not any(globs.matches(glob, path) for path in self.tree.known):
                raise StaleInput(f"command input {glob!r}: no file matches it any more")

    def _room(self) -> Room:
        project, repository = self.session.project, self.session.project.repository
        sandbox = self.question.policy.policy.sandbox
        return Room(
            workspace=self.tree.root,
            mount_at=repository.work_tree or tools.PLAIN_MOUNT,
            read_only=(".git", "plans"),
            git_objects=(repository.objects,),
            tools=tuple(tools.find(self.session, sandbox.tools)),
            closed=tools.closed_folders(project),
        )

    def _unapproved(self, found: Sequence[Found], writes: Sequence[str]) -> Failure | None:
        for change in found:
            if not any(globs.matches(glob, change.path) for glob in writes):
                return Failure(
                    code="unapproved_change",
                    message=f"the command changed {change.path}, which `writes` does not list",
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

    def _objections(self, path: str, labels: frozenset[str] = frozenset()) -> list[str]:
        verdict = judge_change(
            self.question.policy.policy, path, of_step=risks.labels(self.step), labels=labels
        )
        lacking = gate.unmet(self.question, verdict.requirements, self.decision.approvals)
        return [*verdict.denied, *lacking]

    def _keep(self, change: Found) -> Change:
        store = self.session.project.store
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

    def _check_limits(self, output: Output) -> None:
        """Hold the run's changes against the policy's limits; raises StepFailed."""
        limits = self.question.policy.policy.limits
        earlier = [change for each in self.session.run.records for change in each.record.changes]
        every = [*earlier, *output.changes]
        files_changed = len({change.path for change in every})
        size = sum(change.size for change in every)
        if output.changes and files_changed > limits.changed_files:
            raise StepFailed(
                f"{files_changed} changed files; the policy allows {limits.changed_files}"
            )
        if output.changes and size > limits.changed_bytes:
            raise StepFailed(f"{size} changed bytes; the policy allows {limits.changed_bytes}")


def _typed(step_type: StepType, step: Step) -> Any:
    """The input as the step type's own model has it; raises StepFailed where it does not fit."""
    try:
        return step_type.model.model_validate(step.input)
    except ValidationError as error:
        first = model_problems(error, file=step.id)[0]
        raise StepFailed(
            f"reading the input of step {step.id}: {first.path}: {first.message}"
        ) from error


def _command_output(outcome: Outcome) -> Output:
    decoded = outcome.output.decode("utf-8", "replace").replace("\r\n", "\n")
    text, cut = recording.bounded(visible(decoded))
    return Output(
        text=text,
        digest=outcome.output_sha256,
        length=outcome.output_length,
        truncated=cut or outcome.truncated,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        failure=_command_failure(outcome),
        sandbox=outcome.backend,
    )


def _command_failure(outcome: Outcome) -> Failure | None:
    if outcome.timed_out:
        return Failure(code="timed_out", message="the command ran out of time and was killed")
    if outcome.limit_hit:
        return Failure(code="limit_hit", message=f"the command hit a limit: {outcome.limit_hit}")
    if outcome.signal:
        message = f"the command was ended by signal {outcome.signal}"
        return Failure(code="command_failed", message=message)
    if outcome.exit_code == 127:
        message = "exit code 127: a program was not found; sandbox.tools names where tools are"
        return Failure(code="command_not_found", message=message)
    if outcome.exit_code:
        message = f"the command ended with exit code {outcome.exit_code}"
        return Failure(code="command_failed", message=message)
    return None


def _failed(code: str, message: str) -> Output:
    return Output(failure=Failure(code=code, message=visible(message)))


def expected_seconds(given: Strict | None) -> int:
    """How long a step may take, for its lease."""
    if isinstance(given, ModelInput):
        return questions.ANSWER_S
    return given.timeout_s if isinstance(given, RunCommandInput) else 60
