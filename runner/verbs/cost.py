"""What runs cost, as their model calls in the ledger add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from runner.core.budget import NOTHING
from runner.core.cost import Call, total
from runner.core.errors import LedgerError, NotFound, UsageError
from runner.ledger.projection import known_usd
from runner.ledger.reservations import outside_of_runs
from runner.ledger.store import Ledger
from runner.project import Project
from runner.verbs import evidence, ledger_sync

Grouping = Literal["step", "model", "day", "project"]
Key = Callable[[Mapping[str, Any]], str]

KEYS: Mapping[Grouping | None, Key] = {
    None: lambda row: f"{row['plan']}/{row['run_number']}",
    "step": lambda row: f"{row['plan']}/{row['run_number']}/{row['step_id'] or '-'}",
    "model": lambda row: row["gen_ai_request_model"],
    "day": lambda row: row["day"],
    "project": lambda row: row["project"],
}
IN_RUN_ORDER = (None, "step")


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """`usd` is the sum of what has a price; None where no call has one.

    Cached and reasoning tokens are part of the others. `saved` is what the answers had cost that
    came from the store. `statuses` counts the calls by how their cost is known.
    """

    key: str
    calls: int
    input_tokens: int
    cached_tokens: int = 0
    output_tokens: int
    reasoning_tokens: int = 0
    usd: Decimal | None
    unpriced: int
    saved: Decimal = Decimal(0)
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlanningCost:
    """What writing the plan cost, as the plan tells; no part of any run."""

    model: str
    input_tokens: int
    output_tokens: int
    usd: Decimal | None


@dataclass(frozen=True, kw_only=True)
class OutsideCost:
    """What questions outside of runs cost here, plannings that failed included.

    Tokens in and out together. Git does not have these: another ledger, or a lost one, knows less.
    """

    calls: int
    tokens: int
    usd: Decimal
    unpriced: int


@dataclass(frozen=True, kw_only=True)
class CostReport:
    rows: tuple[CostRow, ...]
    total: CostRow
    planning: PlanningCost | None = None
    outside: OutsideCost | None = None


def of_project(
    project: Project,
    *,
    plan: str | None = None,
    run: int | None = None,
    by: Grouping | None = None,
) -> CostReport:
    """Sum up as `report` does, after catching up; of a plan, with what writing it cost."""
    ledger_sync.catch_up(project)
    planning = _planning(project, plan) if plan is not None and run is None else None
    if planning is not None and not project.ledger.has_run(plan or ""):
        return CostReport(rows=(), total=_row("total", ()), planning=planning)
    outside = _outside(project.ledger) if plan is None else None
    made = report(project.ledger, plan=plan, run=run, by=by)
    return replace(made, planning=planning, outside=outside)


def _outside(ledger: Ledger) -> OutsideCost | None:
    every = [each.counts for each in outside_of_runs(ledger)]
    if not every:
        return None
    whole = sum(every, NOTHING)
    return OutsideCost(
        calls=len(every), tokens=whole.tokens, usd=whole.usd, unpriced=whole.unpriced
    )


def _planning(project: Project, plan: str) -> PlanningCost | None:
    try:
        planner = evidence.find_plan(project, plan).file.plan.planner
    except NotFound:
        return None
    if planner is None:
        return None
    return PlanningCost(
        model=planner.model,
        input_tokens=planner.tokens.input,
        output_tokens=planner.tokens.output,
        usd=None if planner.cost_usd is None else Decimal(planner.cost_usd),
    )


def report(
    ledger: Ledger, *, plan: str | None = None, run: int | None = None, by: Grouping | None = None
) -> CostReport:
    """Sum the calls by run, or by what is asked for; by project means all that the ledger knows.

    Raises NotFound for a plan or run that the ledger does not know.
    """
    _check_exists(ledger, plan, run)
    groups: dict[str, list[Call]] = {}
    for row in ledger.calls(plan=plan, run=run, all_projects=by == "project" and plan is None):
        groups.setdefault(KEYS[by](row), []).append(_call(row))
    keys = list(groups) if by in IN_RUN_ORDER else sorted(groups)
    return CostReport(
        rows=tuple(_row(key, groups[key]) for key in keys),
        total=_row("total", [call for key in keys for call in groups[key]]),
    )


def _check_exists(ledger: Ledger, plan: str | None, run: int | None) -> None:
    if plan is None and run is not None:
        raise UsageError("a run number needs its plan", hint=f"planlock cost PLAN/{run}")
    if plan is not None and not ledger.has_run(plan, run):
        wanted = f"plan {plan} has no run" if run is None else f"there is no run {plan}/{run}"
        raise NotFound(f"summing costs: {wanted} in the ledger", hint=f"planlock log {plan}")


def _call(row: Mapping[str, Any]) -> Call:
    try:
        return Call(
            provider=row["gen_ai_provider_name"],
            model=row["gen_ai_request_model"],
            status=row["status"],
            input_tokens=row["gen_ai_usage_input_tokens"],
            output_tokens=row["gen_ai_usage_output_tokens"],
            cache_read_input_tokens=row["gen_ai_usage_cache_read_input_tokens"],
            reasoning_output_tokens=row["gen_ai_usage_reasoning_output_tokens"],
            cost_usd=row["cost_usd"],
            cost_status=row["cost_status"],
            saved_usd=row["saved_usd"],
            file=row["file"],
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise LedgerError(
            f"summing costs: model call {row['id']}: {first['loc'][0]}: {first['msg']}",
            hint="planlock ledger check",
        ) from error


def _row(key: str, calls: Sequence[Call]) -> CostRow:
    cost = total(calls)
    return CostRow(
        key=key,
        calls=cost.calls,
        input_tokens=cost.input_tokens,
        cached_tokens=cost.cached_tokens,
        output_tokens=cost.output_tokens,
        reasoning_tokens=cost.reasoning_tokens,
        usd=known_usd(cost),
        unpriced=cost.unpriced,
        saved=cost.saved,
        statuses=dict(sorted(Counter(call.cost_status for call in calls).items())),
    )
