"""`cost`, `ledger`, `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from runner.cli import options, render
from runner.core.inert import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.core.policy_diff import Difference
    from runner.verbs.authority_changes import AuthorityChange
    from runner.verbs.cost import CostReport, CostRow, Grouping

MOST_LINES = 12


@click.command()
@click.argument("name", required=False, metavar="[PLAN|RUN]")
@click.option("--by", type=click.Choice(["step", "model", "day", "project"]), help="Group by.")
@options.as_json
def cost(*, name: str | None, by: str | None, as_json: bool) -> None:
    """Sum up what model calls cost: of a PLAN, a RUN (`PLAN/N`), or everything."""
    from runner.verbs import cost as verb

    plan, _, number = (name or "").partition("/")
    if number and not number.isdigit():
        raise click.UsageError(f"{name!r} is neither PLAN nor PLAN/N")
    with options.project() as project:
        report = verb.of_project(
            project,
            plan=plan or None,
            run=int(number) if number else None,
            by=cast("Grouping | None", by),
        )
    if as_json:
        render.as_json(report)
    else:
        _show_cost(report, by or "run")


def _show_cost(report: CostReport, title: str) -> None:
    head = [title, "calls", "tokens in", "cached", "tokens out", "reasoning", "USD", "unpriced"]
    rows = [head, *map(_cost_cells, report.rows), _cost_cells(report.total)]
    click.echo(render.table(rows, right=tuple(range(1, len(head)))))
    if report.total.statuses:
        counts = ", ".join(f"{count} {name}" for name, count in report.total.statuses.items())
        click.echo(f"cost of the calls: {counts}")
    if report.total.saved:
        click.echo(f"stored answers saved {report.total.saved:f} USD")
    if (outside := report.outside) is not None:
        unpriced = f", {outside.unpriced} unpriced" if outside.unpriced else ""
        click.echo(
            f"planning: {outside.calls} calls, {outside.tokens} tokens,"
            f" {outside.usd:f} USD{unpriced} (not part of the sum)"
        )
    if (planning := report.planning) is not None:
        money = "unknown" if planning.usd is None else f"{planning.usd:f}"
        click.echo(
            f"planning: {one_line(planning.model)}, {planning.input_tokens} tokens in,"
            f" {planning.output_tokens} out, {money} USD (not part of the sum)"
        )


def _cost_cells(row: CostRow) -> list[str]:
    money = "unknown" if row.usd is None else f"{row.usd:f}"
    tokens = [row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens]
    return [one_line(row.key), str(row.calls), *map(str, tokens), money, str(row.unpriced)]


@click.group()
def ledger() -> None:
    """Rebuild or check the database against git."""


@ledger.command()
@options.as_json
def rebuild(*, as_json: bool) -> None:
    """Drop every row that git can bring back, and bring it back."""
    from runner.verbs import ledger_sync

    with options.project() as project:
        done = ledger_sync.rebuild(project)
    if as_json:
        render.as_json(done)
        return
    click.echo(
        f"rebuilt {done.runs} run(s), {done.steps} step(s), "
        f"{done.approvals} approval(s), {done.model_calls} model call(s)"
    )


@ledger.command()
@options.as_json
@click.pass_context
def check(ctx: click.Context, *, as_json: bool) -> None:
    """Compare every row with git; exit 1 on any difference."""
    from runner.verbs import ledger_sync

    with options.project() as project:
        ledger_sync.catch_up(project)
        found = ledger_sync.check(project)
    if as_json:
        render.as_json(found)
    else:
        for each in found.differences:
            what = one_line(f"{each.table} {each.id} {each.column}")
            click.echo(f"{what}: ledger has {each.stored!r}, git says {each.expected!r}")
        counts = ", ".join(f"{count} {table}" for table, count in found.rows.items())
        click.echo("equal: " + counts if not found.differences else "not equal: " + counts)
    ctx.exit(1 if found.differences else 0)


@click.command()
@options.as_json
@click.pass_context
def audit(ctx: click.Context, *, as_json: bool) -> None:
    """Re-decide every executed step from git, offline; exit 1 on any finding."""
    from runner.verbs import audit as verb

    with options.project() as project:
        report = verb.audit(project)
    if as_json:
        render.as_json(report)
    else:
        for finding in report.findings:
            label = click.style(finding.code, fg="red", bold=True)
            click.echo(f"{label}  {one_line(finding.where)}: {render.below(finding.message)}")
        _show_authority(report.authority_changes)
        for note in report.notes:
            click.echo(render.dim(f"note  {render.below(note)}"))
        verdict = f"{len(report.findings)} finding(s)" if report.findings else "clean"
        click.echo(
            f"{render.bold(verdict)}: {report.runs} run(s), {report.steps} step record(s), "
            f"{report.approvals} approval record(s), "
            f"trusted {one_line(report.trusted)} {one_line(report.trusted_as)}".rstrip()
        )
    ctx.exit(1 if report.findings else 0)


def _show_authority(changes: Sequence[AuthorityChange]) -> None:
    click.echo(f"{render.bold('Policy and keys')}, newest change first")
    for change in changes:
        who = one_line(change.account)
        who = click.style(who, fg="red", bold=True) if change.doubtful else who
        click.echo(f"{change.commit[:12]}  {change.date or 'no date':20}  {who}")
        for each in change.merged[:MOST_LINES]:
            how = one_line(f"{each.signature}, {each.revoked}".removesuffix(", "))
            click.echo(f"    merged   {each.commit[:12]}, {how}")
        _more(len(change.merged) - MOST_LINES)
        # what loosens comes first: nothing harmless may push it out of sight
        _show_changes(sorted(change.changes, key=lambda each: not each.loosens))


def _show_changes(changes: Sequence[Difference]) -> None:
    for what in changes[:MOST_LINES]:
        label = click.style("loosens", fg="yellow") if what.loosens else " " * 7
        click.echo(f"    {label}  {one_line(what.what)}")
    loosening = sum(1 for what in changes[MOST_LINES:] if what.loosens)
    _more(len(changes) - MOST_LINES, f", {loosening} of which loosen" if loosening else "")


def _more(count: int, what: str = "") -> None:
    if count > 0:
        click.echo(f"    … {count} more{what} (--json has all)")
