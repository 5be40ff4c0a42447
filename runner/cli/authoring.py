"""`init`, `key`, `people`, `new`, `propose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import options, render
from runner.core.inert import one_line

if TYPE_CHECKING:
    from runner.verbs.init import Initialised
    from runner.verbs.init_github import Carried


@click.command()
@click.option("--solo", is_flag=True, help="One person: approving one's own plans is allowed.")
@click.option("--local", is_flag=True, help="This repository arbitrates, even if it has a remote.")
@click.option("--github", "github", is_flag=True, help="Write workflows for pull requests too.")
@options.as_json
def init(*, solo: bool, local: bool, github: bool, as_json: bool) -> None:
    """Govern this repository.

    Writes plans/policy.yaml and plans/allowed_signers, makes the runner's key, and stores which
    branch is trusted. Nothing counts until the two files are committed on that branch. With
    --github it brings the workflows and actions that let people approve plans on pull requests,
    and says what to set on GitHub.
    """
    from runner.verbs import init as verb
    from runner.verbs import init_github

    with options.project() as project:
        done = verb.init(project, solo=solo, local=local)
        carried = init_github.carry(project) if github else None
    if as_json:
        render.as_json({**render.plain(done), **({"github": carried} if carried else {})})
        return
    _show_init(done)
    if carried:
        _show_carried(carried)


def _show_carried(carried: Carried) -> None:
    """What lies in .github now, and what only a person can do."""
    for path in carried.written:
        click.echo(f"wrote {one_line(path)}")
    for path in carried.differing:
        click.echo(f"kept  {one_line(path)}, which is not as this version has it")
    click.echo("\nCommit .github on the trusted branch too. Then, on GitHub:")
    for what, how in carried.settings:
        click.echo(f"- {what}\n    {one_line(how)}")
    click.echo("\nplanlock doctor --github tells what of it is missing.")


def _show_init(done: Initialised) -> None:
    for path in done.written:
        click.echo(f"wrote {one_line(str(path))}")
    for path in done.kept:
        click.echo(f"kept  {one_line(str(path))}")
    click.echo(one_line(f"you are {done.principal}; trusted: {done.trusted_ref} of {done.home}"))
    if done.commit_command:
        click.echo(f"\nNothing counts before this is committed:\n  {done.commit_command}")


@click.group()
def key() -> None:
    """Make an SSH key."""


@key.command("new")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Default: ~/.ssh/id_ed25519")
@click.option("--comment", default="planlock", help="Comment of the public key.")
@options.as_json
def key_new(*, file: Path | None, comment: str, as_json: bool) -> None:
    """Make an ed25519 key for approvals; an existing key is never overwritten."""
    from runner.verbs import key as verb

    path = file or Path.home() / ".ssh" / "id_ed25519"
    public = verb.new(path, comment=comment)
    if as_json:
        render.as_json({"file": path, "fingerprint": public.fingerprint, "public": public.text})
        return
    click.echo(f"made {path} and {path}.pub\n{public.fingerprint}\n{public.text}")
    render.talk(f"It has no passphrase; set one with: ssh-keygen -p -f {path}")


@click.group()
def people() -> None:
    """Say who may approve."""


@people.command("add")
@click.argument("name")
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="Public key file."
)
@click.option("--role", "roles", multiple=True, help="A role of the policy; may be repeated.")
@options.as_json
def people_add(*, name: str, key_file: Path, roles: tuple[str, ...], as_json: bool) -> None:
    """Add NAME (an email address) with a key to policy.yaml and allowed_signers."""
    from runner.verbs import people as verb

    with options.project() as project:
        done = verb.add(project, name, key=key_file, roles=roles)
    if as_json:
        render.as_json(done)
        return
    if not done.changed:
        click.echo(f"{one_line(done.principal)} is listed with {done.fingerprint} already")
        return
    click.echo(f"added {one_line(done.principal)} with {done.fingerprint}")
    files = " ".join(done.changed)
    click.echo(f'\nNothing counts before this is committed:\n  git commit -m "Add {name}" {files}')


@click.command()
@click.argument("goal")
@click.option("--id", "plan_id", help="Name of the plan; default: made of the goal.")
@options.as_json
def new(*, goal: str, plan_id: str | None, as_json: bool) -> None:
    """Write a commented draft of a plan for GOAL to plans/<id>/plan.yaml."""
    from runner.verbs import new as verb

    with options.project() as project:
        path = verb.draft(project, goal, plan_id=plan_id)
    if as_json:
        render.as_json({"plan": path.parent.name, "file": path})
        return
    click.echo(f"wrote {one_line(str(path))}")
    render.talk(f"next: edit it, then: planlock propose {path.parent.name}")


@click.command()
@click.argument("plan")
@click.option("--refresh", is_flag=True, help="Take the trusted branch as new base, and new pins.")
@options.as_json
def propose(*, plan: str, refresh: bool, as_json: bool) -> None:
    """Fill in base, author and pins of PLAN and commit it to branch plan/<id>.

    PLAN is an id (plans/<id>/plan.yaml) or a file. HEAD, index and work tree stay as they are,
    apart from the plan file itself.
    """
    from runner.verbs import propose as verb

    with options.project() as project:
        done = verb.propose(project, plan, refresh=refresh)
    if as_json:
        render.as_json(done)
        return
    what = "proposed" if done.new else "already proposed"
    click.echo(f"{what} {done.plan} on {done.branch} at {done.commit[:12]}")
    click.echo(f"  digest {done.digest}")
    click.echo(f"  base   {done.base[:12]}, author {done.author}, {done.pinned} new pin(s)")
    for note in done.notes:
        click.echo(f"  note   {render.below(note)}")
    if done.push_command:
        click.echo(f"\nTo let others see it:\n  {done.push_command}")
    render.talk(f"next: planlock show {done.plan}; somebody else: planlock approve {done.plan}")
