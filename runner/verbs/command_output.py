"""What came of a command, as the output of its step."""

from __future__ import annotations

from runner.core.text import visible
from runner.sandbox.contract import Outcome
from runner.steps.contract import Failure, Output
from runner.verbs import recording


def of(outcome: Outcome) -> Output:
    decoded = outcome.output.decode("utf-8", "replace").replace("\r\n", "\n")
    text, cut = recording.bounded(visible(decoded))
    return Output(
        text=text,
        digest=outcome.output_sha256,
        length=outcome.output_length,
        truncated=cut or outcome.truncated,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        failure=_failure(outcome),
        sandbox=outcome.backend,
        contacts=outcome.contacts,
    )


def _ended_from_outside(outcome: Outcome) -> Failure | None:
    if outcome.cancelled:
        return Failure(code="cancelled", message="the command was ended, as was asked")
    if outcome.timed_out:
        return Failure(code="timed_out", message="the command ran out of time and was killed")
    if outcome.limit_hit:
        return Failure(code="limit_hit", message=f"the command hit a limit: {outcome.limit_hit}")
    return None


def _failure(outcome: Outcome) -> Failure | None:
    if failure := _ended_from_outside(outcome):
        return failure
    if outcome.signal:
        message = f"the command was ended by signal {outcome.signal}"
        return Failure(code="command_failed", message=message)
    if outcome.exit_code == 127:
        message = "exit code 127: the shell found no program of that name; sandbox.tools says where tools are"
        return Failure(code="command_not_found", message=message)
    if outcome.exit_code:
        message = f"the command ended with exit code {outcome.exit_code}"
        return Failure(code="command_failed", message=message)
    return None
