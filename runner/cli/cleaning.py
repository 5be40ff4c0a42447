"""`gc`."""

from __future__ import annotations

import click

from runner.cli import options, render
from runner.core.inert import one_line

MEBIBYTE = 1 << 20


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@options.as_json
def gc(*, dry_run: bool, as_json: bool) -> None:
    """Take away work trees, checkouts, leases and requests that no open run needs.

    Records, branches and tags stay.
    """
    from runner.verbs import gc as verb

    with options.project() as project:
        done = verb.gc(project, dry_run=dry_run)
    if as_json:
        render.as_json(done)
        return
    for each in done.cleaned:
        size = f"  {each.size / MEBIBYTE:.1f} MiB" if each.size else ""
        click.echo(f"{each.kind.replace('_', ' ')}  {one_line(each.name)}{size}")
    for kept in done.kept:
        click.echo(render.dim(f"kept  {one_line(kept)}"))
    verb_of = "would go" if dry_run else "cleaned up"
    click.echo(f"{len(done.cleaned)} {verb_of}, {done.bytes / MEBIBYTE:.1f} MiB")
