"""`approve`, `reject`, `withdraw`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.values import DURATION, USD, parse_duration

if TYPE_CHECKING:
    from runner.verbs.decision_record import Decided, Wish

MIN_DIGITS = 12

steps_option = click.option("--step", "steps", multiple=True, help="Only this step; repeatable.")


def _pattern(pattern: str, example: str) -> click.ParamType[str]:
    class Type(click.ParamType[str]):
        name = example

        def convert(
            self, value: object, param: click.Parameter | None, ctx: click.Context | None
        ) -> str:
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                self.fail(f"{value!r} is not like {example}", param, ctx)
            return value

    return Type()


@click.command()
@click.argument("plan")
@steps_option
@click.option(
    "--digest",
    default="",
    type=_pattern(rf"|(sha256:)?[0-9a-f]{{{MIN_DIGITS},64}}", "sha256:0123456789ab"),
    help="Only if the plan still has this digest (or its beginning), which `show` prints.",
)
@click.option("--reason", default="", help="Why; goes into the record.")
@click.option("--expires", default="", type=_pattern(f"|{DURATION}", "12h"), help="E.g. 12h, 7d.")
@click.option("--max-usd", default="", type=_pattern(f"|{USD}", "0.50"), help="Money bound, USD.")
@click.option("--max-runs", default=0, type=click.IntRange(0), help="How many runs may use it.")
@options.as_json
def approve(  # noqa: PLR0913  # one parameter per option
    *,
    plan: str,
    steps: tuple[str, ...],
    digest: str,
    reason: str,
    expires: str,
    max_usd: str,
    max_runs: int,
    as_json: bool,
) -> None:
    """Sign an approval of PLAN's steps as they stand on its branch."""
    from runner.verbs.decision_record import Wish

    wish = Wish(
        decision="approve",
        steps=steps,
        reason=reason,
        expires=expires,
        max_usd=max_usd,
        max_runs=max_runs,
        digest=digest and f"sha256:{digest.removeprefix('sha256:')}",
    )
    _decide(plan, wish, as_json=as_json)


@click.command()
@click.argument("plan")
@steps_option
@click.option("--reason", default="", help="Why; goes into the record.")
@options.as_json
def reject(*, plan: str, steps: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Sign a rejection of PLAN's steps: a run skips them."""
    from runner.verbs.decision_record import Wish

    _decide(plan, Wish(decision="reject", steps=steps, reason=reason), as_json=as_json)


@click.command()
@click.argument("plan")
@click.option("--reason", default="", help="Why; goes into the record.")
@options.as_json
def withdraw(*, plan: str, reason: str, as_json: bool) -> None:
    """Take back all of one's own decisions about PLAN."""
    from runner.verbs.decision_record import Wish

    _decide(plan, Wish(decision="withdraw", reason=reason), as_json=as_json)


def _decide(plan: str, wish: Wish, *, as_json: bool) -> None:
    from runner.verbs import decide as verb

    with options.project() as project:
        done = verb.decide(project, plan, wish)
    if as_json:
        render.as_json(done)
        return
    words = {"approve": "approved", "reject": "rejected", "withdraw": "withdrew from"}
    click.echo(f"{done.approver} {words[done.decision]} {done.plan}: {', '.join(done.steps)}")
    click.echo(f"  plan   {done.plan_digest}")
    for line in done.lines:
        click.echo(f"  step   {line}")
    if done.skipped:
        click.echo(f"  knowing that these are left out: {', '.join(done.skipped)}")
    if done.expires_at:
        click.echo(f"  until  {done.expires_at}{_cut(wish, done)}")
    click.echo(f"  record {done.id} in commit {done.commit[:12]}")
    if done.push_command:
        click.echo(f"\nIt counts once it is pushed:\n  {done.push_command}")


def _cut(wish: Wish, done: Decided) -> str:
    """Say where the policy ends an approval earlier than was asked for."""
    if not (
        wish.expires and done.term and parse_duration(wish.expires) > parse_duration(done.term)
    ):
        return ""
    return f", not {wish.expires}: the policy's approvals_expire_after is {done.term}"
