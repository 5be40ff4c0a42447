"""What is told on pull requests, as documents: a plan and how far it is approved, a run's results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.cli import formats, plan_text
from runner.cli.formats import Block, Document, Part, Table

if TYPE_CHECKING:
    from runner.core.errors import Problem, Reason
    from runner.verbs.cost import CostReport, CostRow
    from runner.verbs.pull_check import PlanAsked, PullReport
    from runner.verbs.pull_results import Results
    from runner.verbs.pull_run import Outcome
    from runner.verbs.queue_check import QueueReport
    from runner.verbs.show import StepView
    from runner.verbs.status import StepStatus

APPROVE = "to approve exactly this: Review changes, Approve, and as the first line"
COMMANDS = "/planlock run, cancel, status, cost, help: as the first line of a comment"
MOST_FINDINGS = 50


def pull(report: PullReport, outcome: Outcome | None = None, results: str = "") -> Document:
    """A pull request's plan, or what is wrong with its files; `results` is a run's address."""
    parts: list[Part] = [formats.labelled(_facts(report, outcome, results), pages=("results",))]
    if report.problems:
        parts.append(problems(report.problems))
    if report.plan is None:
        return Document(title=("planlock",), parts=formats.present(parts), sections=())
    return _with_plan(report.plan, parts)


def queue(report: QueueReport) -> Document:
    """What a merge queue's commit does to files."""
    parts: list[Part] = [formats.labelled([("state", report.title)])]
    if report.problems:
        parts.append(problems(report.problems))
    return Document(title=("planlock",), parts=formats.present(parts), sections=())


def _with_plan(asked: PlanAsked, parts: list[Part]) -> Document:
    """The plan as it is reviewed, its table of steps with how far each one is."""
    plan = formats.plan(asked.view)
    pairs = zip(asked.status.steps, asked.view.steps, strict=True)
    head = ("no", "step", "type", "status", "needs", "approved by", "risks")
    parts.append(Table(head=head, rows=tuple(_row(step, view) for step, view in pairs)))
    parts.append(formats.labelled(_missing(asked)))
    last = Block(label=APPROVE, text=asked.line, language="text")
    return replace(
        plan,
        parts=(
            *formats.present(parts),
            *(each for each in plan.parts if not isinstance(each, Table)),
        ),
        last=(last, formats.labelled([("commands", COMMANDS)])),
    )


def _facts(report: PullReport, outcome: Outcome | None, results: str) -> Iterator[tuple[str, str]]:
    yield "state", report.title
    if report.note and report.note != report.title:
        yield "note", report.note
    if results:
        yield "results", results
    if outcome is not None and outcome.message:
        yield "just now", outcome.message
    for reason in outcome.reasons if outcome is not None else ():
        yield "because", _reason(reason)
    if report.plan is not None:
        yield "money", report.plan.money
        for each in report.plan.seen.weighed.holds:
            yield "held", _reason(each)


def _reason(reason: Reason) -> str:
    return f"{reason.message}; {reason.fix}" if reason.fix else reason.message


def _row(step: StepStatus, view: StepView) -> tuple[str, ...]:
    who = ", ".join(step.approvers)
    labels = ", ".join(dict.fromkeys(plan_text.label(each) for each in view.risks))
    return str(step.number), step.id, step.step_type, step.status, step.needs, who, labels


def _missing(asked: PlanAsked) -> Iterator[tuple[str, str]]:
    for step in asked.status.steps:
        if step.status in {"waiting", "rejected", "failed", "interrupted"}:
            for reason in step.reasons:
                yield f"step {step.number}", f"{step.id}: {reason.message}"


def problems(found: tuple[Problem, ...]) -> Table:
    rows = [(each.file, str(each.line or ""), each.message, each.fix) for each in found]
    return Table(head=("file", "line", "what", "fix"), rows=tuple(rows))


def run_results(results: Results) -> Document:
    """A run for whoever merges it: what it did, what it cost, and what an audit says."""
    log = formats.log(results.story)
    steps = tuple((name, status) for name, status in results.report.steps.items())
    parts: list[Part] = [
        formats.labelled(_about(results), pages=("plan",)),
        Table(head=("step", "status"), rows=steps),
        _findings(results),
    ]
    return replace(log, parts=(*formats.present(parts), *log.parts))


def _about(results: Results) -> Iterator[tuple[str, str]]:
    found, plan = len(results.findings), results.plan_pull
    yield "plan", plan.url
    verdict = results.unaudited or (f"{found} findings" if found else "nothing found")
    yield "audit", verdict
    if results.report.stopped_at:
        yield "stopped at", results.report.stopped_at
    for reason in results.report.reasons:
        yield "because", _reason(reason)
    yield "merging", "a merge commit merges the plan, its approvals and records too"


def _findings(results: Results) -> Table:
    rows = [(each.code, each.where, each.message) for each in results.findings]
    return Table(head=("finding", "where", "what"), rows=tuple(rows[:MOST_FINDINGS]))


def costs(report: CostReport) -> Document:
    """What the model calls of a plan's runs cost, step by step."""
    rows = tuple(_cost_row(each) for each in (*report.rows, report.total))
    table = Table(head=("step", "calls", "tokens in", "tokens out", "USD"), rows=rows)
    return Document(title=("Cost",), parts=(table,), sections=())


def _cost_row(row: CostRow) -> tuple[str, ...]:
    money = "unknown" if row.usd is None else f"{row.usd:f}"
    return row.key, str(row.calls), str(row.input_tokens), str(row.output_tokens), money
