"""Turn what happened into the record, the commit and the ledger's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.documents import dump
from runner.core.errors import LedgerError
from runner.core.record import RecordedDraft, RecordedGate, drafted_step, trailer_status
from runner.core.run import NAMESPACE, run_tag
from runner.core.run_index import ENDS
from runner.core.values import time_text
from runner.git import refs
from runner.git.objects import FILE, Entry
from runner.verbs import ledger_sync, recording, runs, secret_values
from runner.verbs.evidence import Evidence
from runner.verbs.performing import Performed
from runner.verbs.secret_values import Secrets
from runner.verbs.session import Session

_OF_RUNS = {
    "amendment": "adopt the plan as it is now",
    "review": "record what reviewers decided",
    "rollback": "roll the run back",
}


def step_value(held: Session, number: int, *, status: str, attempt: int) -> dict[str, Any]:
    step = held.plan.file.plan.steps[number]
    now = time_text(held.now())
    return {
        "kind": "step",
        "step": {
            "id": step.id,
            "number": number + 1,
            "type": step.step_type,
            "digest": held.plan.file.digests[number],
        },
        "status": status,
        "attempt": attempt,
        "started_at": now,
        "ended_at": now,
        "executor": recording.executor(),
    }


def output_block(done: Performed) -> dict[str, Any]:
    output = done.output
    value: dict[str, Any] = {}
    if output.digest:
        value["output"] = {
            "text": output.text,
            "digest": output.digest,
            "length": output.length,
            "truncated": output.truncated,
        }
    if output.exit_code is not None:
        value["exit_code"] = output.exit_code
    if output.signal is not None:
        value["signal"] = output.signal
    if output.failure is not None:
        value["error"] = {"code": output.failure.code, "message": output.failure.message}
    value["changes"] = [recording.change_block(each) for each in output.changes]
    if output.contacts:
        value["contacts"] = [each.model_dump() for each in output.contacts]
    value["calls"] = [call.model_dump() for call in output.calls]
    value["executor"] = recording.executor(output.sandbox)
    return value


def call_files(held: Session, done: Performed) -> dict[str, Entry]:
    return transcript_files(held, done.transcripts)


def transcript_files(held: Session, transcripts: Sequence[dict[str, Any]]) -> dict[str, Entry]:
    """What was asked and answered, without the secrets that this runner holds."""
    store, secrets = held.project.store, _secrets(held)
    return {
        f"{held.folder}/{call['file']}": Entry(
            mode=FILE, oid=store.write("blob", dump(secrets.value(call)))
        )
        for call in transcripts
    }


def _secrets(held: Session) -> Secrets:
    """By the policy that the step under way, or the run, began with."""
    authority = held.project.authority_at(held.lease.authority or held.run.header.authority)
    return secret_values.of(held.project.world.environment, authority.policy)


def approval_files(held: Session, found: Evidence, gate: RecordedGate) -> dict[str, Entry]:
    """The approvals relied on that the run branch does not have yet."""
    tree = held.project.store.commit(held.tip).tree
    entries = {}
    for digest in gate.approvals:
        for path, oid in found.vote_paths[digest]:
            if held.project.store.entry(tree, path) is None:
                entries[path] = Entry(mode=FILE, oid=oid)
    return entries


def publish_record(  # noqa: PLR0913  # the parts of one commit
    held: Session,
    name: str,
    value: dict[str, Any],
    entries: Mapping[str, Entry | None],
    *,
    status: str,
    number: int | None,
) -> None:
    """Write the record and its changes as one commit, then the ledger's row.

    Whoever made a text, none that is recorded holds a secret of this runner.
    """
    value = _secrets(held).value({**value, "ended_at": time_text(held.now())})
    file, data = recording.render(held.run, name, value)
    store = held.project.store
    files: dict[str, Entry | None] = {**entries}
    files[f"{held.folder}/{file}"] = Entry(mode=FILE, oid=store.write("blob", data))
    added = runs.read_record(data, file)
    before, tag = held.tip, ""
    if value["kind"] in ENDS:
        tag = _tag(held)
        signature = held.project.runner.sign(data, namespace=NAMESPACE)
        oid = store.write("blob", signature)
        files[f"{held.folder}/{file}.sig"] = Entry(mode=FILE, oid=oid)
    held.publish(
        files,
        subject=_subject(held, value["kind"], status, number),
        pairs=_trailers(held, value, status),
        tag=tag,
        tell=value["kind"] in ENDS,
    )
    held.run = held.run.with_record(added)
    _to_ledger(held, before=before)


def _tag(held: Session) -> str:
    """The tag of a run that ends; one that had ended keeps it where it is."""
    tag = run_tag(held.plan.id, held.number)
    return "" if refs.read(held.project.git_dir, tag) else tag


def _subject(held: Session, kind: str, status: str, number: int | None) -> str:
    if number is None:
        return f"planlock: {_OF_RUNS.get(kind, f'end run: {status}')}"
    steps = held.plan.file.plan.steps
    step = steps[number]
    target = step.input.get("path") or ""
    what = {"amendment": "draft of step", "undo": "undo of step"}.get(kind, "step")
    words = [f"planlock: {what} {number + 1}/{len(steps)} {step.step_type}", str(target)]
    suffix = "" if status == "completed" else f" ({status})"
    return " ".join(word for word in words if word) + suffix


def _trailers(held: Session, value: dict[str, Any], status: str) -> list[tuple[str, str]]:
    plan, digest = held.plan.id, held.plan.file.digest
    step = value.get("step")
    if "draft" in value:
        step, status = drafted_step(RecordedDraft.model_validate(value["draft"]), status)
    if step is None:
        pairs = [("Plan", plan), ("Plan-Digest", digest), ("Run", str(held.number))]
        return [*pairs, ("Run-Status", status)]
    return recording.step_trailers(
        plan=plan,
        digest=digest,
        run=held.number,
        step=step,
        status=trailer_status(value["kind"], status),
        approvers=value.get("gate", {}).get("approvers", ()),
        calls=value.get("calls", ()),
    )


def _to_ledger(held: Session, *, before: str) -> None:
    try:
        ledger_sync.put_run(
            held.project,
            ref=held.branch,
            before=before,
            commit=held.tip,
            plan=held.plan.file,
            run=held.run,
        )
        fresh = [vote for digest, vote in held.votes.items() if digest not in held.noted]
        if fresh:
            ledger_sync.put_votes(held.project, fresh)
            held.noted.update(vote.digest for vote in fresh)
    except LedgerError as error:
        held.tell("note", text=f"{error.message}; the ledger will catch up: {error.hint}")
