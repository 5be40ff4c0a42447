"""Do one step in the run's workspace, and find out exactly what it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from runner.core import globs
from runner.core.errors import (
    FileAccessError,
    GitError,
    ModelError,
    Reason,
    RunHeld,
    SandboxUnavailable,
    StaleInput,
    StepFailed,
    WorkspaceSecurityError,
)
from runner.core.gate import Decision, Question
from runner.core.plan import (
    ModelInput,
    RunCommandInput,
    Step,
    model_problems,
)
from runner.core.run import digest_bytes
from runner.core.text import visible
from runner.core.values import Strict
from runner.git import shared_checkouts
from runner.git.objects import Entry
from runner.git.worktree import WorkTree
from runner.sandbox import files
from runner.sandbox.contract import Backend, Command, Layer, Limits, Room
from runner.steps import registry
from runner.steps.contract import Context, Failure, Output, StepType
from runner.verbs import asking, command_output, questions, secret_values, tools
from runner.verbs.asking import StepModels
from runner.verbs.changing import Changing
from runner.verbs.outputs import Outputs
from runner.verbs.questions import Answers
from runner.verbs.session import Session


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What a step did: its output, the tree entries to commit, and the model's calls in full.

    A step that is `halted` lacks money or a model: it has not failed, and nothing is recorded.
    """

    output: Output
    entries: Mapping[str, Entry | None]
    transcripts: Sequence[dict[str, Any]] = ()
    halted: Reason | None = None


def fresh_tree(held: Session) -> WorkTree:
    """Make the run's work tree anew, as its branch has it; raises FileAccessError."""
    project = held.project
    checkouts = shared_checkouts.of(project.repository.state, project.store)
    tree = WorkTree(project.work_folder(held.plan.id, held.number), project.store, checkouts)
    tree.fill(project.store.commit(held.tip).tree, held.tip)
    return tree


