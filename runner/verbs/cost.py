"""What runs cost, as their model calls in the ledger add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from runner.core.cost import Call, Total, total
from runner.core.errors import LedgerError, NotFound, UsageError
from runner.ledger.projection import known_usd
from runner.ledger.store import Ledger

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
    """`usd` is the sum of what has a price; None where no call has one."""

    key: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    unpriced: int


@dataclass(frozen=True, kw_only=True)
class CostReport:
    rows: tuple[CostRow, ...]
    total: CostRow


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
    totals = {key: total(groups[key]) for key in keys}
    return CostReport(
        rows=tuple(_row(key, cost) for key, cost in totals.items()),
        total=_row("total", sum(totals.values(), Total())),
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
            cost_usd=row["cost_usd"],
            cost_status=row["cost_status"],
            file=row["file"],
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise LedgerError(
            f"summing costs: model call {row['id']}: {first['loc'][0]}: {first['msg']}",
            hint="planlock ledger check",
        ) from error


def _row(key: str, cost: Total) -> CostRow:
    return CostRow(
        key=key,
        calls=cost.calls,
        input_tokens=cost.input_tokens,
        output_tokens=cost.output_tokens,
        usd=known_usd(cost),
        unpriced=cost.unpriced,
    )
