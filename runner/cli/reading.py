"""`show`, `diff`, `status`, `log`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.inert import LIMIT, one_line, terminal
from runner.core.text import visible

if TYPE_CHECKING:
    from runner.cli.formats import Document
    from runner.verbs.log import Entry, RunStory
    from runner.verbs.show import PlanView
    from runner.verbs.status import PlanStatus, StepStatus

OUTPUT_LINES = 12
OUTPUT_LINE = 2000


@click.command()
@click.argument("plan")
@options.style
@options.as_json
def show(*, plan: str, style: str | None, as_json: bool) -> None:
    """Render PLAN for review: an id means its branch, a path the file as it is."""
    from runner.verbs import show as verb

    wanted = options.chosen(style, as_json=as_json)
    with options.project() as project:
        view = verb.show(project, plan)
    if wanted == "json":
        render.as_json(view)
    elif wanted == "text":
        show_plan(view)
    else:
        from runner.cli import formats

        _write(formats.plan(view), wanted)


def _write(document: Document, wanted: str) -> None:
    """Print a document as `markdown`, `html` or `actions`."""
    from importlib import import_module

    import_module(f"runner.cli.formats_{wanted}").write(document)


def show_plan(view: PlanView) -> None:
    """Print a plan as a reviewer reads it."""
    from runner.cli import plan_text

    lines = [*plan_text.header(view), *plan_text.notes(view)]
    for step in view.steps:
        lines += ["", *plan_text.step(step, len(view.steps)), plan_text.digest(step)]
    if view.commit:
        lines += ["", "To approve exactly this:"]
        lines.append(f"  planlock approve {view.id} --digest {view.digest}")
    click.echo("\n".join(lines))


@click.command()
@click.argument("plan")
@click.option("--by", default="", metavar="NAME", help="Since NAME's last approval, not yours.")
@click.option(
    "--since",
    default="",
    type=options.digest_type,
    help="Since the version with this digest, or one that begins so.",
)
@options.as_json
def diff(*, plan: str, by: str, since: str, as_json: bool) -> None:
    """Show what changed in PLAN since your last approval of it."""
    from runner.verbs import diff as verb

    if by and since:
        raise click.UsageError("--by and --since exclude each other: name one of them")
    with options.project() as project:
        found = verb.diff(project, plan, by=by, since=options.full_digest(since))
    if as_json:
        render.as_json(found)
        return
    from runner.cli import diff_text

    click.echo("\n".join(diff_text.lines(found)))


@click.command()
@click.argument("plan", required=False)
@click.option("--watch", is_flag=True, help="Without PLAN: again whenever something changes.")
@click.option(
    "--in",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    metavar="FOLDER",
    help="Without PLAN: the runs of this repository; may be given again.",
)
@options.as_json
def status(*, plan: str | None, watch: bool, folders: tuple[Path, ...], as_json: bool) -> None:
    """For each step of PLAN: what happened, or what is missing and what would fix it.

    Without PLAN, all runs that are open, and how each plan's newest one ended.
    """
    if plan is None:
        from runner.cli import watching

        watching.show(folders, watch=watch, as_json=as_json)
        return
    if watch or folders:
        raise click.UsageError("--watch and --in are for all runs: leave PLAN out")
    from runner.verbs import status as verb

    with options.project() as project:
        found = verb.status(project, plan)
    if as_json:
        render.as_json(found)
    else:
        _show_status(found)


def _show_status(found: PlanStatus) -> None:
    click.echo(
        render.bold(render.wrapped(f"{found.plan}: {terminal(found.goal)}", first=0, rest=2))
    )
    run = f"run {found.run} {found.run_status}" if found.run else "never run"
    if found.holder:
        run += f", held by {one_line(found.holder.name)} since {found.holder.since}"
    click.echo(f"  author {found.author or '-'}, {run}")
    click.echo(f"  plan at {found.commit[:12]}, trusted {one_line(found.trusted)}")
    if found.amended:
        click.echo(render.wrapped(found.amended))
    for reason in found.reasons:
        click.echo(render.reason_text(reason, "  "))
    for step in found.steps:
        _show_step_status(step)


def _show_step_status(step: StepStatus) -> None:
    by = f" (approved by {', '.join(step.approvers)})" if step.approvers else ""
    click.echo(f"{render.mark(step.status)} {step.number} {step.id}  {step.status}{by}")
    if step.status == "waiting":
        click.echo(render.dim(render.wrapped(f"needs {terminal(step.needs)}", rest=6)))
    for reason in step.reasons:
        click.echo(render.reason_text(reason, "    "))


@click.command()
@click.argument("run")
@click.option("--full", is_flag=True, help="Whole outputs, not only their beginning.")
@options.style
@options.as_json
def log(*, run: str, full: bool, style: str | None, as_json: bool) -> None:
    """Tell the story of RUN (`PLAN/N`, or `PLAN` for its newest run), from git alone."""
    from runner.verbs import log as verb

    wanted = options.chosen(style, as_json=as_json)
    with options.project() as project:
        story = verb.log(project, run)
    if wanted == "json":
        render.as_json(story)
    elif wanted == "text":
        _show_log(story, full=full)
    else:
        from runner.cli import formats

        _write(formats.log(story), wanted)


def _show_log(story: RunStory, *, full: bool) -> None:
    click.echo(render.bold(f"run {story.plan}/{story.run}: {story.status}"))
    click.echo(f"  {render.below(story.goal)}")
    click.echo(f"  started {story.started_at} by {story.runner}, trusted {one_line(story.trusted)}")
    click.echo(f"  plan {story.plan_digest}")
    if story.forked:
        click.echo(f"  goes on from {story.forked}")
    for entry in story.entries:
        _show_entry(entry, full=full)
    unpriced = f" ({story.unpriced_calls} calls unpriced)" if story.unpriced_calls else ""
    click.echo(f"cost {story.cost_usd} USD{unpriced}")


def _show_entry(entry: Entry, *, full: bool) -> None:
    from runner.cli import formats

    name, kind = one_line(entry.step or entry.kind), one_line(entry.step_type)
    attempt = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
    click.echo(f"{render.mark(entry.status)} {name}  {kind}  {entry.status}{attempt}")
    click.echo(render.dim(f"    {entry.commit[:12]} {entry.started_at} to {entry.ended_at}"))
    limit = sys.maxsize if full else LIMIT
    for label, value in formats.entry_facts(entry):
        if value:
            click.echo(f"    {label}: {render.below(value, limit=limit)}")
    _show_output(entry.output, full=full)


def _show_output(output: str, *, full: bool) -> None:
    lines = visible(output).rstrip().split("\n") if output.strip() else []
    shown = lines if full else [terminal(line, limit=OUTPUT_LINE) for line in lines[:OUTPUT_LINES]]
    for line in shown:
        click.echo(f"    | {line}")
    if len(lines) > len(shown):
        click.echo(f"    | … {len(lines) - len(shown)} more lines (--full)")
