"""Plans, runs and approvals as values; what they hold is made up, how they are built is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from runner.core import approval as approvals
from runner.core import plan as plans
from runner.core.approval import Approval
from runner.core.plan import PlanFile
from runner.core.record import RecordFile, build_record
from runner.core.run import RunFile, build_header, digest_bytes, record_name, run_branch
from runner.ledger.projection import ProjectedRun, Row, approval_row
from runner.ledger.store import Ledger, sqlite_url
from runner.ledger.tables import REBUILDABLE

PROJECT: Final = "0f8e6c1e-7d0b-4f5e-9a53-0f3c2b7a9d11"
OTHER: Final = "5b0cf7a4-1f7e-4a38-8f0e-4f1d1f5e2c77"
DIGEST: Final = digest_bytes(b"")
COMMIT: Final = "4f1c09d2a7e35b8c6f0192a3b4c5d6e7f8091a2b"
EXECUTOR: Final = {"planlock": "0.1.0", "platform": "linux"}
STEPS: Final = ("read", "edit", "test", "sum-up")


def plan(steps: Sequence[str] = STEPS, *, name: str = "add-factorial") -> PlanFile:
    written = [
        {
            "id": step,
            "step_type": "run_command",
            "description": f"Step {step}",
            "input": {"command": f"echo {step}", "timeout_s": 5},
        }
        for step in steps
    ]
    value = {"version": 1, "id": name, "goal": "Add a factorial function", "steps": written}
    return plans.build(value, file="plan.yaml")


def call(usd: str | None = "0.000754", **changes: Any) -> dict[str, Any]:
    return {
        "provider": "openai",
        "model": "small-1",
        "status": "completed",
        "input_tokens": 812,
        "output_tokens": 204,
        "cost_usd": usd,
        "cost_status": "unknown" if usd is None else "computed",
        "file": "calls/001-1.yaml",
        **changes,
    }


def record(step: str | None, status: str = "completed", **changes: Any) -> dict[str, Any]:
    """A record's value, without its place in the chain."""
    return {
        "kind": "end" if step is None else "step",
        "step": step,
        "status": status,
        "started_at": "2026-11-22T10:00:00Z",
        "ended_at": "2026-11-22T10:00:07Z",
        **changes,
    }


def output(text: str) -> dict[str, Any]:
    data = text.encode()
    return {"text": text, "digest": digest_bytes(data), "length": len(data), "truncated": False}


def run(records: Sequence[dict[str, Any]], *, name: str = "add-factorial", n: int = 1) -> RunFile:
    header = {
        "version": 1,
        "plan": name,
        "run": n,
        "repository": PROJECT,
        "plan_digest": DIGEST,
        "plan_tip": COMMIT,
        "base": COMMIT,
        "trusted_ref": "refs/heads/main",
        "authority": COMMIT,
        "approvals": [],
        "runner": "runner@example.com",
        "executor": EXECUTOR,
        "started_at": "2026-11-22T09:59:58Z",
    }
    return RunFile(
        header=build_header(header, file="run.yaml"),
        header_digest=DIGEST,
        records=tuple(_record_file(place, each) for place, each in enumerate(records, start=1)),
    )


def _record_file(place: int, value: dict[str, Any]) -> RecordFile:
    step = value["step"]
    named = step and {
        "id": step,
        "number": STEPS.index(step) + 1,
        "type": "run_command",
        "digest": DIGEST,
    }
    whole = {**value, "version": 1, "previous": DIGEST, "executor": EXECUTOR, "step": named}
    name = record_name(place, step or "end")
    return RecordFile(name=name, record=build_record(whole, file=name), digest=DIGEST)


def projected(
    records: Sequence[dict[str, Any]],
    *,
    steps: Sequence[str] = STEPS,
    name: str = "add-factorial",
    n: int = 1,
) -> ProjectedRun:
    ref = run_branch(name, n)
    return _committed(ref, plan(steps, name=name), run(records, name=name, n=n))


def cut(whole: ProjectedRun, length: int) -> ProjectedRun:
    """The same run when it had `length` records."""
    part = replace(whole.run, records=whole.run.records[:length])
    return _committed(whole.ref, whole.plan, part)


def _committed(ref: str, plan: PlanFile, run: RunFile) -> ProjectedRun:
    """As in git, the commit is a function of what it holds."""
    commit = digest_bytes(repr((plan, run)).encode()).removeprefix("sha256:")
    return ProjectedRun(ref=ref, commit=commit, plan=plan, run=run)


def approval(number: int = 0, **changes: Any) -> Approval:
    value = {
        "version": 1,
        "id": f"01JDA7Q4Z0M5W8K2N3P6R9T1V{number}",
        "decision": "approve",
        "plan": "add-factorial",
        "repository": PROJECT,
        "steps": {"edit": DIGEST},
        "execution": DIGEST,
        "approver": "ada@example.com",
        "made_at": "2026-11-22T10:00:00Z",
        "limits": {"usd": "0.50", "runs": 2},
        **changes,
    }
    return approvals.build(value, file="approval.yaml")


def approved(number: int = 0, signer: str | None = "ada@example.com") -> Row:
    return approval_row(
        repository=PROJECT,
        record=approval(number),
        digest=digest_bytes(bytes([number])),
        signer=signer,
        assurance="key" if signer else None,
    )


def open_at(folder: Path, *, project: str = PROJECT) -> Ledger:
    """Open the ledger of a folder; a lock is waited for a tenth of a second only."""
    return Ledger(sqlite_url(file_of(folder)), project=project, busy_timeout_s=0.1)


def file_of(folder: Path) -> Path:
    return folder / "planlock" / "ledger.sqlite"


FULL_RUN: Final = (
    record("read", calls=[call(), call("0.1", model="small-2")]),
    record("edit", "failed", calls=[call(None)]),
    record("edit", attempt=2, calls=[call("0.2")], output=output("done")),
    record("test", "skipped", kind="skip"),
    record("sum-up", ended_at="2026-11-23T00:00:01Z", calls=[call("1.00")]),
    record(None, ended_at="2026-11-23T00:00:02Z"),
)


def every_row(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """All rows of the rebuildable tables, by table, in the order of their ids."""
    found: dict[str, list[dict[str, Any]]] = {table.name: [] for table in REBUILDABLE}
    found["approvals"] = ledger.approval_rows()
    for run_id in ledger.contents().runs:
        for table, rows in ledger.run_rows(run_id).items():
            found[table] += rows
    return {table: sorted(rows, key=lambda row: str(row["id"])) for table, rows in found.items()}


def empty(ledger: Ledger) -> None:
    ledger.drop(ledger.contents())
