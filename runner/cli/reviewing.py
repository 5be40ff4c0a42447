"""`review`: the walk through what waits, in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from runner.cli import limits, options, render, review_screen, review_signing, review_walk
from runner.cli.review_signing import Outcome
from runner.cli.review_walk import Choice, Stop, Walk
from runner.core.errors import Refused

if TYPE_CHECKING:
    from runner.project import Project
    from runner.verbs.review import PlanReview, Waiting
    from runner.verbs.review_sign import Verdicts

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
    max_runs: int | None,
    as_json: bool,
) -> None:
    """Walk through PLAN, or all that waits for you: approve, reject or skip each step, sign once.

    Without a terminal, and with --json, it only lists what waits.
    """
    from runner.verbs import review as verb
    from runner.verbs.review_sign import Verdicts

    bounds = Verdicts(reason=reason, expires=expires, max_usd=max_usd, max_runs=max_runs or 0)
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


def _walk(reviews: Sequence[PlanReview], bounds: Verdicts) -> Sequence[Outcome]:
    """Ask until everything is decided and confirmed, or the reviewer leaves."""
    walk = review_walk.start(_stops(reviews))
    came_from: int | None = None
    while walk.wants not in {"sign", "quit"}:
        _say(review_screen.arrival(reviews, came_from, walk))
        if walk.wants == "summary":
            _say(review_signing.summary(_outcomes(reviews, walk, bounds)))
        came_from = walk.stops[min(walk.at, len(walk.stops) - 1)].plan
        walk = _next(reviews, walk)
    return _outcomes(reviews, walk, bounds) if walk.wants == "sign" else []


def _stops(reviews: Sequence[PlanReview]) -> list[Stop]:
    return [
        Stop(
            plan=number,
            step=place,
            asked=step.state == "ask",
            asked_behind_reject=step.state in review_screen.SETTLED,
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


def _outcomes(reviews: Sequence[PlanReview], walk: Walk, bounds: Verdicts) -> list[Outcome]:
    """What was decided, for each plan about which something was, and what was left."""
    chosen: dict[int, list[tuple[str, Choice]]] = {}
    for stop, choice in review_walk.decided(walk):
        chosen.setdefault(stop.plan, []).append((_name(reviews, stop), choice))
    return [
        Outcome(reviews[plan], _verdicts(named, bounds), list(_left(reviews, walk, plan)))
        for plan, named in chosen.items()
    ]


def _left(reviews: Sequence[PlanReview], walk: Walk, plan: int) -> Iterator[str]:
    """Steps of a plan that were asked and neither approved nor rejected."""
    decided = [stop for stop, _ in review_walk.decided(walk)]
    for stop in (walk.stops[number] for number in review_walk.asked(walk)):
        if stop.plan == plan and stop not in decided:
            yield _name(reviews, stop)


def _name(reviews: Sequence[PlanReview], stop: Stop) -> str:
    return reviews[stop.plan].steps[stop.step].view.id


def _verdicts(named: Sequence[tuple[str, Choice]], bounds: Verdicts) -> Verdicts:
    rejected = [(name, choice.objection) for name, choice in named if choice.word == "reject"]
    texts = [text if len(rejected) == 1 else f"{name}: {text}" for name, text in rejected if text]
    return replace(
        bounds,
        approve=tuple(name for name, choice in named if choice.word == "approve"),
        reject=tuple(name for name, _ in rejected),
        objection="; ".join(texts),
    )


def _sign(project: Project, outcomes: Sequence[Outcome]) -> int:
    """Sign plan by plan; one that changed meanwhile is told, and the next one goes on."""
    results = [_sign_plan(project, outcome) for outcome in outcomes]
    if not results:
        click.echo("Nothing was signed.")
    return 0 if all(results) else REFUSED


def _sign_plan(project: Project, outcome: Outcome) -> bool:
    """Sign what was decided about a plan; tell what is lost where that is refused."""
    from runner.verbs import review_sign as verb

    made: list[str] = []
    told: list[str] = []
    try:
        for done in verb.sign(project, outcome.review, outcome.verdicts):
            _say(review_signing.signed(done, told))
            made.append(done.decision)
            told += done.notes
    except Refused as error:
        render.error(review_signing.again(error, outcome.review.plan), as_json=False)
        _say(review_signing.unsigned(outcome, made))
        return False
    return True
