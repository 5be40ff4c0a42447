"""`pause` and `cancel`, from any terminal or machine."""

from __future__ import annotations

import click

from runner.cli import options, render
from runner.cli.running import Progress

NOT_YET = 5
patience = click.option(
    "--wait",
    "patience_s",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the runner has obeyed.",
)


@click.command()
@click.argument("run")
@options.reason
@patience
@options.as_json
def pause(*, run: str, reason: str, patience_s: float, as_json: bool) -> None:
    """Let RUN (`PLAN/N`, or PLAN for its newest) stop before its next step.

    It stays paused until somebody resumes it.
    """
    from runner.verbs import pause as verb

    with options.project() as project:
        done = verb.pause(project, run, reason=reason, patience_s=patience_s)
    if as_json:
        render.as_json(done)
        return
    name = f"{done.plan}/{done.run}"
    state = "is paused" if done.is_paused else "is still busy with a step, and pauses after it"
    click.echo(f"run {name} {state}; planlock resume {name} goes on")


@click.command()
@click.argument("run")
@options.reason
@patience
@options.as_json
@click.pass_context
def cancel(ctx: click.Context, *, run: str, reason: str, patience_s: float, as_json: bool) -> None:
    """End RUN (`PLAN/N`, or PLAN for its newest) now, and the command that it is running.

    What it has recorded stays; planlock rollback takes its changes back.
    """
    from runner.verbs import cancel as verb

    with options.project() as project:
        done = verb.cancel(project, run, Progress(), reason=reason, patience_s=patience_s)
    if as_json:
        render.as_json(done)
    elif done.is_over:
        click.echo(f"run {done.plan}/{done.run} is cancelled")
    else:
        click.echo(f"run {done.plan}/{done.run} is not over yet; its runner ends it when it looks")
    ctx.exit(0 if done.is_over else NOT_YET)
