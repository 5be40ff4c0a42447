"""Write records: the file of a step, its trailers, its signature."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from runner import __version__
from runner.core.cost import STORED, Total
from runner.core.documents import dump
from runner.core.gate import Decision
from runner.core.record import Change, RecordedGate
from runner.core.run import RunFile, record_name
from runner.core.text import visible
from runner.core.values import usd
from runner.git.objects import NewCommit
from runner.git.trailers import Trailer
from runner.project import Project
from runner.verbs.evidence import Evidence

TEXT_LIMIT = 60_000


def sign_commit(project: Project, draft: NewCommit) -> str:
    """Sign with the runner's key and store."""
    signature = project.runner.sign(draft.unsigned(), namespace="git")
    return project.store.write("commit", draft.signed(signature))


def executor(sandbox: str = "") -> dict[str, Any]:
    value = {"planlock": __version__, "platform": f"{platform.system()}-{platform.machine()}"}
    return {**value, "sandbox": sandbox} if sandbox else value


def gate_block(found: Evidence, decision: Decision) -> RecordedGate:
    """What the decision rested on."""
    return RecordedGate(
        authority=found.authority.commit,
        plan_tip=found.plan.commit,
        approvals=sorted(vote.digest for vote in decision.approvals),
        approvers=sorted({vote.record.approver for vote in decision.approvals}),
        reasons=[f"{each.code}: {visible(each.message)}" for each in decision.reasons],
    )


def bounded(text: str, limit: int = TEXT_LIMIT) -> tuple[str, bool]:
    """Keep head and tail of a long text; tell whether something was left out."""
    if len(text) <= limit:
        return text, False
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[{left_out} characters left out]\n{text[-half:]}", True


def change_block(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "before": change.before,
        "after": change.after,
        "mode": change.mode,
        "size": change.size,
    }


def total_block(cost: Total) -> dict[str, Any]:
    """What a run cost, for its closing record."""
    return {
        "cost_usd": usd(cost.usd),
        "input_tokens": cost.input_tokens,
        "output_tokens": cost.output_tokens,
        "calls": cost.calls,
        "unpriced": cost.unpriced,
    }


def render(run: RunFile, name: str, value: dict[str, Any]) -> tuple[str, bytes]:
    """Chain a record to the last one: file name and bytes."""
    full = {"version": 1, "kind": value["kind"], "previous": run.last_digest, **value}
    return record_name(len(run.records) + 1, name), dump(full)


def step_trailers(  # noqa: PLR0913  # a step's commit has these trailers
    *,
    plan: str,
    digest: str,
    run: int,
    step: dict[str, Any],
    status: str,
    approvers: Sequence[str] = (),
    calls: Sequence[dict[str, Any]] = (),
) -> list[Trailer]:
    pairs = [
        ("Plan", plan),
        ("Plan-Digest", digest),
        ("Run", str(run)),
        ("Step", step["id"]),
        ("Step-Type", step["type"]),
        ("Step-Digest", step["digest"]),
        ("Step-Status", status),
        *(("Approved-by", each) for each in approvers),
    ]
    for call in calls:
        if call["status"] in STORED:
            continue
        pairs += [
            ("Model", f"{call['provider']}/{call['model']}"),
            ("Tokens", f"{call['input_tokens']} in, {call['output_tokens']} out"),
            ("Cost-USD", call["cost_usd"] if call["cost_usd"] is not None else "unknown"),
        ]
    return pairs
