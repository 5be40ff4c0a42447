"""`approve`, `reject`, `withdraw`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from runner.cli import limits, options, render
from runner.core.inert import one_line
from runner.core.values import parse_duration

if TYPE_CHECKING:
    from runner.project import Project
    from runner.verbs.decision_record import Decided, Wish

steps_option = click.option("--step", "steps", multiple=True, help="Only this step; repeatable.")


@click.command()
@click.argument("plan")
@steps_option
@click.option(
    "--digest",
    default="",
    type=options.digest_type,
    help="Only if the plan still has this digest (or its beginning), which `show` prints.",
)
@options.reason
@limits.expires
@limits.max_usd
@limits.max_runs
@options.as_json
def approve(  # noqa: PLR0913  # one parameter per option
    *,
    plan: str,
    steps: tuple[str, ...],
    digest: str,
    reason: str,
    expires: str,
    max_usd: str,
    max_runs: int | None,
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
        max_runs=max_runs or 0,
        digest=options.full_digest(digest),
    )
    _decide(plan, wish, as_json=as_json)


@click.command()
@click.argument("plan")
@steps_option
@options.reason
@options.as_json
def reject(*, plan: str, steps: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Sign a rejection of PLAN's steps: a run skips them."""
    from runner.verbs.decision_record import Wish

    _decide(plan, Wish(decision="reject", steps=steps, reason=reason), as_json=as_json)


@click.command()
@click.argument("plan")
@options.reason
@options.as_json
def withdraw(*, plan: str, reason: str, as_json: bool) -> None:
    """Take back all of one's own decisions about PLAN."""
    from runner.verbs.decision_record import Wish

    _decide(plan, Wish(decision="withdraw", reason=reason), as_json=as_json)


def _decide(plan: str, wish: Wish, *, as_json: bool) -> None:
    from runner.verbs import decide as verb

    with options.project() as project:
        done = verb.decide(project, plan, wish)
        if project.has_forge:
            done = _warned(project, done)
    if as_json:
        render.as_json(done)
        return
    words = {"approve": "approved", "reject": "rejected", "withdraw": "withdrew from"}
    click.echo(
        f"{one_line(done.approver)} {words[done.decision]} {done.plan}: {', '.join(done.steps)}"
    )
    click.echo(f"  plan   {done.plan_digest}")
    for line in done.lines:
        click.echo(f"  step   {one_line(line)}")
    if done.skipped:
        click.echo(f"  knowing that these are left out: {', '.join(done.skipped)}")
    if done.expires_at:
        click.echo(f"  until  {done.expires_at}{_cut(wish, done)}")
    if bounds := limits.within(wish.max_usd, wish.max_runs):
        click.echo(f"  within {bounds}")
    for note in done.notes:
        click.echo(f"  note   {render.below(note)}")
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


def _warned(project: Project, done: Decided) -> Decided:
    """The same, with a note of reviews that pushing it would void."""
    from runner.verbs import branch_rules

    lost = branch_rules.warning(project, done.plan)
    return replace(done, notes=(*done.notes, lost)) if lost else done
