"""`github`: pull requests as the desk where plans are approved, run and answered."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options, render, streams
from runner.core.errors import ForgeDenied, NotFound, UsageError
from runner.core.inert import actions_data, actions_field

if TYPE_CHECKING:
    from runner.cli.formats import Document
    from runner.project import Project
    from runner.verbs.pull_check import PullReport
    from runner.verbs.pull_run import Outcome
    from runner.verbs.pull_woken import Woken
    from runner.verbs.queue_check import QueueReport

SUMMARY = "GITHUB_STEP_SUMMARY"
# A step's summary may have 1 MiB.
MOST_SUMMARY = 900_000
FAILED = 5
EXIT_OF_RUN = {"failed": FAILED, "cancelled": FAILED, "rolled_back": FAILED}
_number = click.option(
    "--pull-request", "number", type=click.IntRange(min=1), help="Else what woke the workflow."
)


@click.group()
def github() -> None:
    """Work on pull requests of GitHub, from a workflow or by hand.

    In a workflow everything is read from the environment and the event's file; of that file
    nothing is believed, it only tells where to look.
    """


@github.command()
@_number
@options.as_json
@click.pass_context
def check(ctx: click.Context, *, number: int | None, as_json: bool) -> None:
    """Check what a pull request does to plans/; tell it in one comment and a check run.

    Exits with 1 where a file is not valid. Of a fork's pull request the files are checked, and
    nothing else is done. Of a merge queue's commit the files are checked too.
    """
    from runner.verbs import pull_check, pull_woken

    with options.project() as project:
        told = pull_woken.hints(pull_woken.event(os.environ))
        number = number or told.number
        report: PullReport | QueueReport
        if number is not None:
            report = pull_check.check(project, project.forge, number)
            _tell(project, report)
        elif told.queued:
            report = _check_queued(project, told.queued)
        else:
            raise UsageError("checking a pull request: none is named", hint="--pull-request N")
    if as_json:
        render.as_json({**render.plain(report), "conclusion": report.conclusion})
    ctx.exit(1 if report.problems else 0)


@github.command()
@_number
@click.option("--plan", "plan", default="", metavar="ID", help="The pull request of this plan.")
@click.option("--retry", "word", flag_value="run --retry", help="Do the failed step again.")
@click.option("--new", "word", flag_value="run --new", help="Start another run.")
@click.option("--cancel", "word", flag_value="cancel", help="End the run.")
@click.pass_context
def execute(ctx: click.Context, *, number: int | None, plan: str, word: str | None) -> None:
    """Run what is approved on a pull request, as far as that goes; tell there what happened.

    Everything is read anew. Exits with 0 where approvals are missing: to wait is no failure.
    """
    from runner.verbs import pull_woken
    from runner.verbs.pull_woken import Hints

    with options.project() as project:
        told = pull_woken.hints(pull_woken.event(os.environ))
        where = Hints(number=number, plan=plan) if number or plan else told
        woken = pull_woken.find(project, project.forge, where)
        if woken is None:
            render.talk("nothing to do")
            return
        outcome = _obey(project, pull_woken.with_word(woken, word))
        if outcome is not None:
            _tell_outcome(project, woken, outcome)
    status = outcome.report.status if outcome and outcome.report else ""
    ctx.exit(FAILED if outcome and outcome.failed else EXIT_OF_RUN.get(status, 0))


@github.command("open")
@click.argument("plan")
def open_(*, plan: str) -> None:
    """Open the pull request of PLAN, whose branch has been pushed."""
    from runner.verbs import pull_open

    with options.project() as project:
        pull = pull_open.open_pull(project, project.forge, plan)
    click.echo(f"pull request {pull.number}  {pull.url}")


@github.command()
@click.option("--issue", "number", type=click.IntRange(min=1), help="Else what woke the workflow.")
def propose(*, number: int | None) -> None:
    """Plan what an issue with the label `planlock` asks for, and open the pull request."""
    from runner.cli.planning import Lines
    from runner.verbs import issue_plan, pull_check, pull_woken

    with options.project() as project:
        number = number or pull_woken.hints(pull_woken.event(os.environ)).number
        if number is None:
            raise UsageError("planning for an issue: none is named", hint="--issue N")
        pull = issue_plan.propose(project, project.forge, number, Lines(quiet=False))
        if pull is not None:
            # what a workflow's own token opens wakes no other workflow
            _tell(project, pull_check.check(project, project.forge, pull.number))
    click.echo(f"pull request {pull.number}  {pull.url}" if pull else "nothing is asked for")


@github.command()
@click.argument("repository", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, metavar="OWNER/NAME", help="What it is called there.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Else any that is free.")
def simulate(*, repository: Path, name: str, port: int) -> None:
    """Serve a forge that behaves as GitHub does, around a bare REPOSITORY, for trials.

    It listens on this machine alone, keeps everything in memory, and ends with Ctrl-C. Whoever
    has the control token plays its people: runner/simulator/control.py.
    """
    from runner.simulator.server import Forge, Server

    with Server(Forge(repository.resolve(), name), port) as server:
        render.as_json({"address": server.address, "control": server.forge.control})
        sys.stdout.flush()
        server.serve_forever()


def _check_queued(project: Project, commit: str) -> QueueReport:
    from runner.cli import formats_markdown, formats_pull
    from runner.verbs import queue_check

    report = queue_check.check(project, commit)
    document = formats_pull.queue(report)
    queue_check.tell(project.forge, report, formats_markdown.text(document))
    _summarise(document)
    render.talk(f"{report.conclusion}: {render.below(report.title)}")
    return report


def _obey(project: Project, woken: Woken) -> Outcome | None:
    """Do what is asked for; None where an answer is all."""
    from runner.cli.running import Progress
    from runner.core import desk_command
    from runner.verbs import pull_run
    from runner.verbs.pull_comment import Board

    verb, author = woken.command.verb, woken.told.comment.author if woken.told else None
    pull_run.act_for(project, author)
    if verb == "run" and not woken.is_asked and not _is_due(project, woken):
        return pull_run.Outcome(plan="")
    if verb == "run":
        return pull_run.run(project, project.forge, woken.pull, woken.command, Progress())
    if verb == "cancel":
        return pull_run.cancel(project, woken.pull, Progress())
    if verb == "status":
        return pull_run.Outcome(plan="")
    text = desk_command.HELP if verb == "help" else _cost(project, woken)
    if woken.told is not None:
        board = Board.read(project.forge, woken.pull.number)
        board.once(f"comment:{woken.told.comment.id}", text)
    return None


def _is_due(project: Project, woken: Woken) -> bool:
    from runner.verbs import pull_check

    asked = pull_check.check(project, project.forge, woken.pull.number).plan
    return asked is not None and asked.is_due


def _cost(project: Project, woken: Woken) -> str:
    from runner.cli import formats_markdown, formats_pull
    from runner.verbs import cost
    from runner.verbs.pull_request import plan_of

    try:
        report = cost.of_project(project, plan=plan_of(woken.pull), run=None, by="step")
    except NotFound:
        return "There is no run yet, so nothing was spent."
    return formats_markdown.text(formats_pull.costs(report))


def _tell_outcome(project: Project, woken: Woken, outcome: Outcome) -> None:
    """Bring the run's pull request and the plan's comment up to date."""
    from runner.cli import formats_markdown, formats_pull
    from runner.verbs import pull_check, pull_results

    address = ""
    if outcome.report is not None:
        results = pull_results.gather(project, outcome.report, woken.pull)
        body = formats_markdown.text(formats_pull.run_results(results))
        made, address = None, f"on branch {outcome.report.branch}"
        try:
            made = pull_results.put(project, project.forge, results, body)
        except ForgeDenied as error:
            address += f", without a pull request: {error.message}"
        if made is not None:
            address = made.url
            # what a workflow's own token opens wakes no other workflow
            _tell(project, pull_check.check(project, project.forge, made.number))
    report = pull_check.check(project, project.forge, woken.pull.number)
    _tell(project, report, outcome, address)


def _tell(
    project: Project, report: PullReport, outcome: Outcome | None = None, results: str = ""
) -> None:
    """One text for the comment, the check run, the job's summary and the log."""
    from runner.cli import formats_markdown, formats_pull
    from runner.verbs import pull_tell

    document = formats_pull.pull(report, outcome, results)
    refused = pull_tell.tell(project.forge, report, formats_markdown.text(document))
    _summarise(document)
    for each in refused if os.environ.get(SUMMARY) else ():
        render.talk(f"note: not written: {render.below(each)}")
    for remark in pull_tell.remarks(report.problems) if refused else ():
        place = f"file={actions_field(remark.path)},line={remark.line}"
        said = f"{place},title={actions_field(remark.title)}::{actions_data(remark.message)}"
        streams.command(f"::error {said}")
    render.talk(f"{report.conclusion}: {render.below(report.title)}")


def _summarise(document: Document) -> None:
    """Add to the job's summary, where there is one."""
    from runner.cli import formats_markdown

    if path := os.environ.get(SUMMARY):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(formats_markdown.text(document, limit=MOST_SUMMARY) + "\n\n")
