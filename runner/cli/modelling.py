"""`models` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.text import visible

if TYPE_CHECKING:
    from decimal import Decimal

    from runner.project import Project
    from runner.verbs.doctor import Check, Diagnosis
    from runner.verbs.models import Listing, ModelRow, ProviderRow
    from runner.verbs.models_saving import Saving

FAILED = 1
COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


class ListByDefault(click.Group):
    """A group that without a sub-command's name is its `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def models() -> None:
    """List language models and what they cost; carry stored answers elsewhere."""


@models.command(name="list")
@click.option("--check", is_flag=True, help="Ask vendors too whether they answer, with your keys.")
@options.as_json
def list_(*, check: bool, as_json: bool) -> None:
    """List models with prices, who serves which call, and what was saved; the default.

    Servers of your own are always asked what they have.
    """
    from runner.verbs import models as verb

    with options.project() as project:
        found = verb.listing(project, check=check)
    if as_json:
        render.as_json(found)
    else:
        _show(found)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def export(*, file: Path, as_json: bool) -> None:
    """Write every stored answer to a new FILE; the same answers give the same bytes."""
    from runner.verbs import models_store as verb

    with options.project() as project:
        done = verb.export(project, file)
    if as_json:
        render.as_json(done)
    else:
        click.echo(f"{done.answers} answer(s) exported to {visible(done.file)}")


@models.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take FILE's answer where the store has another.")
@options.as_json
def import_(*, file: Path, replace: bool, as_json: bool) -> None:
    """Take in the answers of an exported FILE, all of them or none.

    They will be given as if a model had said them: import only what you would believe.
    """
    from runner.verbs import models_store as verb

    with options.project() as project:
        done = verb.import_(project, file, replace=replace)
    if as_json:
        render.as_json(done)
    else:
        click.echo(f"{done.added} new, {done.known} known, {done.replaced} replaced")


@click.command()
@click.option("--sandbox", is_flag=True, help="Try to break out of the sandbox; takes seconds.")
@click.option(
    "--apparmor-profile",
    is_flag=True,
    help="Print the AppArmor profile that lets bwrap confine on Ubuntu; look at nothing.",
)
@click.option("--github", "github", is_flag=True, help="Look at the settings on GitHub.")
@options.as_json
@click.pass_context
def doctor(
    ctx: click.Context, *, sandbox: bool, apparmor_profile: bool, github: bool, as_json: bool
) -> None:
    """Look whether all that planlock needs is there; exit 1 if something is not.

    Works outside of a repository too. With --sandbox it attacks what would confine commands
    here, with nothing of yours at stake, and exits 1 if the policy's demand is not met. With
    --github it asks whether the repository there is set up so that nothing goes round approvals.
    """
    from runner.cli import modelling_sandbox
    from runner.verbs import doctor as verb

    if apparmor_profile:
        if sandbox or as_json or github:
            raise click.UsageError("--apparmor-profile goes with no other option")
        click.echo(verb.apparmor_profile(), nl=False)
        return
    if sandbox and github:
        raise click.UsageError("--sandbox and --github exclude each other: name one of them")
    if sandbox:
        ctx.exit(0 if modelling_sandbox.tried(as_json=as_json) else FAILED)
    with options.project() as project:
        found = _of_github(project) if github else verb.doctor(project)
    if as_json:
        render.as_json({"well": found.well, "checks": found.checks})
    else:
        _show_checks(found.checks)
    ctx.exit(0 if found.well else FAILED)


def _of_github(project: Project) -> Diagnosis:
    from runner.verbs import doctor_github

    return doctor_github.doctor(project)


def _show_checks(checks: tuple[Check, ...]) -> None:
    width = max(len(each.name) for each in checks)
    for each in checks:
        status = click.style(f"{each.status:<4}", fg=COLORS[each.status], bold=True)
        click.echo(f"{status}  {each.name:<{width}}  {visible(each.message)}")
        for number, fix in enumerate(each.fixes):
            click.echo(f"{'':<{width + 6}}  {'or ' if number else 'fix:'} {visible(fix)}")


def _show(found: Listing) -> None:
    if found.router_url:
        click.echo(f"Calls go to the router at {visible(found.router_url)}, not to these models.")
    click.echo(f"From {visible(found.origin)}:")
    if not found.providers:
        click.echo("no model is configured; planlock doctor says what to set")
    else:
        click.echo(_provider_table(found.providers))
        click.echo(f"\n{_model_table(found.models)}" if found.models else "\nno models")
    if found.chains:
        click.echo("\nWho serves, first to last:")
    for row in found.chains:
        tried = " → ".join(row.models) or "nobody"
        click.echo(f"  {row.kind:<10} {visible(tried)}  {render.dim(visible(row.reason))}")
    if found.saving:
        click.echo(f"\n{visible(_saving(found.saving))}")
    for name in found.ignored:
        click.echo(f"ignored: {visible(name)} of this repository", err=True)


def _provider_table(rows: tuple[ProviderRow, ...]) -> str:
    head = ["provider", "kind", "key", "state"]
    return render.table([head, *([*map(visible, _provider_cells(row))] for row in rows)])


def _provider_cells(row: ProviderRow) -> list[str]:
    key = f"{row.key} {'set' if row.key_set else 'not set'}" if row.key else "none"
    state = f"{row.state}: {row.reason}" if row.reason else row.state
    return [row.name, row.kind, key, state]


def _model_table(rows: tuple[ModelRow, ...]) -> str:
    head = ["model", "tier", "context", "USD/M in", "USD/M out", "price from", "state"]
    cells = [[*map(visible, _model_cells(row))] for row in rows]
    return render.table([head, *cells], right=(2, 3, 4))


def _model_cells(row: ModelRow) -> list[str]:
    prices = [_money(row.input_usd), _money(row.output_usd), row.price_source or "nobody"]
    return [row.model, row.tier, f"{row.context:,}", *prices, row.state]


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:f}"


def _saving(saving: Saving) -> str:
    text = (
        f"{saving.answers} stored answer(s) cost {saving.spent_usd:f} USD; {saving.baseline}"
        f" would have cost {saving.baseline_usd:f} USD for the same tokens"
    )
    return f"{text} ({saving.unpriced} without a known price left out)" if saving.unpriced else text
