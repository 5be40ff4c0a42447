"""`rollback`: what it would do, whether to, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.cli.interrupts import OF_A_ROLLBACK, Interrupts
from runner.cli.running import INTERRUPTED_CODE, Progress
from runner.core import inert

if TYPE_CHECKING:
    from runner.verbs.rollback import RollbackReport
    from runner.verbs.rollback_outlook import Outlook, StepBack

EXIT_CODES = {"rolled_back": 0, "awaiting_approval": 4, "paused": 4, "failed": 5}
WORDS = {
    "done": "undone",
    "none": "no undo command: its effects outside the repository stay",
    "left": "not undone, as asked: its effects outside the repository stay",
    "not_needed": "nothing to undo outside the repository",
    "due": "not undone yet",
}
MOST_PATHS = 20


@click.command()
@click.argument("run")
@click.option("--to", default="", metavar="STEP", help="Back to before this step; else the first.")
@click.option(
    "--skip-undo", multiple=True, metavar="STEP", help="Leave out this step's undo command."
)
@click.option("--retry", is_flag=True, help="Repeat an undo command that failed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@options.as_json
@click.pass_context
def rollback(  # noqa: PLR0913  # one parameter per option
    ctx: click.Context,
    *,
    run: str,
    to: str,
    skip_undo: tuple[str, ...],
    retry: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take back what RUN (`PLAN/N`, or PLAN for its newest) did, and end it.

    Runs the approved undo commands, newest step first, then restores the files in one commit on
    the run's branch; nothing is rewritten. Of a merged run it also makes the branch
    rollback/PLAN-N, ready for a pull request. Says first what cannot be undone.
    """
    from runner.verbs import rollback as verb
    from runner.verbs.rollback_outlook import look

    with options.project() as project:
        outlook = look(project, run, to)
        if dry_run:
            _tell(outlook, as_json=as_json)
            return
        if not yes:
            _confirm(ctx, outlook, as_json=as_json)
        elif not as_json:
            _talk(outlook)
        with Interrupts(Progress(), OF_A_ROLLBACK) as interrupts:
            wanted = verb.Options(skip_undo=frozenset(skip_undo), retry=retry, here=interrupts.wish)
            report = verb.rollback(project, outlook, wanted, interrupts)
    if as_json:
        render.as_json(report)
    else:
        _show(report)
    ctx.exit(INTERRUPTED_CODE if interrupts.wish() else EXIT_CODES[report.status])


def _confirm(ctx: click.Context, outlook: Outlook, *, as_json: bool) -> None:
    """Ask whoever sits at a terminal; nobody else can have read what is to be lost."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("without a terminal nobody can be asked: give --yes, or --dry-run")
    _talk(outlook)
    if not click.confirm(f"Roll {outlook.name} back?", err=True):
        render.talk("nothing was done")
        ctx.exit(0)


def _talk(outlook: Outlook) -> None:
    for line in _lines(outlook):
        render.talk(line)


def _tell(outlook: Outlook, *, as_json: bool) -> None:
    if as_json:
        render.as_json(outlook)
        return
    for line in _lines(outlook):
        click.echo(line)


def _lines(outlook: Outlook) -> Iterator[str]:
    """What is undone and what is not, then the files."""
    where = f"step {outlook.number} {outlook.step}"
    yield render.bold(f"run {outlook.name}: back to before {inert.one_line(where)}")
    for step in outlook.steps:
        yield f"{render.mark(step.status)} {step.number} {step.id}  {step.step_type} {step.status}"
        yield from _effects(step)
    yield from _paths("files restored to what they were before", outlook.restored)
    if outlook.proposed:
        yield render.wrapped(f"merged: branch {outlook.proposed} takes the changes back", first=2)
    yield from _paths("CHANGED SINCE on the trusted branch, so it is refused", outlook.conflicts)


def _effects(step: StepBack) -> Iterator[str]:
    if step.undo == "due":
        given = f"; may contact {', '.join(step.hosts)}" if step.hosts else ""
        given += f"; gets secrets {', '.join(step.secrets)}" if step.secrets else ""
        yield f"    runs: {inert.terminal(step.command)}{given}"
        if step.last_undo:
            yield f"    its last attempt {step.last_undo}: --retry repeats it, --skip-undo leaves it"
    if step.note:
        yield render.wrapped(inert.one_line(step.note))


def _paths(title: str, paths: tuple[str, ...]) -> Iterator[str]:
    if paths:
        more = [f"… {len(paths) - MOST_PATHS} more"] if len(paths) > MOST_PATHS else []
        yield f"  {title} ({len(paths)}):"
        yield from (f"    {inert.one_line(path)}" for path in (*paths[:MOST_PATHS], *more))


def _show(report: RollbackReport) -> None:
    state = report.status.replace("_", " ")
    click.echo(f"run {report.plan}/{report.run} {render.bold(state)}  {report.branch}")
    for name, undo in report.steps.items():
        click.echo(f"  {name}  {WORDS[undo]}")
    if report.status == "rolled_back":
        click.echo(f"  {len(report.restored)} file(s) are as before {report.step}")
    if report.proposed:
        click.echo(f"  branch {report.proposed} takes the changes back: open a pull request")
    for reason in report.reasons:
        click.echo(render.reason_text(reason))
