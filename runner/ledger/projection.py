"""Runs and approvals as rows: a function of what git holds, and of nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runner.core.approval import Approval
from runner.core.canonical import canonical_json
from runner.core.cost import Call, Total, total
from runner.core.plan import PlanFile, Step
from runner.core.policy import Assurance
from runner.core.run import Record, RecordFile, RunFile, RunHeader, run_status
from runner.core.values import usd

NAMESPACE = uuid.UUID("6f1c2d0e-3b5a-5c47-9d4e-8a7b1f0c2e93")

Value = str | int | bool | None
Row = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of one run."""

    run: Row
    steps: tuple[Row, ...]
    calls: tuple[Row, ...]

    @property
    def run_id(self) -> str:
        return str(self.run["id"])

    @property
    def project(self) -> str:
        return str(self.run["project"])

    def tables(self) -> dict[str, tuple[Row, ...]]:
        return {"agent_runs": (self.run,), "steps": self.steps, "model_calls": self.calls}


@dataclass(frozen=True, kw_only=True)
class ProjectedRun:
    """A run as read from `ref` at `commit`, with the plan that stands there."""

    ref: str
    commit: str
    plan: PlanFile
    run: RunFile

    def rows(self, project: str) -> Rows:
        return run_rows(
            repository=project,
            plan=self.plan,
            run=self.run,
            workspace_path=workspace_path(self.run.header),
        )


def workspace_path(header: RunHeader) -> str:
    """Where the run's workspace lies below the git common directory."""
    return f"planlock/work/{header.plan}/{header.run}"


def row_id(*parts: str | int) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(str(part) for part in parts)))


def known_usd(cost: Total) -> Decimal | None:
    """The priced part of a sum; None where there were calls and none has a price."""
    return None if cost.calls and cost.unpriced == cost.calls else cost.usd


def run_rows(*, repository: str, plan: PlanFile, run: RunFile, workspace_path: str) -> Rows:
    header = run.header
    base: Row = {
        "project": repository,
        "run_id": row_id(repository, header.plan, header.run),
    }
    histories = _histories(run.records)
    return Rows(
        run={
            "id": base["run_id"],
            "project": repository,
            "plan": header.plan,
            "run_number": header.run,
            "plan_digest": plan.digest,
            "goal": plan.plan.goal,
            "workspace_path": workspace_path,
            "status": run_status(run, [step.id for step in plan.plan.steps]),
            "created_at": header.started_at,
            "completed_at": run.last_moment if run.ended else None,
            "total_cost": _money(run.cost),
            "unpriced_calls": run.cost.unpriced,
        },
        steps=tuple(
            {
                "id": row_id(repository, header.plan, header.run, step.id),
                **base,
                **_step_columns(number, step, histories.get(step.id, [])),
            }
            for number, step in enumerate(plan.plan.steps, start=1)
        ),
        calls=tuple(_calls(run, base)),
    )


def approval_row(
    *,
    repository: str,
    record: Approval,
    digest: str,
    signer: str | None,
    assurance: Assurance | None,
) -> Row:
    """`signer` is whose key signed by the trusted ref's list, at `made_at`; None if nobody's.

    Whether an approval counts depends on step, policy and time: the gate decides that, and a
    run's records say what it relied on.
    """
    return {
        "id": row_id(repository, "approvals", digest),
        "project": repository,
        "plan": record.plan,
        "digest": digest,
        "record_id": record.id,
        "repository": record.repository,
        "decision": record.decision,
        "approver": record.approver,
        "signer": signer,
        "assurance": assurance,
        "genuine": signer == record.approver,
        "steps": _json(record.steps),
        "skipped": _json(record.skipped),
        "supersedes": _json(record.supersedes),
        "execution": record.execution,
        "made_at": record.made_at,
        "expires_at": record.expires_at,
        "limit_usd": record.limits.usd,
        "limit_runs": record.limits.runs,
        "reason": record.reason,
    }


def _histories(records: Iterable[RecordFile]) -> dict[str, list[Record]]:
    """The records of each step, oldest first, those of its drafts among them."""
    found: dict[str, list[Record]] = {}
    for each in records:
        if each.record.about is not None:
            found.setdefault(each.record.about, []).append(each.record)
    return found


def _step_columns(number: int, step: Step, history: list[Record]) -> Row:
    cost = total(call for record in history for call in record.calls)
    done = [record for record in history if record.step is not None]
    attempts = [record for record in done if record.kind == "step"]
    last = attempts[-1] if attempts else None
    return {
        "step_number": number,
        "step_id": step.id,
        "step_type": step.step_type,
        "status": done[-1].status if done else "pending",
        "input": _json(step.input),
        "output": last.output.text if last and last.output else None,
        "cost": _money(cost),
        "unpriced_calls": cost.unpriced,
        "attempts": len(attempts),
        "executed_at": last.ended_at if last else None,
    }


def _calls(run: RunFile, base: Row) -> Iterator[Row]:
    """Records count by their place in the chain: a file name could be anything."""
    plan, number = run.header.plan, run.header.run
    for place, each in enumerate(run.records, start=1):
        record = each.record
        for position, call in enumerate(record.calls, start=1):
            yield {
                "id": row_id(str(base["project"]), plan, number, place, position),
                **base,
                "plan": plan,
                "run_number": number,
                "step_id": record.about,
                "record_number": place,
                "call_number": position,
                "attempt": record.attempt,
                "day": record.ended_at[: len("2026-11-22")],
                **_call_columns(call),
            }


def _call_columns(call: Call) -> Row:
    return {
        "status": call.status,
        "file": call.file,
        "kind": call.kind,
        "answer_id": call.id,
        "answer_attempt": call.attempt,
        "gen_ai_provider_name": call.provider,
        "gen_ai_request_model": call.model,
        "gen_ai_response_model": call.response_model,
        "gen_ai_usage_input_tokens": call.input_tokens,
        "gen_ai_usage_cache_read_input_tokens": call.cache_read_input_tokens,
        "gen_ai_usage_cache_creation_input_tokens": call.cache_creation_input_tokens,
        "gen_ai_usage_output_tokens": call.output_tokens,
        "gen_ai_usage_reasoning_output_tokens": call.reasoning_output_tokens,
        "usage_source": call.usage_source,
        "route_reason": call.route_reason,
        "cost_usd": call.cost_usd,
        "cost_status": call.cost_status,
        "price_source": call.price_source,
        "saved_usd": call.saved_usd,
        "reservation": call.reservation,
    }


def _money(cost: Total) -> str | None:
    known = known_usd(cost)
    return None if known is None else usd(known)


def _json(value: Any) -> str:
    return canonical_json(value).decode()
