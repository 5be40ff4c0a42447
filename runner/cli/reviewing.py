"""`review`: the walk through what waits, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from runner.cli import limits, options, render, review_screen, review_walk
from runner.cli.review_walk import Choice, Stop, Walk
from runner.core.errors import Refused

if TYPE_CHECKING:
    from runner.project import Project
    from runner.verbs.review import PlanReview, Verdicts, Waiting

    Decisions = Sequence[tuple[PlanReview, Verdicts]]

REFUSED = 4


@click.command()
@click.argument("plan", default="")
@options.reason
@limits.expires
@limits.max_usd
@limits.max_runs
@options.as_json
@click.pass_context
def review(  # noqa: PLR0913  # one parameter per option
    ctx: click.Context,
    *,
    plan: str,
    reason: str,
    expires: str,
    max_usd: str,
    max_runs: int,
    as_json: bool,
) -> None:
    """Walk through PLAN, or all that waits for you: approve, reject or skip each step, sign once.

    Without a terminal, and with --json, it only lists what waits.
    """
    from runner.verbs import review as verb

    bounds = verb.Verdicts(reason=reason, expires=expires, max_usd=max_usd, max_runs=max_runs)
    with options.project() as project:
        found = verb.waiting(project, plan)
        if as_json:
            render.as_json(found)
        elif not found.mine or not _is_terminal():
            _list(found)
        else:
            reviews = [verb.open_plan(project, each.plan) for each in found.mine]
            ctx.exit(_sign(project, _walk(reviews, bounds)))


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _list(found: Waiting) -> None:
    _say(review_screen.waiting(found))
    if found.mine:
        names = found.mine[0].plan if len(found.mine) == 1 else "PLAN"
        _say(["", f"Walk through it in a terminal, or: planlock approve {names}"])


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)


def _walk(reviews: Sequence[PlanReview], bounds: Verdicts) -> Decisions:
    """Ask until everything is decided and confirmed, or the reviewer leaves."""
    walk = review_walk.start(_stops(reviews))
    came_from: int | None = None
    while walk.wants not in {"sign", "quit"}:
        _say(review_screen.arrival(reviews, came_from, walk))
        if walk.wants == "summary":
            _say(review_screen.summary(_decisions(reviews, walk, bounds)))
        came_from = walk.stops[min(walk.at, len(walk.stops) - 1)].plan
        walk = _next(reviews, walk)
    return _decisions(reviews, walk, bounds) if walk.wants == "sign" else []


def _stops(reviews: Sequence[PlanReview]) -> list[Stop]:
    return [
        Stop(
            plan=number,
            step=place,
            asked=step.state == "ask",
            asked_behind_reject=step.state in {"approved", "enough", "free"},
        )
        for number, each in enumerate(reviews)
        for place, step in enumerate(each.steps)
    ]


def _next(reviews: Sequence[PlanReview], walk: Walk) -> Walk:
    """Ask until a key leads on."""
    while True:
        click.echo(review_screen.prompt(walk), nl=False)
        then = _turn(reviews, walk)
        if then is not walk:
            return then


def _turn(reviews: Sequence[PlanReview], walk: Walk) -> Walk:
    """Take keys until one means something; the same walk is given where it only shows something."""
    while True:
        key = _key()
        then = review_walk.press(walk, key)
        if walk.wants == "key" and key in review_screen.SHOWS:
            _show(reviews, walk, key)
            return walk
        if then.wants == "objection":
            return _objected(walk, then)
        if then is not walk:
            click.echo(review_screen.said(key))
            return then


def _show(reviews: Sequence[PlanReview], walk: Walk, key: str) -> None:
    stop = walk.stops[walk.at]
    if key == "?":
        _say(["", *review_screen.keys()])
    else:
        click.echo_via_pager(review_screen.whole(reviews[stop.plan], stop.step))


def _objected(walk: Walk, then: Walk) -> Walk:
    """Ask why; whoever closes the input instead of answering is asked for a key again."""
    click.echo(f"{review_screen.deed('reject')}, because (may be empty): ", nl=False)
    line = sys.stdin.readline()
    return review_walk.object_to(then, line.strip()) if line else walk


def _key() -> str:
    """One key pressed after the question was shown; what was typed ahead is dropped."""
    try:
        return click.getchar() or "q"
    except EOFError:
        return "q"


def _decisions(reviews: Sequence[PlanReview], walk: Walk, bounds: Verdicts) -> Decisions:
    """What was decided, for each plan about which something was."""
    chosen: dict[int, list[tuple[str, Choice]]] = {}
    for stop, choice in review_walk.decided(walk):
        name = reviews[stop.plan].steps[stop.step].view.id
        chosen.setdefault(stop.plan, []).append((name, choice))
    return [(reviews[plan], _verdicts(named, bounds)) for plan, named in chosen.items()]


def _verdicts(named: Sequence[tuple[str, Choice]], bounds: Verdicts) -> Verdicts:
    rejected = [(name, choice.objection) for name, choice in named if choice.word == "reject"]
    texts = [text if len(rejected) == 1 else f"{name}: {text}" for name, text in rejected if text]
    return replace(
        bounds,
        approve=tuple(name for name, choice in named if choice.word == "approve"),
        reject=tuple(name for name, _ in rejected),
        objection="; ".join(texts),
    )


def _sign(project: Project, decisions: Decisions) -> int:
    """Sign plan by plan; one that changed meanwhile is told, and the next one goes on."""
    from runner.verbs import review as verb

    code = 0
    for reviewed, verdicts in decisions:
        try:
            for done in verb.sign(project, reviewed, verdicts):
                _say(review_screen.signed(done))
        except Refused as error:
            render.error(error, as_json=False)
            code = REFUSED
    if not decisions:
        click.echo("Nothing was signed.")
    return code
