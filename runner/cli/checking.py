"""`validate` and `schema`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from runner.cli import options, render, streams
from runner.core.errors import Problem
from runner.core.inert import actions_data, actions_field


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@options.as_json
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "github"]),
    default="text",
    help="Of problems: for a reader, or annotations of GitHub Actions.",
)
@click.pass_context
def validate(ctx: click.Context, *, paths: tuple[Path, ...], as_json: bool, style: str) -> None:
    """Check plans, policy, keys, approvals and records; default: the repository's plans/."""
    from runner import schemas
    from runner.verbs import validate as verb

    report = verb.validate(paths or (_plans(),), load_schema=schemas.load)
    if as_json:
        render.as_json(report)
    elif style == "github":
        for problem in report.problems:
            streams.command(annotation(problem))
    else:
        for problem in report.problems:
            click.echo(render.problem_text(problem))
    if not as_json:
        bad = len({problem.file for problem in report.problems})
        render.talk(f"{len(report.checked)} file(s) checked, {bad} with problems")
    ctx.exit(1 if report.problems else 0)


def _plans() -> Path:
    """The plans/ folder of the repository around, else of the current folder; needs no git."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return Path("plans")  # the folder is gone, which looking for plans/ will say
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            return Path(os.path.relpath(folder / "plans"))
    return Path("plans")


def annotation(problem: Problem) -> str:
    """A workflow command of GitHub Actions that shows a problem beside the line it is about."""
    fields = {"file": problem.file, "line": str(problem.line or 1), "title": problem.code}
    if problem.column:
        fields["col"] = str(problem.column)
    inside = ",".join(f"{key}={actions_field(value)}" for key, value in fields.items())
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    text += f" (fix: {problem.fix})" if problem.fix else ""
    return f"::error {inside}::{actions_data(text)}"


@click.command()
@click.argument("name", required=False)
@click.option("--composed", is_flag=True, help="With the step types of the policy's plugins.")
def schema(*, name: str | None, composed: bool) -> None:
    """Print a JSON Schema (plan, policy, approval, run, record), or the list of them."""
    from runner import schemas

    if name is None:
        click.echo("\n".join(schemas.NAMES))
        return
    if name not in schemas.NAMES:
        raise click.UsageError(f"no schema {name!r}; there are: {', '.join(schemas.NAMES)}")
    value = schemas.load(name)
    if composed:
        if name != "plan":
            raise click.UsageError("only the plan's schema is composed")
        from runner.verbs import schema as verb

        with options.project() as project:
            value = verb.composed_plan_schema(project)
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
