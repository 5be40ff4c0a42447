"""`plan` and `revise`: a model writes, the terminal tells how far it is and what it saw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from runner.cli import options, render
from runner.core.errors import UsageError
from runner.core.inert import terminal

if TYPE_CHECKING:
    from runner.project import Project
    from runner.verbs.plan import Into, Planned
    from runner.verbs.planning import Wish

TIERS = ("auto", "local", "fast", "strong")
MOST_SHOWN = 12


def _choices(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands take."""
    for option in reversed(
        (
            click.option(
                "--file",
                "files",
                multiple=True,
                metavar="PATH",
                help="Show the model this tracked file.",
            ),
            click.option(
                "--context",
                "patterns",
                multiple=True,
                metavar="GLOB",
                help="Show it the tracked files that match.",
            ),
            click.option("--model", metavar="NAME", help="Ask this model: planlock models."),
            click.option("--tier", type=click.Choice(TIERS), default="auto", help="Kind of model."),
            click.option(
                "--timeout", type=click.IntRange(1, 3600), default=600, help="Seconds a question."
            ),
            click.option("--live", is_flag=True, help="Ask again, even if answers are stored."),
            click.option("--dry-run", is_flag=True, help="Print the plan file, commit nothing."),
            click.option(
                "--pr", "push", is_flag=True, help="Push the branch, and open its pull request."
            ),
            options.as_json,
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("goal")
@click.option("--id", "plan_id", help="Name of the plan; default: made of the goal.")
@click.option(
    "--answer", "answers", multiple=True, help="Answer a question of the plan GOAL (an id)."
)
@_choices
def plan(*, goal: str, plan_id: str | None, answers: tuple[str, ...], **chosen: Any) -> None:
    """Let a model write a plan for GOAL, and commit it to branch plan/<id>.

    It sees tracked files of the trusted branch, none that looks like a secret; every edit is
    drafted, tried and checked. The same input gives the same plan, at no cost. Nothing of it runs
    before it is approved.
    """
    if answers:
        if plan_id:
            raise UsageError("--answer takes the plan's id as GOAL", hint="leave --id out")
        _revise(goal, answers=answers, wish="", **chosen)
        return
    from runner.verbs import plan as verb

    wish, into = _wish(goal, "", chosen), _into(chosen, plan_id)
    with options.project() as project:
        done = verb.plan(project, wish, into, Lines(quiet=chosen["as_json"]))
        _open_pull(project, done, into)
    _tell(done, into, as_json=chosen["as_json"])


def _open_pull(project: Project, done: Planned, into: Into) -> None:
    """Open the pull request of what was pushed, where a token lets us."""
    if not into.push or into.dry_run:
        return
    from runner.verbs import pull_open

    try:
        pull = pull_open.open_pull(project, project.forge, done.view.id)
    except UsageError as error:
        render.talk(f"note: pushed; open the pull request by hand: {render.below(error.message)}")
        return
    render.talk(f"pull request {pull.number}  {pull.url}")


@click.command()
@click.argument("plan")
@click.argument("wish")
@_choices
def revise(*, plan: str, wish: str, **chosen: Any) -> None:
    """Let a model change PLAN as WISH says; untouched steps keep their approvals."""
    _revise(plan, answers=(), wish=wish, **chosen)


def _revise(name: str, *, answers: tuple[str, ...], wish: str, **chosen: Any) -> None:
    from runner.verbs import plan as verb

    into = _into(chosen, None)
    with options.project() as project:
        said = verb.answered(project, name, answers) if answers else wish
        done = verb.revise(
            project,
            name,
            _wish("", said, chosen),
            into,
            Lines(quiet=chosen["as_json"]),
        )
    _tell(done, into, as_json=chosen["as_json"])


def _wish(goal: str, change: str, chosen: dict[str, Any]) -> Wish:
    from runner.core.model_call import CacheWish
    from runner.verbs.planning import Wish

    return Wish(
        goal=goal,
        change=change,
        files=chosen["files"],
        patterns=chosen["patterns"],
        model=chosen["model"],
        tier=chosen["tier"],
        timeout_s=chosen["timeout"],
        cache=CacheWish(mode="record" if chosen["live"] else "auto"),
    )


def _into(chosen: dict[str, Any], plan_id: str | None) -> Into:
    from runner.verbs.plan import Into

    return Into(plan_id=plan_id, dry_run=chosen["dry_run"], push=chosen["push"])


def _tell(done: Planned, into: Into, *, as_json: bool) -> None:
    if as_json:
        render.as_json(done)
        return
    if into.dry_run:
        click.echo(done.text, nl=False)
    else:
        from runner.cli.reading import show_plan

        show_plan(done.view)
    _talk(done)


def _talk(done: Planned) -> None:
    """What the model saw, what it cost, what to look at, what comes next."""
    render.talk("")
    shown = [f"{path} ({tokens})" for path, tokens in done.sent[:MOST_SHOWN]]
    more = f", and {len(done.sent) - MOST_SHOWN} more" if len(done.sent) > MOST_SHOWN else ""
    size = sum(tokens for _, tokens in done.sent)
    sent = f"about {size} tokens: {terminal(', '.join(shown))}{more}" if shown else "no file"
    rows = [("sent", sent)]
    rows += [("kept", terminal(f"{path}: {why}")) for path, why in done.withheld]
    rows += [("note", terminal(note)) for note in done.notes]
    rows += [("cost", _cost(done))]
    render.talk("\n".join(render.rows(rows)))
    if done.commit:
        state = "written" if done.new else "as it was already"
        render.talk(f"{state}: plan/{done.view.id} at {done.commit[:12]}")
    if done.push_command:
        render.talk(f"To let others see it:\n  {done.push_command}")


def _cost(done: Planned) -> str:
    spent = done.spent
    usd = "price unknown" if spent.usd is None else f"{spent.usd} USD"
    tokens = f"{spent.input_tokens} tokens in, {spent.output_tokens} out"
    when = "stored answers: nothing was spent now; they had cost " if spent.cached else ""
    return f"{when}{usd}, {tokens}, {terminal(spent.model)}"


class Lines:
    """A line a phase; on a terminal the draft as it comes, wiped when the phase is over."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._lively = sys.stderr.isatty() and not quiet
        self._line = ""

    def __call__(self, kind: str, text: str) -> None:
        if kind == "text":
            self._stream(text)
            return
        self._wipe()
        if not self._quiet:
            render.talk(f"{'· ' if kind == 'phase' else '  note: '}{render.below(text)}")

    def _stream(self, text: str) -> None:
        """Show the end of what is being written on one line."""
        if not self._lively:
            return
        self._line = (self._line + text)[-500:]
        last = terminal(" ".join(self._line.split()))
        room = render.width() - 4
        click.echo(f"\r\x1b[K  {render.dim(last[-room:])}", nl=False, err=True)

    def _wipe(self) -> None:
        if self._line and self._lively:
            click.echo("\r\x1b[K", nl=False, err=True)
        self._line = ""
