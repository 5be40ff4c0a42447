"""Runs and approvals as rows: a function of what git holds, and of nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runner.core.approval import Approval
from runner.core.canonical import canonical_json
from runner.core.cost import Call, Total, total
from runner.core.plan import PlanFile, Step
from runner.core.policy import Assurance
from runner.core.record import Record
from runner.core.run import RunFile, RunHeader, run_status
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
class Projection:
    """The rows of a run, and the ref and commit that they are of."""

    ref: str
    commit: str
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class ProjectedRun:
    """A run as read from `ref` at `commit`, with the plan that stands there."""

    ref: str
    commit: str
    plan: PlanFile
    run: RunFile

    def rows(self, project: str) -> Rows:
        return run_rows(repository=project, plan=self.plan, run=self.run)

    def at(self, project: str) -> Projection:
        return Projection(ref=self.ref, commit=self.commit, rows=self.rows(project))

    def newest(self, project: str) -> Projection | None:
        """Only the rows that the last record changed; None where it may have changed any."""
        rows = newest_rows(repository=project, plan=self.plan, run=self.run)
        return Projection(ref=self.ref, commit=self.commit, rows=rows) if rows else None


def workspace_path(header: RunHeader) -> str:
    """Where the run's workspace lies below the git common directory."""
    return f"planlock/work/{header.plan}/{header.run}"


def row_id(*parts: str | int) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(str(part) for part in parts)))


def known_usd(cost: Total) -> Decimal | None:
    """The priced part of a sum; None where there were calls and none has a price."""
    return None if cost.calls and cost.unpriced == cost.calls else cost.usd


def run_rows(*, repository: str, plan: PlanFile, run: RunFile) -> Rows:
    base = _base(repository, run)
    return Rows(
        run=_run_row(plan, run, base),
        steps=tuple(
            _step_row(number, step, run, base)
            for number, step in enumerate(plan.plan.steps, start=1)
        ),
        calls=tuple(
            row
            for place, each in enumerate(run.records, start=1)
            for row in _calls(place, each.record, run, base)
        ),
    )


def newest_rows(*, repository: str, plan: PlanFile, run: RunFile) -> Rows | None:
    """Of a run's rows those that its last record changed; None where it may have changed any."""
    last = run.records[-1].record if run.records else None
    if last is None or last.kind not in {"step", "skip", "undo", "end"}:
        return None
    number = plan.index(last.step.id) if last.step else None
    if last.step and number is None:
        return None
    base = _base(repository, run)
    steps = () if number is None else (_step_row(number + 1, plan.plan.steps[number], run, base),)
    return Rows(
        run=_run_row(plan, run, base),
        steps=steps,
        calls=tuple(_calls(len(run.records), last, run, base)),
    )


def _base(repository: str, run: RunFile) -> Row:
    return {
        "project": repository,
        "run_id": row_id(repository, run.header.plan, run.header.run),
    }


def _run_row(plan: PlanFile, run: RunFile, base: Row) -> Row:
    header = run.header
    return {
        "id": base["run_id"],
        "project": base["project"],
        "plan": header.plan,
        "run_number": header.run,
        "plan_digest": plan.digest,
        "goal": plan.plan.goal,
        "workspace_path": workspace_path(header),
        "status": run_status(run, (step.id for step in plan.plan.steps)),
        "created_at": header.started_at,
        "completed_at": run.last_moment if run.ended else None,
        "total_cost": _money(run.cost),
        "unpriced_calls": run.cost.unpriced,
    }


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


def _step_row(number: int, step: Step, run: RunFile, base: Row) -> Row:
    """What was done before a fork has its output here too, but neither attempts nor cost."""
    about = run.index.about.get(step.id, ())
    cost = total(call for record in about for call in record.calls)
    attempts = [record for record in about if record.kind == "step"]
    last = attempts[-1] if attempts else run.latest(step.id)
    done = last if last and last.kind == "step" else None
    return {
        "id": row_id(str(base["project"]), run.header.plan, run.header.run, step.id),
        **base,
        "step_number": number,
        "step_id": step.id,
        "step_type": step.step_type,
        "status": run.status(step.id),
        "input": _json(step.input),
        "output": done.output.text if done and done.output else None,
        "cost": _money(cost),
        "unpriced_calls": cost.unpriced,
        "attempts": len(attempts),
        "executed_at": done.ended_at if done else None,
    }


def _calls(place: int, record: Record, run: RunFile, base: Row) -> Iterator[Row]:
    """Records count by their place in the chain: a file name could be anything."""
    plan, number = run.header.plan, run.header.run
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
