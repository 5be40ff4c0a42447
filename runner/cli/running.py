"""`run` and `resume`, with live progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from runner.cli import options, render
from runner.cli.interrupts import Interrupts
from runner.core import inert

if TYPE_CHECKING:
    from runner.project import Project
    from runner.verbs.events import Event, Listener
    from runner.verbs.execute import Options
    from runner.verbs.run_report import RunReport

INTERRUPTED = """
  planlock status {plan} tells how far it is.
  hint: planlock resume {plan} goes on; where a command was running: planlock resume {plan} --retry"""
EXIT_CODES = {
    "completed": 0,
    "paused": 0,
    "awaiting_approval": 4,
    "failed": 5,
    "cancelled": 5,
    "rolled_back": 5,
}
INTERRUPTED_CODE = 130
PAUSED_FOR_A_REASON = 4
MOST_OF_LINE = 4000


@click.command()
@click.argument("plan")
@click.option("--until", default="", metavar="STEP", help="Stop after this step.")
@click.option("--step", "only_next", is_flag=True, help="Do just the next step.")
@click.option("--retry", is_flag=True, help="Do the failed or interrupted step again.")
@click.option("--new", "new", is_flag=True, help="Start another run, even if there is one.")
@click.option(
    "--from",
    "fork",
    default="",
    metavar="RUN:STEP",
    help="Start another run from what run RUN (N or PLAN/N) had done before STEP.",
)
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.pass_context
def run(  # noqa: PLR0913  # one parameter per option
    ctx: click.Context,
    *,
    plan: str,
    until: str,
    only_next: bool,
    retry: bool,
    new: bool,
    fork: str,
    as_json: bool,
) -> None:
    """Execute PLAN's approved steps on branch planlock/<id>/<n>, one commit each.

    Goes on with the open run, or starts one. Stops with exit code 4 where an approval, or
    something of this machine, is missing, with 5 where a step failed; running again goes on
    from there.
    """
    from runner.verbs import execute as verb

    wish = {
        "until": until,
        "only_next": only_next,
        "retry": retry,
        "new": new,
        "fork": fork,
    }
    drive(ctx, verb.run, plan, wish, as_json=as_json)


@click.command()
@click.argument("run")
@click.option("--until", default="", metavar="STEP", help="Stop after this step.")
@click.option("--step", "only_next", is_flag=True, help="Do just the next step.")
@click.option("--retry", is_flag=True, help="Do the failed or interrupted step again.")
@click.option("--skip", is_flag=True, help="Leave the next step out.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.pass_context
def resume(  # noqa: PLR0913  # one parameter per option
    ctx: click.Context,
    *,
    run: str,
    until: str,
    only_next: bool,
    retry: bool,
    skip: bool,
    as_json: bool,
) -> None:
    """Go on with RUN (`PLAN/N`, or PLAN for its newest), which may be paused.

    Never starts one. A step that is left out needs no approval, but every later step then needs
    one that names it as skipped.
    """
    from runner.verbs import resume as verb

    wish = {"until": until, "only_next": only_next, "retry": retry, "skip": skip}
    drive(ctx, verb.resume, run, wish, as_json=as_json)


def drive(
    ctx: click.Context,
    verb: Callable[[Project, str, Options, Listener], RunReport],
    name: str,
    wish: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Let a run go on, tell what happens, and exit as it ended."""
    from runner.verbs.execute import Options

    listener = _JsonLines() if as_json else Progress()
    with Interrupts(listener) as interrupts:
        try:
            with options.project() as project:
                report = verb(project, name, Options(**wish, here=interrupts.wish), interrupts)
        except KeyboardInterrupt:
            render.talk(INTERRUPTED.format(plan=name))
            raise
    if as_json:
        click.echo(render.json_of({"kind": "report", **render.plain(report)}, one_line=True))
    else:
        _show_report(report)
    if interrupts.wish():
        ctx.exit(INTERRUPTED_CODE)
    ctx.exit(PAUSED_FOR_A_REASON if _waits(report) else EXIT_CODES[report.status])