class Performer:
    """Performs one step of a held run; its questions go to the step's models unless told."""

    def __init__(
        self,
        session: Session,
        step: Step,
        *,
        question: Question,
        decision: Decision,
        answers: Answers | None = None,
    ) -> None:
        if session.tree is None:
            raise ValueError("a step needs the run's work tree")
        self.session = session
        self.step = step
        self.question = question
        self.decision = decision
        self.tree: WorkTree = session.tree
        self.models: Answers = answers or StepModels(
            session, step, question=question, decision=decision
        )
        self.halted: Reason | None = None
        self.lost: RunHeld | GitError | None = None
        environment = session.project.world.environment
        self.secrets = secret_values.of(environment, question.policy.policy)
        self.changing = Changing(
            session, self.tree, question=question, decision=decision, secrets=self.secrets
        )

    def perform(self, backend: Backend | None, progress: Callable[[bytes], None]) -> Performed:
        """Execute the step; failures of the step itself are in the output."""
        plugins = self.question.policy.policy.plugins
        step_type = registry.find(self.step.step_type, plugins)
        with files.Workspace(self.tree.root) as workspace:
            context = Context(
                goal=self.session.plan.file.plan.goal,
                outputs=Outputs(self.session.run, self.session.plan.file.plan.steps),
                read=lambda path, limit: self._read(workspace, path, limit),
                replace=lambda path, content, expect, mode: self.changing.replace(
                    workspace, path, content, expect=expect, mode=mode
                ),
                remove=lambda path, expect: self.changing.remove(workspace, path, expect),
                rename=lambda source, target, expect: self.changing.rename(
                    workspace, source, target, expect=expect
                ),
                command=lambda asked: self._command(asked, backend, progress),
                ask=lambda prompt: questions.answer(self.models, prompt, progress),
            )
            output = self._guarded(lambda: step_type.execute(context, _typed(step_type, self.step)))
        if self.step.input.get("secrets"):
            self._forget()
        return Performed(
            output=replace(output, calls=self.models.recorded()),
            entries=self.changing.entries,
            transcripts=self.models.transcripts,
            halted=self.halted if self.halted and self.models.remembered else None,
        )

    def _read(self, workspace: files.Workspace, path: str, limit: int) -> bytes:
        self.tree.place(path)
        return workspace.read(path, max_bytes=limit)

    def _forget(self) -> None:
        """What a command that had secrets left in ignored files must not reach the next one."""
        self.tree.restore()
        # What is gone first: a file may now be where a folder was.
        for path, entry in sorted(
            self.changing.entries.items(), key=lambda each: each[1] is not None
        ):
            self.tree.write(path, entry)

    def _guarded(self, execute: Callable[[], Output]) -> Output:
        """A failed step ends this call, and the next one starts from a fresh work tree."""
        try:
            output = execute()
            self.changing.check_limits(output)
        except (StaleInput, StepFailed, SandboxUnavailable) as error:
            output = _failed(error.code, error.message)
        except WorkspaceSecurityError as error:
            output = _failed(f"workspace_{error.reason_code}", error.message)
        except ModelError as error:
            output = _failed(error.code, error.message)
            self.halted = self._halted(error) if isinstance(error, asking.HALTS) else None
        if self.changing.refused is not None:
            # Also where a plugin went on in spite of the refusal.
            output = replace(output, failure=self.changing.refused)
        if output.failure is not None:
            self.changing.entries.clear()
            output = replace(output, changes=())
        return self._without_secrets(output)

    def _halted(self, error: ModelError) -> Reason:
        reason = asking.halted(error)
        return replace(reason, message=self.secrets.text(reason.message))

    def _without_secrets(self, output: Output) -> Output:
        """A command's text came without them, with the digest of that; another is digested here."""
        text, failure = self.secrets.text(output.text), output.failure
        if text != output.text and not output.sandbox:
            data = text.encode("utf-8", "replace")
            output = replace(output, digest=digest_bytes(data), length=len(data))
        if failure is not None:
            failure = replace(failure, message=self.secrets.text(failure.message))
        contacts = tuple(
            each.model_copy(update={"host": self.secrets.text(each.host)})
            for each in output.contacts
        )
        return replace(output, text=text, failure=failure, contacts=contacts)

    def _command(
        self, given: RunCommandInput, backend: Backend | None, progress: Callable[[bytes], None]
    ) -> Output:
        if backend is None:
            raise ValueError("a command needs a sandbox backend")
        self._check_reads(given.reads)
        self.tree.place(given.working_dir)
        self.tree.index(backend.can_layer)
        command = Command(
            script=given.command,
            working_dir=given.working_dir,
            env=given.env,
            secrets={name: self.secrets.listed[name] for name in given.secrets},
            hide=self.secrets.hidden,
            network=tuple(given.network),
            limits=Limits(timeout_s=given.timeout_s),
        )
        outcome = backend.run(command, self._room(), on_output=progress, cancelled=self._tick)
        if self.lost is not None:
            raise self.lost
        return self._judged(command_output.of(outcome), given.writes)

    def _judged(self, output: Output, writes: Sequence[str]) -> Output:
        """Find what a command changed; also a failed one may not have touched what is protected."""
        limits = self.question.policy.policy.limits
        try:
            if output.failure is not None:
                self.tree.check_protected()
                return output
            found = self.tree.changes(writes, most_bytes=limits.changed_bytes)
            changes = self.changing.of_command(found, writes)
        except WorkspaceSecurityError as error:
            changes = _failure(f"workspace_{error.reason_code}", error.message)
        except FileAccessError as error:
            changes = _failure(error.code, error.message)
        if isinstance(changes, Failure):
            return replace(output, failure=changes)
        return replace(output, changes=tuple(changes))

    def _tick(self) -> bool:
        """Let the listener show that time goes by; whether the command is to end."""
        self.session.tell("tick", step=self.question.step)
        try:
            return self.session.attend()
        except (RunHeld, GitError) as error:
            self.lost = error
            return True

    def _check_reads(self, reads: Sequence[str]) -> None:
        for glob in reads:
            if not any(globs.matches(glob, path) for path in self.tree.paths()):
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
            beneath=self._beneath(),
        )

    def _beneath(self) -> Layer | None:
        layers = self.tree.layers
        if layers is None:
            return None
        return Layer(files=layers.checkout.files, scratch=layers.scratch.folder)


def _typed(step_type: StepType, step: Step) -> Any:
    """The input as the step type's own model has it; raises StepFailed where it does not fit."""
    try:
        return step_type.model.model_validate(step.input)
    except ValidationError as error:
        first = model_problems(error, file=step.id)[0]
        raise StepFailed(
            f"reading the input of step {step.id}: {first.path}: {first.message}"
        ) from error


def _failed(code: str, message: str) -> Output:
    return Output(failure=_failure(code, message))


def _failure(code: str, message: str) -> Failure:
    return Failure(code=code, message=visible(message))


def expected_seconds(given: Strict | None) -> int:
    """How long a step may leave its lease alone: a command's is renewed while it runs."""
    return questions.ANSWER_S if isinstance(given, ModelInput) else 0
