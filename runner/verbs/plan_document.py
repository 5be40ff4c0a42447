"""A model's plan as a document: its steps, what it rests on, what it cost; filled in like any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runner import schemas
from runner.core import validation
from runner.core.documents import Document, dump
from runner.core.errors import SchemaViolation
from runner.core.intent import Intents
from runner.core.model_call import Answer, Attempt, total_cost, total_usage
from runner.core.plan import Budget, Plan, PlanFile
from runner.core.values import usd
from runner.project import Authority, Project
from runner.verbs import evidence, propose
from runner.verbs.planning import Wish

LONGEST_ASSUMPTION = 500
MOST_ASSUMPTIONS = 100


@dataclass(frozen=True, kw_only=True)
class Job:
    """One planning: `old` is the plan that the wish changes, `seen` its file's object id."""

    project: Project
    name: str
    wish: Wish
    authority: Authority
    base: str
    seen: str
    old: Plan | None = None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the answers of a plan cost when they were given, and whether that was now."""

    model: str
    request: str
    input_tokens: int
    output_tokens: int
    usd: str | None
    cached: bool


def value(
    job: Job, steps: Sequence[dict[str, Any]], intents: Intents, spent: Spent
) -> dict[str, Any]:
    """The plan as it is written down, without author and pins."""
    old = job.old
    assumptions = [*(old.assumptions if old else ()), *intents.assumptions]
    if job.wish.change:
        assumptions.append(
            f"Asked on revision: {' '.join(job.wish.change.split())}"[:LONGEST_ASSUMPTION]
        )
    planner: dict[str, Any] = {
        "model": spent.model,
        "request": spent.request,
        "tokens": {"input": spent.input_tokens, "output": spent.output_tokens},
    }
    if spent.usd is not None:
        planner["cost_usd"] = spent.usd
    if job.wish.prompter:
        planner["prompter"] = job.wish.prompter
    made: dict[str, Any] = {"version": 1, "id": job.name, "goal": job.wish.goal, "base": job.base}
    if old is not None and old.author is not None:
        made["author"] = old.author
    elif job.wish.author:
        made["author"] = job.wish.author
    made["planner"] = _with_before(planner, old)
    if old is not None and old.budget != Budget():
        made["budget"] = old.budget.model_dump(exclude_none=True)
    made["assumptions"] = list(dict.fromkeys(assumptions))[:MOST_ASSUMPTIONS]
    made["questions"] = list(intents.questions)
    return {**made, "steps": list(steps)}


def _with_before(planner: dict[str, Any], old: Plan | None) -> dict[str, Any]:
    """Add what the versions before have cost: a plan's price is that of all its versions."""
    if old is None or old.planner is None:
        return planner
    before = old.planner
    tokens = planner["tokens"]
    summed = {
        **planner,
        "tokens": {
            "input": tokens["input"] + before.tokens.input,
            "output": tokens["output"] + before.tokens.output,
        },
    }
    if before.cost_usd is None:
        summed.pop("cost_usd", None)
    elif "cost_usd" in planner:
        summed["cost_usd"] = usd(Decimal(planner["cost_usd"]) + Decimal(before.cost_usd))
    return summed


def filled(job: Job, made: dict[str, Any]) -> tuple[str, PlanFile, Document]:
    """Fill in author and pins; the planner's answer passes what a stranger's file passes."""
    name, schema = evidence.plan_path(job.name), schemas.load("plan")
    draft, file = validation.read_plan(_dumped(made), file=name, schema=schema)
    text, _ = propose.fill(job.project, draft, file, authority=job.authority, refresh=False)
    document, whole = validation.read_plan(text.encode(), file=name, schema=schema)
    return text, whole, document


def _dumped(value: dict[str, Any]) -> bytes:
    try:
        return dump(value)
    except (ValueError, TypeError) as error:
        raise SchemaViolation(
            f"writing the plan: the model's text cannot stand in a plan: {error}",
            hint="try again with --live, or another --model",
        ) from error


def spent_on(answers: Sequence[Answer]) -> Spent:
    """Sum up; of stored answers what they cost when they were given, so that plans are equal."""
    attempts: list[Attempt] = []
    for each in answers:
        origin = each.cache.origin
        attempts += each.attempts or (origin.attempts if origin else [])
    usage, cost, first = total_usage(attempts), total_cost(attempts), answers[0]
    return Spent(
        model=f"{first.route.provider}/{first.route.response_model}",
        request=first.cache.key,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=cost.amount,
        cached=not any(each.attempts for each in answers),
    )
