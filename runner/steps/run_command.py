"""`run_command`: run a shell command, confined to the workspace."""

from __future__ import annotations

from typing import ClassVar

from runner.core.plan import RunCommandInput
from runner.steps.contract import Context, Output, Preview, Reader, StepType


class RunCommand(StepType):
    name = "run_command"
    model: ClassVar = RunCommandInput
    approvals = 1
    idempotent = False

    def preview(self, given: RunCommandInput, read: Reader) -> Preview:  # noqa: ARG002  # the contract's
        details = [
            ("command", given.command),
            ("in", given.working_dir),
            ("reads", ", ".join(given.reads) or "anything in the workspace"),
            ("writes", ", ".join(given.writes) or "nothing"),
            ("contacts", ", ".join(given.network) or "nobody"),
            ("time limit", f"{given.timeout_s} s"),
        ]
        if given.env:
            details.append(("env", " ".join(f"{key}={val}" for key, val in given.env.items())))
        return Preview(line=given.command.splitlines()[0], details=details)

    def execute(self, context: Context, given: RunCommandInput) -> Output:
        return context.command(given)
