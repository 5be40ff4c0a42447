"""`replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.inert import one_line

if TYPE_CHECKING:
    from runner.verbs.events import Event
    from runner.verbs.replay import ReplayedStep, ReplayReport
    from runner.verbs.replay_compare import Difference

DIFFERS = 1
MARKS = {"same": "completed", "output_differs": "skipped", "differs": "failed"}
VERDICTS = {
    "same": "the same files, and every output",
    "outputs_differ": "the same files; outputs differ",
    "differs": "not what was recorded",
}


@click.command()
@click.argument("run")
@click.option("--network", is_flag=True, help="Also do commands again that had a network.")
@options.as_json
@click.pass_context
def replay(ctx: click.Context, *, run: str, network: bool, as_json: bool) -> None:
    """Do RUN (`PLAN/N`, or PLAN for its newest) again in a scratch workspace, and compare.

    Asks no model: answers come from the run's branch. Nothing is written to the repository.
    Exit code 1 where files, status or exit code of a step differ; an output that differs while
    all files are the same is told, and is no difference.
    """
    from runner.verbs import replay as verb

    with options.project() as project:
        report = verb.replay(project, run, _silent, network=network)
    if as_json:
        render.as_json(report)
    else:
        _show(report)
    ctx.exit(DIFFERS if report.difference else 0)


def _silent(event: Event) -> None:
    """What a replayed command says is compared, not shown."""


def _show(report: ReplayReport) -> None:
    for step in report.steps:
        click.echo(_line(step))
    if report.difference:
        _show_difference(report.difference)
    left = sum(1 for each in report.steps if each.result == "not_replayed")
    more = f"; {left} of {len(report.steps)} not done again" if left else ""
    verdict = render.bold(VERDICTS[report.verdict])
    click.echo(f"replay of {report.plan}/{report.run} at {report.tip[:12]}: {verdict}{more}")


def _line(step: ReplayedStep) -> str:
    mark = render.mark(MARKS.get(step.result, "pending"))
    why = f": {one_line(step.why)}" if step.why else ""
    words = step.result.replace("_", " ")
    return f"{mark} {step.record.removesuffix('.yaml')}  {one_line(step.step_type)}  {words}{why}"


def _show_difference(found: Difference) -> None:
    where = f" {one_line(found.path)}" if found.path else ""
    click.echo(f"first difference: {found.record} {found.what}{where}")
    click.echo(f"  recorded  {one_line(found.recorded)}")
    click.echo(f"  replayed  {one_line(found.replayed)}")
    for line in found.diff.splitlines():
        click.echo(f"    {one_line(line)}")
