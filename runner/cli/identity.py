"""`whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.inert import one_line

if TYPE_CHECKING:
    from runner.verbs.whoami import CertificateShown, Whoami

REFUSED = 4


@click.command()
@options.as_json
@click.pass_context
def whoami(ctx: click.Context, *, as_json: bool) -> None:
    """Say as whom you would approve here, and by which key; exit 4 if it would not count.

    Keys count by plans/allowed_signers of the trusted branch alone: the settings
    gpg.ssh.allowedSignersFile and gpg.ssh.revocationFile of git mean nothing here.
    """
    from runner.verbs import whoami as verb

    with options.project() as project:
        found = verb.whoami(project)
    if as_json:
        render.as_json(found)
    else:
        _show(found)
    ctx.exit(REFUSED if found.reasons else 0)


def _show(found: Whoami) -> None:
    roles = f" ({', '.join(found.roles)})" if found.roles else ""
    click.echo(render.bold(one_line(f"{found.principal or 'nobody known here'}{roles}")))
    for name, value in _facts(found):
        click.echo(f"  {name:<9} {one_line(value)}")
    if not found.reasons:
        click.echo("An approval would count.")
        return
    click.echo("An approval would not count:")
    for reason in found.reasons:
        click.echo(render.reason_text(reason))


def _facts(found: Whoami) -> list[tuple[str, str]]:
    facts = [("key", f"{found.fingerprint} {found.key_type}")]
    facts.append(("named by", f"{found.named_by}: {found.key_brief}"))
    if found.certificate:
        facts += _certificate(found.certificate)
    for line in found.listed:
        window = f", {line.window}" if line.window else ""
        whose = f"line {line.line}, {line.principal}: {', '.join(line.namespaces)}{window}"
        facts.append(("listed", whose))
    if found.assurance:
        facts.append(("assurance", found.assurance))
    facts.append(("plans", "may sign them" if found.signs_plans else "may not sign them"))
    facts.append(("trusted", f"{found.trusted_ref}@{found.commit[:12]}"))
    for setting in found.ignored:
        facts.append(("ignored", f"{setting} of this repository, which may start no program"))
    return facts


def _certificate(shown: CertificateShown) -> list[tuple[str, str]]:
    facts = [
        ("certified", f"{shown.key_id!r}, serial {shown.serial}, {shown.window}"),
        ("for", ", ".join(shown.principals)),
        ("by", shown.authority),
    ]
    return [*facts, ("beside it", shown.file)] if shown.file else facts
