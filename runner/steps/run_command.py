"""`run_command`: run a shell command, confined to the workspace."""

from __future__ import annotations

from typing import ClassVar

from runner.core.plan import RunCommandInput, Step
from runner.steps.contract import Context, Output, Preview, Reader, StepType

MAY_READ = "may read"
READERS = frozenset({MAY_READ, f"undo {MAY_READ}"})


def undoing(undo: Step) -> list[tuple[str, str]]:
    """What a reviewer sees of an undo command, each name with `undo` before it."""
    given = RunCommandInput.model_validate(undo.input)
    told = dict(RunCommand().preview(given, lambda _: None).details)
    told["may write"] = "nothing: what it leaves in files is thrown away"
    return [(f"undo {name}", text) for name, text in told.items()]


class RunCommand(StepType):
    name = "run_command"
    model: ClassVar = RunCommandInput
    idempotent = False

    def preview(self, given: RunCommandInput, read: Reader) -> Preview:  # noqa: ARG002  # the contract's
        details = [
            ("command", given.command),
            ("in", given.working_dir),
            (MAY_READ, "the workspace, system folders (/usr, /etc, /opt)"),
            ("may write", ", ".join(given.writes) or "nothing"),
            ("may contact", ", ".join(given.network) or "nobody"),
            ("time limit", f"{given.timeout_s} s"),
        ]
        if given.secrets:
            details.append(("gets secrets", ", ".join(given.secrets)))
        if given.reads:
            details.insert(3, ("must exist", ", ".join(given.reads)))
        if given.env:
            details.append(("env", " ".join(f"{key}={val}" for key, val in given.env.items())))
        first, *rest = given.command.splitlines()
        line = f"{first} [and {len(rest)} more lines]" if rest else first
        return Preview(line=line, details=details)

    def execute(self, context: Context, given: RunCommandInput) -> Output:
        return context.command(given)