def _waits(report: RunReport) -> bool:
    """Whether a paused run lacks something, rather than having stopped where it was told to."""
    return report.status == "paused" and bool(report.reasons)


def _show_report(report: RunReport) -> None:
    click.echo(f"run {report.plan}/{report.run} {render.bold(report.status)}  {report.branch}")
    for name, status in report.steps.items():
        click.echo(f"{render.mark(status)} {name}  {status}")
    if report.message:
        click.echo(f"  {render.below(report.message)}")
    for reason in report.reasons:
        click.echo(render.reason_text(reason))
    if report.status in {"completed", "failed", "cancelled"}:
        unpriced = f", {report.unpriced_calls} calls unpriced" if report.unpriced_calls else ""
        click.echo(f"  cost {report.cost_usd} USD{unpriced}")


def _rewritable() -> bool:
    """Whether a line can be wiped: click leaves the escapes for it out where it does colours."""
    return sys.stderr.isatty() and click.get_current_context().color is not False


class _JsonLines:
    def __call__(self, event: Event) -> None:
        if event.kind == "tick":
            return
        click.echo(render.json_of(event, one_line=True))
        sys.stdout.flush()


class Progress:
    """One line a step; while a command runs, its output line by line, and on a terminal a clock."""

    def __init__(self) -> None:
        self._since = 0.0
        self._line, self._lost = "", 0
        self._shown, self._unshown = 0, 0
        self._clock = 0

    def __call__(self, event: Event) -> None:
        name = f"[{event.number}/{event.total}] {event.step}"
        if event.kind == "tick":
            self._tick(name)
            return
        self._wipe()
        if event.kind == "run_started":
            render.talk(f"run {event.plan}/{event.run} on {inert.one_line(event.text)}")
        elif event.kind == "step_started":
            self._since, self._shown = time.monotonic(), 0
            render.talk(f"{render.mark('running')} {name}  {inert.one_line(event.text)}")
        elif event.kind == "output":
            self._lines(event.text)
        elif event.kind == "step_finished":
            self._finish(event, name)
        elif event.kind == "note":
            render.talk(f"  note: {render.below(event.text)}")

    def _tick(self, name: str) -> None:
        seconds = int(time.monotonic() - self._since)
        if seconds > self._clock and _rewritable():
            self._clock = seconds
            click.echo(f"\r\x1b[K  {name} has been running for {seconds} s", nl=False, err=True)

    def _wipe(self) -> None:
        if self._clock and _rewritable():
            click.echo("\r\x1b[K", nl=False, err=True)
        self._clock = 0

    def _lines(self, text: str) -> None:
        first, *others = text.split("\n")
        self._more(first)
        for each in others:
            self._end_line()
            self._more(each)

    def _more(self, text: str) -> None:
        room = MOST_OF_LINE - len(self._line)
        self._line += text[:room]
        self._lost += len(text[room:])

    def _end_line(self) -> None:
        """Show a line, as long as the command has not said more than anybody reads.

        Whoever writes to the terminal keeps the command waiting.
        """
        if self._shown > inert.LIMIT:
            self._unshown += 1
        else:
            lost = inert.more(self._lost) if self._lost else ""
            render.talk(f"    | {inert.terminal(self._line)}{lost}")
        self._shown += len(self._line) + 1
        self._line, self._lost = "", 0

    def _finish(self, event: Event, name: str) -> None:
        if self._line:
            self._end_line()
        if self._unshown:
            render.talk(
                f"    | … {self._unshown} more lines: planlock log PLAN --full has their end"
            )
            self._unshown = 0
        took = f"  {time.monotonic() - self._since:.1f} s" if self._since else ""
        why = f": {render.below(event.text)}" if event.text else ""
        render.talk(f"{render.mark(event.status)} {name}  {event.status}{why}{took}")
        self._since = 0.0
